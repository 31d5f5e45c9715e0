"""A source that reads recorded envelopes as fast as it can, and recorded journals."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streammon.adapters import containers as container
from streammon.adapters.codec import from_bytes
from streammon.adapters.containers import read_container_blocks, read_header
from streammon.adapters.envelope_blocks import HEADERS, KEY, OFFSET, PARTITION, TIMESTAMP, VALUE, Envelopes, walked
from streammon.adapters.envelopes import headers_from_datum, is_recorded, read_envelopes
from streammon.adapters.recorded_log import RecordedFile, RecordedLog, check_recorded
from streammon.adapters.records import grouped
from streammon.core.errors import UsageError
from streammon.core.journal import JournalEntry
from streammon.core.ports import Listener, Origin, RecordBatch

BATCH_BYTES = 4 << 20  # of a file, whose whole blocks are read and decoded at once; a longer one comes alone

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
            check_recorded(file.path)
            for blocks in _together(file, self._from):
                batch = _batch(walked(file.path, blocks), self._from)
                if batch is not None:
                    yield batch


def _batch(found: Envelopes, since: NDArray[np.int64]) -> RecordBatch | None:
    """The records whose offset is at least `since` of their partition."""
    wanted = found.columns[OFFSET] >= since[found.columns[PARTITION]]
    if not wanted.any():
        return None
    rows = None if wanted.all() else np.flatnonzero(wanted)
    chosen: NDArray[np.intp] | slice = slice(None) if rows is None else rows

    def origin(row: int) -> Origin:
        row = row if rows is None else int(rows[row])
        headers = headers_from_datum(found.at(HEADERS, row) or b"")
        return Origin(found.at(KEY, row), found.at(VALUE, row), headers)

    return grouped(
        found.slices(VALUE, chosen),
        found.slices(KEY, chosen),
        found.columns[PARTITION, chosen],
        found.columns[OFFSET, chosen],
        found.columns[TIMESTAMP, chosen],
        origin,
    )


def _together(file: RecordedFile, since: NDArray[np.int64]) -> Iterator[list[container.Block]]:
    """The blocks that hold something of interest, several at once where they lie in one buffer."""
    starts = (block.start for block in file.blocks if (block.last >= since[block.partitions]).any())
    pile: list[container.Block] = []
    for block in read_container_blocks(file.path, starts, BATCH_BYTES):
        if pile and block.buffer is not pile[0].buffer:
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
