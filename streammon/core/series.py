"""The series of one partition: their keys and clocks, as growing arrays that the routing kernel reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.core.baseline import Layout
from streammon.core.events import LANE, MODEL_ID, MODEL_VERSION, EventBatch
from streammon.core.outputs import OTHER, Series
from streammon.core.timeline import FARTHEST, NEVER, Clocks, Table, key_hash


class SeriesBook:
    """Numbers series in order of appearance. A series is never forgotten: its clock says what is sealed.

    Once OTHER is among them, every key that is not known counts for it.
    """

    def __init__(self, open_panes: int, specs: int) -> None:
        self.names: list[Series] = []
        self.numbers: dict[Series, int] = {}
        self.layouts: list[Layout] = []
        self.live: list[dict[int, int]] = []  # by series: pane id by pane number
        self.table = Table(
            np.full(64, -1, np.int32),
            np.zeros(0, np.uint64),
            np.zeros(0, np.uint8),
            np.zeros((0, 3), np.int64),
            np.zeros((0, 3), np.int32),
            -1,
        )
        self._used = 0  # of the table's bytes
        self.clocks = _empty_clocks(0, open_panes)
        self.mark = np.zeros(0, np.int64)  # windows with an end up to here have closed
        self.late_reported = np.zeros((0, specs), np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def add(self, series: Series, layout: Layout) -> int:
        """A new series, unseen so far; returns its number."""
        number = len(self.names)
        if number == len(self.clocks.own):
            self._grow(max(16, number))
        parts = [part.encode() for part in series]
        ends = self._used + np.cumsum([len(part) for part in parts])
        if ends[-1] > len(self.table.bytes):
            room = np.zeros(2 * int(ends[-1]), np.uint8)
            room[: self._used] = self.table.bytes[: self._used]
            self.table = self.table._replace(bytes=room)
        self.table.bytes[self._used : ends[-1]] = np.frombuffer(b"".join(parts), np.uint8)
        self.table.start[number] = (self._used, *ends[:-1])
        self._used = int(ends[-1])
        self.table.length[number] = [len(part) for part in parts]
        row_start, row_length = _as_row(self.table, number)
        self.table.hash[number] = key_hash(self.table.bytes, row_start, row_length, 0)
        self.names.append(series)
        self.numbers[series] = number
        self.layouts.append(layout)
        self.live.append({})
        self.expect(number, layout)
        if series == OTHER:
            self.table = self.table._replace(unknown=number)
        if 2 * len(self.names) > len(self.table.places):
            self.table = self.table._replace(places=np.full(2 * len(self.table.places), -1, np.int32))
            for known in range(len(self.names)):
                self._place(known)
        else:
            self._place(number)
        return number

    def find(self, series: Series) -> int:
        """Number of the series that events with this key count for."""
        return self.numbers.get(series, self.table.unknown)

    @property
    def nbytes(self) -> int:
        """Of the arrays."""
        arrays = (*self.clocks, self.mark, self.late_reported, *self.table[:-1])
        return sum(array.nbytes for array in arrays)

    def expect(self, number: int, layout: Layout) -> None:
        """Set the names and dimensions of a series."""
        self.layouts[number] = layout
        self.clocks.dims[number] = (len(layout.features), len(layout.classes), layout.embedding)

    def clocks_at(self, progress: int, grace: int) -> NDArray[np.int64]:
        """Clock of every series when the partition has progressed so far (timeline.clock_now, for all)."""
        c, n = self.clocks, len(self)
        silent: NDArray[np.int64] = np.maximum(0, progress - c.p0[:n] - grace)
        now: NDArray[np.int64] = np.maximum(np.maximum(c.clock[:n], c.own[:n]), c.own[:n] + silent)
        return now

    def next_due(self, grace: int) -> int:
        """The least P at which a series that stays silent has a window due."""
        c, n = self.clocks, len(self)
        live = c.due[:n] < NEVER
        at = c.due[:n][live] - c.own[:n][live] + c.p0[:n][live] + grace
        return int(at.min()) if len(at) else NEVER

    def _place(self, number: int) -> None:
        mask = len(self.table.places) - 1
        place = int(self.table.hash[number]) & mask
        while self.table.places[place] >= 0:
            place = (place + 1) & mask
        self.table.places[place] = number

    def _grow(self, more: int) -> None:
        old: tuple[Any, ...] = self.clocks
        fresh: tuple[Any, ...] = _empty_clocks(more, self.clocks.ring.shape[1])
        self.clocks = Clocks(*(np.concatenate(pair) for pair in zip(old, fresh, strict=True)))
        self.table = self.table._replace(
            hash=_extend(self.table.hash, more),
            start=_extend(self.table.start, more),
            length=_extend(self.table.length, more),
        )
        self.mark = np.concatenate((self.mark, np.full(more, -NEVER)))
        self.late_reported = _extend(self.late_reported, more)


def series_of(batch: EventBatch, row: int) -> Series:
    """The series of an event; null parts are empty."""
    return Series(batch.text(row, MODEL_ID) or "", batch.text(row, MODEL_VERSION) or "", batch.text(row, LANE) or "")


def _empty_clocks(n: int, open_panes: int) -> Clocks:
    return Clocks(
        own=np.full(n, -NEVER),
        clock=np.full(n, -NEVER),
        p0=np.full(n, FARTHEST),
        due=np.full(n, NEVER),
        late=np.zeros(n, np.int64),
        dims=np.zeros((n, 3), np.int32),
        ring=np.full((n, open_panes), -1, np.int32),
    )


def _as_row(table: Table, number: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """The key of a series in the columns that `key_hash` reads from a batch."""
    start = np.zeros((1, LANE + 1), np.int64)
    length = np.zeros((1, LANE + 1), np.int32)
    start[0, MODEL_ID:] = table.start[number]
    length[0, MODEL_ID:] = table.length[number]
    return start, length


def _extend(array: NDArray[Any], more: int) -> NDArray[Any]:
    return np.concatenate((array, np.zeros((more, *array.shape[1:]), array.dtype)))
