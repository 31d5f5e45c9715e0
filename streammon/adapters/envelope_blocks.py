"""Blocks of recorded files, by one compiled walk over their bytes: where the parts of each record lie.

A recorded file has one schema, so its envelopes need no program (avro/kernel.py), which would cost half as much as
decoding the events. The walk is as strict: every bound, index and text is checked, nothing outside a block is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streammon.adapters.avro.blocks import frozen
from streammon.adapters.avro.ops import MAX_SCALED
from streammon.adapters.avro.wire import ENCODING as NOT_UTF8
from streammon.adapters.avro.wire import (
    RANGE,
    is_ascii,
    is_utf8,
    load_u8,
    read_block,
    read_index,
    read_int,
    read_length,
    read_long,
)
from streammon.adapters.containers import Block
from streammon.core.errors import Code, UsageError
from streammon.core.ports import Slices

PARTITION, OFFSET, TIMESTAMP, KEY, KEY_END, VALUE, VALUE_END, HEADERS, HEADERS_END = range(9)
LEAST = 8  # bytes of an envelope: its fields take one or more each
OTHER_TOPIC = np.int64(1)  # what may be wrong beside a minus Code
TRAILING = -int(Code.TRAILING)
TIMESTAMP_TYPES = 3  # symbols of the schema
MILLISECOND = 1000  # microseconds


class Envelopes(NamedTuple):
    """Records of one topic, in the order of the file."""

    buffer: NDArray[np.uint8]
    topic: bytes  # b"" where there are no records
    columns: NDArray[np.int64]  # [9, n] by PARTITION, ...; places are of the buffer, -1 is null, times microseconds

    def slices(self, column: int, rows: NDArray[np.intp] | slice) -> Slices:
        """KEY or VALUE of some rows."""
        return Slices(self.buffer, self.columns[column, rows], self.columns[column + 1, rows])

    def at(self, column: int, row: int) -> bytes | None:
        """KEY or VALUE of a row, or its HEADERS as they are encoded."""
        start, end = self.columns[column : column + 2, row].tolist()
        return None if start < 0 else bytes(self.buffer[start:end])


def walked(path: Path, blocks: Sequence[Block]) -> Envelopes:
    """The envelopes of blocks of `path` that share a buffer. Raises UsageError where one is damaged, or of a topic that
    the first is not of.
    """
    low = blocks[0].low
    data = np.frombuffer(blocks[0].buffer or b"\0", np.uint8)[low : max(blocks[-1].high, low + 1)]
    for block in blocks:
        if block.records > (block.high - block.low) // LEAST:  # before making room for them
            _refuse(path, block, 0, f"it claims {block.records} records in {block.high - block.low} bytes")
    columns = np.empty((HEADERS_END + 1, sum(block.records for block in blocks)), np.int64)
    buffer, topic = frozen(data), np.zeros(2, np.int64)
    row = 0
    for block in blocks:
        end = row + block.records
        done, wrong = _walk(buffer, block.low - low, block.high - low, row, end, topic, columns)
        if wrong:
            if wrong == OTHER_TOPIC:
                start, size = columns[:2, done].tolist()
                refuse_topics(path, _text(buffer, *topic.tolist()), _text(buffer, start, size))
            _refuse(path, block, done - row, f"its envelope cannot be read ({Code(-wrong).name})")
        row = end
    return Envelopes(data, _text(buffer, *topic.tolist()) if row else b"", columns)


def refuse_topics(path: Path, *topics: bytes) -> NoReturn:
    """Raises UsageError: a file holds records of one topic."""
    names = ", ".join(sorted(topic.decode() for topic in topics))
    raise UsageError(f"{path}: holds several topics, {names}: record one topic to a file")


def _text(buffer: NDArray[np.uint8], start: int, size: int) -> bytes:
    return bytes(buffer[start : start + size])


def _refuse(path: Path, block: Block, record: int, problem: str) -> NoReturn:
    where = f"record {record} of the block from byte {block.start}"
    raise UsageError(f"{path}: {where} is damaged: {problem}. Copy the file again, or record again")


@njit(cache=True, nogil=True)
def _walk(buffer, low, high, row, rows, topic, columns):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """Find the envelopes that lie end to end in buffer[low:high], into columns[:, row:rows].

    `topic`: its place in the buffer, and its length; row 0 sets it. Returns (row, what is wrong with it), 0 where
    nothing is; with OTHER_TOPIC, the first two columns of the row are that topic's place and length.
    """
    base = np.int64(buffer.ctypes.data)
    pos, end = base + low, base + high
    while row < rows:
        size, pos = read_length(pos, end)
        if pos < 0:
            return row, pos
        if row == 0:
            topic[0], topic[1] = pos - base, size
        same = size == topic[1]
        for i in range(size if same else 0):
            same &= load_u8(pos + i) == load_u8(base + topic[0] + i)
        if not same or row == 0:
            if not is_ascii(pos, pos + size) and not is_utf8(pos, pos + size):
                return row, np.int64(NOT_UTF8)
            if not same:
                columns[0, row], columns[1, row] = pos - base, size
                return row, OTHER_TOPIC
        columns[PARTITION, row], pos = read_int(pos + size, end)
        if pos < 0:
            return row, pos
        columns[OFFSET, row], pos = read_long(pos, end)
        if pos < 0:
            return row, pos
        milliseconds, pos = read_long(pos, end)
        if pos < 0:
            return row, pos
        if milliseconds > MAX_SCALED or milliseconds < -MAX_SCALED:
            return row, np.int64(RANGE)
        columns[TIMESTAMP, row] = milliseconds * MILLISECOND
        _, pos = read_index(pos, end, TIMESTAMP_TYPES)
        if pos < 0:
            return row, pos
        for k in (KEY, VALUE):
            start, pos = _optional(pos, end)
            if pos < 0:
                return row, pos
            columns[k, row], columns[k + 1, row] = (start - base, pos - base) if start > 0 else (-1, -1)
        columns[HEADERS, row] = pos - base
        pos = _headers(pos, end)
        if pos < 0:
            return row, pos
        columns[HEADERS_END, row] = pos - base
        row += 1
    return row, np.int64(0) if pos == end else np.int64(TRAILING)


@njit(cache=True, nogil=True)
def _optional(pos, end):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """(start, end) of null or bytes; start is -1 of null."""
    given, pos = read_index(pos, end, 2)
    if pos < 0 or given == 0:
        return np.int64(-1), pos
    size, start = read_length(pos, end)
    return start, start + size if start >= 0 else start


@njit(cache=True, nogil=True)
def _headers(pos, end):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """The position behind an array of headers."""
    while True:
        count, block_end, pos = read_block(pos, end, 2)
        if pos < 0 or count == 0:
            return pos
        for _ in range(count):
            size, pos = read_length(pos, end)
            if pos < 0:
                return pos
            if not is_ascii(pos, pos + size) and not is_utf8(pos, pos + size):
                return np.int64(NOT_UTF8)
            _, pos = _optional(pos + size, end)
            if pos < 0:
                return pos
        if block_end >= 0 and pos != block_end:
            return np.int64(RANGE)
