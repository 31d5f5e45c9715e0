"""Columns of inference events to Avro: the canonical schema in single-object encoding (C3 01, fingerprint, datum).

An encoder that walks dicts takes some 40 us an event. Here each field of all events is turned at once into one piece of
wire bytes per event (numpy lays out everything that has a fixed width), and then the pieces of each event are joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.schema_files import MARKER, load_schema
from streammon.adapters.varint import varint

_ABSENT = b"\x00"  # branch 0 of a union with null; also an empty array or map, and the end of one
_PRESENT = b"\x02"  # branch 1


class Coded(NamedTuple):
    """Strings of which there are few: row i holds `table[code[i]]`."""

    code: NDArray[np.int64]
    table: tuple[str | None, ...]


Strings = Coded | NDArray[np.bytes_]  # in an array of bytes (UTF-8) the empty string stands for null


class Lists(NamedTuple):
    """A list of numbers per row, all of one length, or none where `recorded` is False."""

    values: NDArray[np.float32]  # [n, k]
    recorded: NDArray[np.bool_]  # [n]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventColumns:
    """n inference events; the fields are those of the schema in its order. Null is NaN in floats, 0 in http_status."""

    ts: NDArray[np.int64]  # microseconds since the epoch
    req_id: Strings
    model_id: Strings
    model_version: Strings
    lane: Strings
    data_hash: Strings
    git_commit: Strings
    user_id_hash: Strings
    feature_hash: Strings
    latency_ms: NDArray[np.float64]
    http_status: NDArray[np.int64]
    timed_out: NDArray[np.bool_]
    score: NDArray[np.float64]
    prediction: Strings
    prediction_value: NDArray[np.float64] | None = None
    weight: NDArray[np.float64] | None = None
    probs: Lists
    features: Lists  # NaN is a missing value, and is written as NaN
    categories: tuple[Coded, ...] = ()
    embedding: Lists
    gauges: Mapping[str, NDArray[np.float64]]  # all of them or none in a row
    has_gauges: NDArray[np.bool_]  # [n]

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, rows: NDArray[np.int64]) -> EventColumns:
        """The events with these numbers, in this order."""
        return replace(self, **{field.name: _take(getattr(self, field.name), rows) for field in fields(self)})


def _take(column: Any, rows: NDArray[np.int64]) -> Any:
    if isinstance(column, Coded):
        return Coded(column.code[rows], column.table)
    if isinstance(column, tuple):  # Lists, categories
        parts = [_take(part, rows) for part in column]
        return Lists(*parts) if isinstance(column, Lists) else tuple(parts)
    if isinstance(column, Mapping):
        return {name: _take(part, rows) for name, part in column.items()}
    return None if column is None else column[rows]


def encode(columns: EventColumns) -> list[bytes]:
    """Each event as the value of a Kafka record."""
    pieces = (
        repeat(MARKER + load_schema("inference_event").identity, len(columns)),
        _longs(columns.ts),
        _strings(columns.req_id),
        _strings(columns.model_id),
        _strings(columns.model_version),
        _strings(columns.lane),
        _strings(columns.data_hash, nullable=True),
        _strings(columns.git_commit, nullable=True),
        _strings(columns.user_id_hash, nullable=True),
        _strings(columns.feature_hash, nullable=True),
        _nullable_doubles(columns.latency_ms, len(columns)),
        _nullable_ints(columns.http_status),
        _booleans(columns.timed_out),
        _nullable_doubles(columns.score, len(columns)),
        _strings(columns.prediction, nullable=True),
        _nullable_doubles(columns.prediction_value, len(columns)),
        _nullable_doubles(columns.weight, len(columns)),
        _floats(columns.probs),
        _floats(columns.features),
        *_string_lists(columns.categories, len(columns)),
        _floats(columns.embedding, nullable=True),
        _nullable_maps(columns.gauges, columns.has_gauges),
    )
    return list(map(b"".join, zip(*pieces, strict=True)))


@cache
def _text(value: str | None, nullable: bool) -> bytes:
    if value is None:
        if not nullable:
            raise ValueError("null in a field that must not be null")
        return _ABSENT
    utf8 = value.encode()
    return (_PRESENT if nullable else b"") + varint(len(utf8)) + utf8


def _longs(values: NDArray[np.int64]) -> list[bytes]:
    rest = ((values << 1) ^ (values >> 63)).view(np.uint64)
    shifts = np.arange(0, 70, 7, dtype=np.uint64)
    groups = np.where(shifts < 64, rest[:, None] >> np.minimum(shifts, 63), 0).astype(np.uint8) & 0x7F
    length = np.maximum(1, 10 - np.argmax(groups[:, ::-1] != 0, axis=1))
    length[rest == 0] = 1
    more = np.arange(10) < length[:, None] - 1
    wire = (groups | (more.astype(np.uint8) << 7)).tobytes()
    return [wire[at : at + size] for at, size in zip(range(0, 10 * len(values), 10), length.tolist(), strict=True)]


def _strings(strings: Strings, nullable: bool = False) -> list[bytes]:
    if isinstance(strings, Coded):
        table = [_text(value, nullable) for value in strings.table]
        return [table[code] for code in strings.code.tolist()]
    branch = _PRESENT if nullable else b""
    head = [branch + varint(length) for length in range(strings.dtype.itemsize + 1)]
    if nullable:
        head[0] = _ABSENT
    return [head[len(utf8)] + utf8 for utf8 in strings.tolist()]


def _nullable_doubles(values: NDArray[np.float64] | None, n: int) -> Iterable[bytes]:
    if values is None:
        return repeat(_ABSENT, n)
    return _choose(_rows(_PRESENT, values[:, None].astype("<f8"), b""), ~np.isnan(values))


def _nullable_ints(values: NDArray[np.int64]) -> list[bytes]:
    distinct, code = np.unique(values, return_inverse=True)
    table = [_PRESENT + varint(value) if value else _ABSENT for value in distinct.tolist()]
    return [table[at] for at in code.tolist()]


def _booleans(values: NDArray[np.bool_]) -> list[bytes]:
    return [b"\x01" if value else b"\x00" for value in values.tolist()]


def _floats(lists: Lists, nullable: bool = False) -> list[bytes]:
    length = lists.values.shape[1]
    branch = _PRESENT if nullable else b""
    if not length:
        return _choose([branch + _ABSENT] * len(lists.recorded), lists.recorded)
    return _choose(_rows(branch + varint(length), lists.values.astype("<f4"), _ABSENT), lists.recorded)


def _string_lists(items: tuple[Coded, ...], n: int) -> Iterable[Iterable[bytes]]:
    if items:
        yield repeat(varint(len(items)), n)
        yield from map(_strings, items)
    yield repeat(_ABSENT, n)


def _nullable_maps(entries: Mapping[str, NDArray[np.float64]], recorded: NDArray[np.bool_]) -> list[bytes]:
    wire = [_rows(_text(name, False), values[:, None].astype("<f8"), b"") for name, values in entries.items()]
    head, tail = _PRESENT + (varint(len(wire)) if wire else b""), _ABSENT
    maps = zip(repeat(head, len(recorded)), *wire, repeat(tail, len(recorded)), strict=True)
    return [b"".join(pieces) if kept else _ABSENT for pieces, kept in zip(maps, recorded.tolist(), strict=True)]


def _rows(head: bytes, values: NDArray[np.floating], tail: bytes) -> list[bytes]:
    """head + the bytes of one row of values + tail, for each row."""
    n, width = len(values), values.dtype.itemsize * values.shape[1]
    wire = np.empty((n, len(head) + width + len(tail)), np.uint8)
    wire[:, : len(head)] = np.frombuffer(head, np.uint8)
    wire[:, len(head) : len(head) + width] = np.ascontiguousarray(values).view(np.uint8)
    wire[:, len(head) + width :] = np.frombuffer(tail, np.uint8)
    pieces: list[bytes] = wire.view(f"V{wire.shape[1]}").ravel().tolist()
    return pieces


def _choose(pieces: list[bytes], recorded: NDArray[np.bool_]) -> list[bytes]:
    if recorded.all():
        return pieces
    return [piece if kept else _ABSENT for piece, kept in zip(pieces, recorded.tolist(), strict=True)]
