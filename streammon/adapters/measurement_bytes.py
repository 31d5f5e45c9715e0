"""Measurements to Avro, by hand: every window has hundreds of them, and a general writer looks for the branch of each
of their unions anew. Tested to give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from struct import Struct

from streammon.adapters.varint import varint
from streammon.core.outputs import Measurement

NULL = b"\x00"  # the first branch of a union
GIVEN = b"\x02"  # the second
_DOUBLE = Struct("<cd").pack


def measurements_array(measurements: Iterable[Measurement]) -> bytes:
    """The array `measurements` of a metric event: one block, and the end."""
    items = [
        b"".join(
            (
                _text(name),
                _double(value),
                _given(feature),
                _double(effect),
                _double(p),
                _long(n),
                _double(n_eff),
                _long(reference_n),
                _double(threshold),
                _double(mde),
                _given(method),
                _given(flag),
            )
        )
        for name, value, feature, effect, p, n, n_eff, reference_n, threshold, mde, method, flag in measurements
    ]
    return b"".join((varint(len(items)), *items, NULL)) if items else NULL


def _double(x: float | None) -> bytes:
    return NULL if x is None else _DOUBLE(GIVEN, x)


@lru_cache(maxsize=10_000)
def _long(n: int | None) -> bytes:
    return NULL if n is None else GIVEN + varint(n)


@lru_cache(maxsize=10_000)
def _given(text: str | None) -> bytes:
    return NULL if text is None else GIVEN + _text(text)


@lru_cache(maxsize=10_000)
def _text(text: str) -> bytes:
    data = text.encode()
    return varint(len(data)) + data
