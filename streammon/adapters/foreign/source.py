"""Files that are no recordings, as a source: one partition, offset = row, and the timestamp of a record is its ts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.foreign.rows import Events, File
from streammon.core.errors import Code, UsageError
from streammon.core.events import TS, EventBatch
from streammon.core.ports import Listener, Origin, RecordBatch, Run
from streammon.text import counted

PARTITION = 0
_NOTHING = np.zeros(1, np.uint8)


class Row(bytes):
    """A row, as its dead letter shows it, with what is known of it."""

    where: str  # in which file, and where in it
    code: Code
    field: str | None  # column at fault
    why: str  # what is wrong; empty: what the code says
    event: EventBatch  # the row alone


@dataclass(frozen=True, slots=True)
class RowBatch(RecordBatch):
    """Rows that have become events while their times were looked for."""

    events: EventBatch = field(kw_only=True)


class RowDecoder:
    """Hands out what the source has decoded (implements ports.Decoder, for RowBatch only)."""

    def decode(self, records: RecordBatch) -> EventBatch:
        assert isinstance(records, RowBatch)
        return records.events


class ForeignSource:
    """Files in the order given, rows in the order of each.

    Every file's first rows are read at once: UsageError where none of them is an event, because then the mapping is
    wrong rather than the rows.
    """

    why_not_comparable = "rows of a file have no partition, offset and timestamp of a record"

    def __init__(self, files: Sequence[File], topic: str) -> None:
        self.topic = topic
        self.first = {PARTITION: 0}
        self.records = sum(file.records for file in files)
        self.decoder = RowDecoder()
        rows = sum([_check(file) for file in files])
        if not rows:
            raise UsageError(f"{', '.join(str(file.path) for file in files)}: no rows")
        self._rest: Iterator[tuple[File, Events]] = ((file, block) for file in files for block in file.blocks())
        self._next = next(self._rest, None)
        self._offset, self._time = 0, 0
        self._paused = False

    def start(self, listener: Listener) -> None:
        listener.assigned([PARTITION])

    def poll(self, timeout: float) -> RecordBatch | None:
        if self._next is None or self._paused:
            return None
        file, block = self._next
        self._next = next(self._rest, None)
        return self._batch(file, block)

    def _batch(self, file: File, block: Events) -> RowBatch:
        count = len(block.batch)
        offset = np.arange(self._offset, self._offset + count)
        timestamp = self._times(block.batch)
        events = replace(block.batch, offset=offset, timestamp=timestamp)
        self._offset += count

        def origin(row: int) -> Origin:
            return Origin(None, _row(file, block, row), ())

        nowhere = np.zeros(count, np.int64)
        run = Run(PARTITION, 0, count)
        return RowBatch(_NOTHING, nowhere, nowhere, offset, timestamp, (run,), origin, events=events)

    def _times(self, batch: EventBatch) -> NDArray[np.int64]:
        """[n] the ts; of a row that is no event that of the last one before it."""
        good = batch.code == Code.OK
        last = np.maximum.accumulate(np.where(good, np.arange(len(batch)), -1))
        times = np.where(last < 0, self._time, batch.ints[last, TS])
        self._time = int(times[-1])
        return times

    def heartbeat(self) -> None:
        """A file has no members."""

    def is_member(self) -> bool:
        return True

    def seek(self, positions: Mapping[int, int]) -> None:
        """Files are read from the beginning; earlier offsets are skipped by the loop."""

    def pause(self, partitions: Collection[int]) -> None:
        self._paused = self._paused or PARTITION in partitions

    def resume(self, partitions: Collection[int]) -> None:
        self._paused = self._paused and PARTITION not in partitions

    def ask_ends(self, partitions: Collection[int]) -> None:
        """A file is never silent."""

    def confirmed(self) -> dict[int, int | None]:
        return {}

    def finished(self) -> bool:
        return self._next is None

    def close(self) -> None:
        """Let go of the file that is being read."""
        self._next, self._rest = None, iter(())


def _check(file: File) -> int:
    """How many rows were looked at."""
    block = next(file.blocks(), None)
    if block is None:
        return 0
    count = len(block.batch)
    if (block.batch.code != Code.OK).all():
        row = _row(file, block, 0)
        column = "" if row.field is None else f", column {row.field}"
        none = "the only row is no event" if count == 1 else f"none of the first {counted(count, 'row')} is an event"
        raise UsageError(f"{file.path}: {none}; {row.where}{column}: {row.why or row.code.name}")
    return count


def _row(file: File, block: Events, row: int) -> Row:
    found = Row(block.text(row))
    found.where = f"{file.path.name}, {block.where(row)}"
    found.event = block.batch.rows(row, row + 1)
    found.code, found.field, found.why = Code(int(block.batch.code[row])), None, ""
    if found.code is not Code.OK:
        _, found.field, found.why = block.problem(row)
    return found
