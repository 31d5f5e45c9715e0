"""A source that reads recorded envelopes as fast as it can, and recorded journals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.adapters import containers as container
from streammon.adapters.avro.blocks import ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.codec import from_bytes
from streammon.adapters.containers import read_container_blocks, read_header
from streammon.adapters.envelopes import is_recorded, read_envelopes
from streammon.adapters.recorded_log import (
    OFFSET,
    PARTITION,
    PLACES,
    TIMESTAMP,
    RecordedFile,
    RecordedLog,
    decoded,
    envelope_decoder,
)
from streammon.adapters.records import grouped
from streammon.adapters.schema_files import parsed, read_datum
from streammon.core.errors import UsageError
from streammon.core.journal import JournalEntry
from streammon.core.ports import Listener, Origin, RecordBatch, Slices

BATCH_BYTES = 4 << 20  # of blocks that are decoded at once; one that is larger comes alone

_COLUMNS = ColumnSet(PLACES.ints, (), ("topic", "key", "value"), times=PLACES.times, binary=frozenset({"key", "value"}))
_TOPIC, _KEY, _VALUE = range(3)
_NEVER = np.iinfo(np.int64).max


class RecordedSource:
    """Some partitions of a recording, by default all. Blocks that hold nothing of interest are not read."""

    def __init__(self, log: RecordedLog, partitions: Collection[int] | None = None) -> None:
        self.topic = log.topic
        self._files = list(log.files)
        self._partitions = sorted(log.spans if partitions is None else partitions)
        self._size = max(log.spans) + 1
        self._paused: set[int] = set()
        self._next: RecordBatch | None = None
        self.seek({})

    def start(self, listener: Listener) -> None:
        listener.assigned(self._partitions)

    def poll(self, timeout: float) -> RecordBatch | None:
        if self._paused:  # partitions lie in one file: where one waits, all do
            return None
        batch = self._next
        self._next = next(self._rest, None)
        return batch

    def heartbeat(self) -> None:
        """A file has no members."""

    def is_member(self) -> bool:
        return True

    def seek(self, positions: Mapping[int, int]) -> None:
        """Records before these positions, and of partitions that are not asked for, are left out."""
        self._from = np.full(self._size, _NEVER, np.int64)
        self._from[self._partitions] = [positions.get(partition, 0) for partition in self._partitions]
        self._rest = self._batches()
        self._next = next(self._rest, None)

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        self._paused -= set(partitions)

    def ask_ends(self, partitions: Collection[int]) -> None:
        """A file is never silent."""

    def confirmed(self) -> dict[int, int | None]:
        return {}

    def finished(self) -> bool:
        return self._next is None

    def close(self) -> None:
        """Nothing stays open."""

    def _batches(self) -> Iterator[RecordBatch]:
        for file in self._files:
            opened = _Envelopes(file.path)
            for blocks in _together(file, self._from):
                batch = opened.batch(blocks, self._from)
                if batch is not None:
                    yield batch


class _Envelopes:
    """The records of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decoder: ColumnDecoder = envelope_decoder(path, _COLUMNS)
        fields = {field["name"]: field["type"] for field in read_header(path).schema["fields"]}
        self._headers_type = parsed(fields["headers"]) if list(fields)[-2:] == ["value", "headers"] else None

    def batch(self, blocks: Sequence[container.Block], since: NDArray[np.int64]) -> RecordBatch | None:
        """Of these blocks, which share a buffer, the records whose offset is at least `since` of their partition."""
        buffer = np.frombuffer(blocks[0].buffer or b"\0", np.uint8)
        found = [decoded(self._path, self._decoder, buffer, block).columns for block in blocks]
        ints = np.concatenate([columns.ints for columns in found])
        start = np.concatenate([columns.string_start for columns in found])
        length = np.concatenate([columns.string_length for columns in found])
        partition, offset, timestamp = ints[:, PARTITION], ints[:, OFFSET], ints[:, TIMESTAMP]
        rows = np.flatnonzero(offset >= since[partition])
        if not len(rows):
            return None
        strings = _Strings(buffer, blocks[-1].high, start, length)
        return grouped(
            strings.slices(_VALUE, rows),
            strings.slices(_KEY, rows),
            partition[rows],
            offset[rows],
            timestamp[rows],
            lambda row: self._origin(strings, int(rows[row])),
        )

    def _origin(self, strings: _Strings, row: int) -> Origin:
        return Origin(strings.at(_KEY, row), strings.at(_VALUE, row), self._headers(strings, row))

    def _headers(self, strings: _Strings, row: int) -> tuple[tuple[str, bytes | None], ...]:
        """Of one record, for its dead letter: they lie behind its value, which is not null."""
        start, length = int(strings.start[row, _VALUE]), int(strings.length[row, _VALUE])
        if self._headers_type is None or length < 0:
            return ()
        end = int(strings.start[row + 1, _TOPIC]) if row + 1 < len(strings.start) else strings.end
        stream = BytesIO(bytes(strings.buffer[start + length : end]))
        headers: Any = read_datum(stream, self._headers_type, None, str(self._path))
        return tuple((header["key"], header["value"]) for header in headers)


class _Strings(NamedTuple):
    """Byte strings in a buffer, several to a row. Null: length -1."""

    buffer: NDArray[np.uint8]
    end: int  # of the last row's bytes
    start: NDArray[np.int64]  # [rows, columns]
    length: NDArray[np.int32]

    def slices(self, column: int, rows: NDArray[np.intp]) -> Slices:
        start, length = self.start[rows, column], self.length[rows, column]
        null = length < 0
        return Slices(self.buffer, np.where(null, -1, start), np.where(null, -1, start + length))

    def at(self, column: int, row: int) -> bytes | None:
        start, length = int(self.start[row, column]), int(self.length[row, column])
        return None if length < 0 else bytes(self.buffer[start : start + length])


def _together(file: RecordedFile, since: NDArray[np.int64]) -> Iterator[list[container.Block]]:
    """The blocks that hold something of interest, several at once where they lie in one buffer."""
    starts = (block.start for block in file.blocks if (block.last >= since[block.partitions]).any())
    pile: list[container.Block] = []
    for block in read_container_blocks(file.path, starts):
        if pile and (block.buffer is not pile[0].buffer or block.high - pile[0].low > BATCH_BYTES):
            yield pile
            pile = []
        pile.append(block)
    if pile:
        yield pile


def read_journal(path: Path, topic: str) -> list[JournalEntry]:
    """Entries of a recorded journal topic, which must be about the input `topic`."""
    if not is_recorded(read_header(path).schema):
        raise UsageError(f"{path}: holds no recorded envelopes: give what `streammon record` took of the journal topic")
    try:
        entries = [from_bytes(JournalEntry, each.value) for each in read_envelopes(path) if each.value is not None]
    except UsageError as error:
        raise UsageError(f"{path}: is not a recording of a journal topic: {error}") from error
    others = sorted({entry.topic for entry in entries} - {topic})
    if others:
        raise UsageError(f"{path}: is the journal of {', '.join(others)}, and the recorded events are of {topic}")
    return entries
