"""A source that reads recorded envelopes, all partitions of a file, as fast as it can."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from streammon.adapters.avro.blocks import Block, ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.codec import from_bytes
from streammon.adapters.containers import read_container_blocks, read_header
from streammon.adapters.envelopes import is_recorded, read_envelopes
from streammon.adapters.records import grouped
from streammon.adapters.schema_files import full_name, parsed, read_datum
from streammon.core.errors import Code, UsageError
from streammon.core.journal import JournalEntry
from streammon.core.ports import Committed, Listener, Origin, RecordBatch, Restored, Slices

_COLUMNS = ColumnSet(
    ints=("partition", "offset", "timestamp"),
    strings=("topic", "key", "value"),
    times=frozenset({"timestamp"}),
    binary=frozenset({"key", "value"}),
)
_PARTITION, _OFFSET, _TIMESTAMP = range(3)
_TOPIC, _KEY, _VALUE = range(3)


class RecordedSource:
    """One file. It is read twice: first for its topic, partitions and first offsets."""

    def __init__(self, path: Path) -> None:
        header = read_header(path)
        if not is_recorded(header.schema):
            raise UsageError(
                f"{path}: holds no recorded envelopes but {full_name(header.schema)}: give a file that "
                "`streammon simulate` or `streammon record` wrote"
            )
        self._path = path
        fields = {field["name"]: field["type"] for field in header.schema["fields"]}
        self._headers_type = parsed(fields["headers"]) if list(fields)[-2:] == ["value", "headers"] else None
        self._decoder = ColumnDecoder([load_schema(header.schema, str(path))], _COLUMNS)
        topics: set[str] = set()
        self.first: dict[int, int] = {}  # first offset of each partition
        self.records = 0
        for block in self._blocks():
            self.records += block.rows
            partition, first = np.unique(block.columns.ints[:, _PARTITION], return_index=True)
            for p, row in zip(partition.tolist(), first.tolist(), strict=True):
                self.first.setdefault(p, int(block.columns.ints[row, _OFFSET]))
            topics |= _topics(block)
        if len(topics) != 1:
            raise UsageError(
                f"{path}: holds several topics, {', '.join(sorted(topics))}: record one topic to a file"
                if topics
                else f"{path}: holds no records: record again when the topic holds some"
            )
        self.topic = topics.pop()
        self._rest = self._blocks()
        self._next = next(self._rest, None)
        self._paused: set[int] = set()

    def start(self, listener: Listener) -> None:
        listener.assigned(sorted(self.first))

    def poll(self, timeout: float) -> RecordBatch | None:
        block = self._next
        if block is None or self._paused:  # partitions lie in one file: where one waits, all do
            return None
        self._next = next(self._rest, None)
        columns = block.columns
        return grouped(
            _slices(block, _VALUE),
            _slices(block, _KEY),
            columns.ints[:, _PARTITION],
            columns.ints[:, _OFFSET],
            columns.ints[:, _TIMESTAMP],
            lambda row: Origin(_optional(block, row, _KEY), _optional(block, row, _VALUE), self._headers(block, row)),
        )

    def heartbeat(self) -> None:
        """A file has no members."""

    def is_member(self) -> bool:
        return True

    def seek(self, positions: Mapping[int, int]) -> None:
        """Files are read from the beginning; earlier offsets are skipped by the loop."""

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        self._paused -= set(partitions)

    def finished(self) -> bool:
        return self._next is None

    def close(self) -> None:
        """Nothing stays open."""

    def _headers(self, block: Block, row: int) -> tuple[tuple[str, bytes | None], ...]:
        """Of one record, for its dead letter: they lie behind its value, which is not null."""
        start, length = block.columns.string_start, block.columns.string_length
        if self._headers_type is None or length[row, _VALUE] < 0:
            return ()
        end = start[row + 1, _TOPIC] if row + 1 < block.rows else None
        stream = BytesIO(bytes(block.buffer[start[row, _VALUE] + length[row, _VALUE] : end]))
        headers: Any = read_datum(stream, self._headers_type, None, str(self._path))
        return tuple((header["key"], header["value"]) for header in headers)

    def _blocks(self) -> Iterator[Block]:
        for raw in read_container_blocks(self._path):
            data = np.frombuffer(raw.data or b"\0", np.uint8)
            block = self._decoder.decode_block(data, 0, len(raw.data), raw.records)
            if block.code is not Code.OK:
                raise UsageError(f"{self._path}: a recorded envelope cannot be read ({block.code.name})")
            if block.rows:
                yield block


class JournalStore:
    """The state store of a replay: nothing but a given journal."""

    def __init__(self, journal: Sequence[JournalEntry]) -> None:
        self._journal = journal

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed | None]:
        return dict.fromkeys(partitions)

    def load(self, partition: int, heartbeat: Callable[[], None]) -> Restored:
        entries = [entry for entry in self._journal if entry.partition == partition]
        return Restored(None, None, [], sorted(entries, key=lambda entry: entry.sequence))


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


def _topics(block: Block) -> set[str]:
    first = _bytes(block, 0, _TOPIC)
    if (block.columns.string_length[:, _TOPIC] == len(first)).all():
        texts = block.buffer[block.columns.string_start[:, _TOPIC, None] + np.arange(len(first))]
        if (texts == texts[0]).all():  # nearly always; quicker than one by one
            return {first.decode()}
    return {_bytes(block, row, _TOPIC).decode() for row in range(block.rows)}


def _slices(block: Block, column: int) -> Slices:
    start, length = block.columns.string_start[:, column], block.columns.string_length[:, column]
    null = length < 0
    return Slices(block.buffer, np.where(null, -1, start), np.where(null, -1, start + length))


def _bytes(block: Block, row: int, column: int) -> bytes:
    start, length = int(block.columns.string_start[row, column]), int(block.columns.string_length[row, column])
    return bytes(block.buffer[start : start + length])


def _optional(block: Block, row: int, column: int) -> bytes | None:
    return None if block.columns.string_length[row, column] < 0 else _bytes(block, row, column)
