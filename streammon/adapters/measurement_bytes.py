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
                NULL if value is None else _DOUBLE(GIVEN, value),  # a call would take as long again
                _given(feature),
                NULL if effect is None else _DOUBLE(GIVEN, effect),
                NULL if p is None else _DOUBLE(GIVEN, p),
                _long(n),
                NULL if n_eff is None else _DOUBLE(GIVEN, n_eff),
                _long(reference_n),
                NULL if threshold is None else _DOUBLE(GIVEN, threshold),
                NULL if mde is None else _DOUBLE(GIVEN, mde),
                _end(method, flag),
            )
        )
        for name, value, feature, effect, p, n, n_eff, reference_n, threshold, mde, method, flag in measurements
    ]
    return b"".join((varint(len(items)), *items, NULL)) if items else NULL


@lru_cache(maxsize=10_000)
def _end(method: str | None, flag: str | None) -> bytes:
    return _given(method) + _given(flag)


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
