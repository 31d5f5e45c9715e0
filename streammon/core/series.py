"""The series of one partition: their keys, clocks and panes, as growing arrays that the routing kernel reads.

Series are numbered in order of appearance, roll-ups among them: one is made with its first member. What has been
silent for long enough gives its place free, but is remembered: its clock says what is sealed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core.baseline import Layout
from streammon.core.events import LANE, MODEL_ID, MODEL_VERSION, EventBatch
from streammon.core.outputs import ALL, OTHER, Series
from streammon.core.plan import Plan
from streammon.core.timeline import FARTHEST, NEVER, Clocks, Table, clock_now, key_hash
from streammon.core.windows import Block

FORGET_BEYOND = 10  # times max_series: so many series without a place are remembered


class Held(NamedTuple):
    """A pane or block of panes that has events. Times in microseconds."""

    pane: int  # id
    low: int
    high: int
    whole: int  # end of the block that it is a half of
    last: int  # end of the last window that contains it
    alone: int  # end of the last window that contains it, but not the whole; -NEVER: there is none


class Past(NamedTuple):
    """What is remembered of a series that has no place."""

    own: int
    clock: int
    p0: int
    late: int
    mark: int
    late_reported: tuple[int, ...]  # by window of the plan
    full: tuple[int, ...]


class SeriesBook:
    """All series of a partition. Lists and arrays are by number."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.specs = tuple(sorted(plan.windows))
        self.names: list[Series] = []
        self.numbers: dict[Series, int] = {}
        self.layouts: list[Layout] = []
        self.windows: list[list[int]] = []  # which of `specs` a series has
        self.held: list[dict[Block, Held]] = []  # panes (level 0), and blocks of sealed ones
        self.members: list[list[int]] = []  # of a roll-up, in order of their keys
        self.waiting: list[set[int]] = []  # of a roll-up: panes of members that it has not sealed
        self.past: dict[Series, Past] = {}
        self.floor = -NEVER  # clock of those that are not even remembered: nobody goes back behind it
        self.room = plan.max_series  # places left; OTHER and roll-ups take none
        self.table = Table(
            np.full(64, -1, np.int32),
            np.zeros(0, np.uint64),
            np.zeros(0, np.uint8),
            np.zeros((0, 3), np.int64),
            np.zeros((0, 3), np.int32),
            -1,
        )
        self._used = 0  # of the table's bytes
        self.clocks = _empty_clocks(0, plan)
        self.expires = np.zeros(0, np.bool_)  # whether it takes a place, which silence gives free
        self.mark = np.zeros(0, np.int64)  # panes and windows that end by it have been dealt with
        self.late_reported = np.zeros((0, len(self.specs)), np.int64)
        self.full = np.zeros((0, len(self.specs)), np.int64)  # start of the last closed window with events, or -NEVER

    def __len__(self) -> int:
        return len(self.names)

    def add(self, series: Series, layout: Layout) -> int:
        """A series that has no place; returns its number. Its roll-ups come first, if they are new."""
        rollups = [] if series == OTHER or is_rollup(series) else [rollup.of(series) for rollup in self._plan.rollups]
        above = [self.numbers[r] if r in self.numbers else self.add(r, self._plan.layout(r)) for r in rollups]
        number = len(self.names)
        if number == len(self.clocks.own):
            self._grow(max(16, number))
        self.names.append(series)
        self.numbers[series] = number
        self.layouts.append(layout)
        mine = self._plan.windows_of(series)
        self.windows.append([k for k, spec in enumerate(self.specs) if spec in mine])
        self.held.append({})
        self.members.append([])
        self.waiting.append(set())
        for rollup in above:
            self.members[rollup] = sorted([*self.members[rollup], number], key=self.names.__getitem__)
        self.clocks.rollups[number, : len(above)] = above
        self.clocks.counted[number] = bool(mine) or any(self.windows[rollup] for rollup in above)
        self.expect(number, layout)
        self._remember(number, self.past.pop(series, None))
        self.expires[number] = series != OTHER and not is_rollup(series)
        self.room -= int(self.expires[number])
        unknown = -1 if self.room else self.numbers.get(OTHER, -1)
        self.table = self.table._replace(unknown=unknown)
        self._enter(number)
        return number

    def find(self, series: Series) -> int:
        """Number of the series that events with this key count for."""
        return self.numbers.get(series, self.table.unknown)

    @property
    def nbytes(self) -> int:
        """Of the arrays."""
        arrays = (*self.clocks, self.mark, self.late_reported, self.full, *self.table[:-1])
        return sum(array.nbytes for array in arrays)

    def expect(self, number: int, layout: Layout) -> None:
        """Set the names and dimensions of a series."""
        self.layouts[number] = layout
        self.clocks.dims[number] = (len(layout.features), len(layout.classes), layout.embedding)

    def clock_before(self, series: Series, progress: int) -> int:
        """Clock of a series that has no place: as it went on since it had one, or the floor."""
        past = self.past.get(series)
        if past is None:
            return self.floor
        return int(clock_now(past.own, past.clock, past.p0, progress, self._plan.idle_grace))

    def count_late(self, series: Series) -> None:
        """A late event of a series that has no place; it is late for its roll-ups too."""
        for each in (series, *(rollup.of(series) for rollup in self._plan.rollups)):
            if each in self.numbers:
                self.clocks.late[self.numbers[each]] += 1
            elif each in self.past:
                self.past[each] = self.past[each]._replace(late=self.past[each].late + 1)

    def advance_past(self, progress: int, silence: int) -> None:
        """The clocks of those without a place advance with the others."""
        for series, past in self.past.items():
            self.past[series] = past._replace(clock=self.clock_before(series, progress) + silence)

    def rollups_of(self, number: int) -> list[int]:
        """Roll-ups that a series is a member of."""
        return [rollup for rollup in self.clocks.rollups[number].tolist() if rollup >= 0]

    def clock(self, number: int, progress: int) -> int:
        """Clock of one series, likewise."""
        c = self.clocks
        return int(clock_now(c.own[number], c.clock[number], c.p0[number], progress, self._plan.idle_grace))

    def clocks_at(self, progress: int) -> NDArray[np.int64]:
        """Clock of every series when the partition has progressed so far (timeline.clock_now, for all)."""
        c, n = self.clocks, len(self)
        silent: NDArray[np.int64] = np.maximum(0, progress - c.p0[:n] - self._plan.idle_grace)
        now: NDArray[np.int64] = np.maximum(np.maximum(c.clock[:n], c.own[:n]), c.own[:n] + silent)
        return now

    def next_due(self) -> int:
        """The least P at which something is due in a series that stays silent: to seal, to close, to give a place."""
        c, n = self.clocks, len(self)
        live = c.due[:n] < NEVER
        empty = self.expires[:n] & ~live & ~np.fromiter(map(bool, self.held), np.bool_, n)
        closes = c.due[:n][live] - c.own[:n][live] + c.p0[:n][live] + self._plan.idle_grace
        expires = c.p0[:n][empty] + self._plan.expire_after
        return int(min(closes.min(initial=NEVER), expires.min(initial=NEVER)))

    def expired(self, progress: int) -> list[int]:
        """Series that hold nothing, and have been silent while the partition progressed by expire_after. A roll-up
        stays while a member does.
        """
        c, n = self.clocks, len(self)
        old = set(np.flatnonzero((c.due[:n] == NEVER) & (progress - c.p0[:n] >= self._plan.expire_after)).tolist())
        plain = {number for number in old if self.expires[number] and not self.held[number]}
        return sorted(n for n in old if n in plain or (is_rollup(self.names[n]) and plain.issuperset(self.members[n])))

    def without(self, gone: Collection[int], now: NDArray[np.int64]) -> tuple[SeriesBook, NDArray[np.intp]]:
        """A book without those series, of which it remembers the clock `now`; and the old numbers of the others."""
        book = SeriesBook(self._plan)
        book.past, book.floor = dict(self.past), self.floor
        for number in gone:
            book.past[self.names[number]] = self.past_of(number, int(now[number]))
        kept = np.array([number for number in range(len(self)) if number not in gone], np.intp)
        for number in kept:  # a roll-up before its members, so no number comes out of turn
            book.add(self.names[number], self.layouts[number])
        fresh: tuple[NDArray[Any], ...] = book.clocks
        before: tuple[NDArray[Any], ...] = self.clocks
        for new, old in enumerate(kept):
            book.held[new] = self.held[old]
            book.waiting[new] = self.waiting[old]
            for array, mine in zip(fresh, before, strict=True):
                if mine is not self.clocks.rollups:
                    array[new] = mine[old]
            for name in ("mark", "late_reported", "full"):
                getattr(book, name)[new] = getattr(self, name)[old]
        book._forget()
        return book, kept

    def past_of(self, number: int, clock: int) -> Past:
        """What is remembered of a series whose clock is `clock`."""
        c = self.clocks
        reported, full = (tuple(rows[number].tolist()) for rows in (self.late_reported, self.full))
        return Past(
            int(c.own[number]), clock, int(c.p0[number]), int(c.late[number]), int(self.mark[number]), reported, full
        )

    def _forget(self) -> None:
        """Of too many, those with the least clocks; nobody goes back behind them."""
        over = len(self.past) - FORGET_BEYOND * self._plan.max_series
        for series in sorted(self.past, key=lambda series: (self.past[series].clock, series))[: max(0, over)]:
            self.floor = max(self.floor, self.past.pop(series).clock)

    def _remember(self, number: int, past: Past | None) -> None:
        """Go on where the series left off; a new one begins at the floor."""
        c = self.clocks
        if past is None:
            c.clock[number], self.full[number] = self.floor, -NEVER
            self.mark[number] = self.floor - self._plan.allowed_lateness
        else:
            c.own[number], c.clock[number], c.p0[number], c.late[number], self.mark[number] = past[:5]
            self.late_reported[number], self.full[number] = past.late_reported, past.full

    def _enter(self, number: int) -> None:
        """Into the table, where events find it (not a roll-up: `*` in an event is out of range)."""
        parts = [part.encode() for part in self.names[number]]
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
        if 2 * len(self.names) > len(self.table.places):
            self.table = self.table._replace(places=np.full(2 * len(self.table.places), -1, np.int32))
            for known in range(len(self.names)):
                self._place(known)
        else:
            self._place(number)

    def _place(self, number: int) -> None:
        mask = len(self.table.places) - 1
        place = int(self.table.hash[number]) & mask
        while self.table.places[place] >= 0:
            place = (place + 1) & mask
        self.table.places[place] = number

    def _grow(self, more: int) -> None:
        old: tuple[Any, ...] = self.clocks
        fresh: tuple[Any, ...] = _empty_clocks(more, self._plan)
        self.clocks = Clocks(*(np.concatenate(pair) for pair in zip(old, fresh, strict=True)))
        self.table = self.table._replace(
            hash=_extend(self.table.hash, more),
            start=_extend(self.table.start, more),
            length=_extend(self.table.length, more),
        )
        self.mark = np.concatenate((self.mark, np.full(more, -NEVER)))
        self.late_reported = _extend(self.late_reported, more)
        self.full = _extend(self.full, more)
        self.expires = _extend(self.expires, more)


def is_rollup(series: Series) -> bool:
    return ALL in series[1:]


def series_of(batch: EventBatch, row: int) -> Series:
    """The series of an event; null parts are empty."""
    return Series(batch.text(row, MODEL_ID) or "", batch.text(row, MODEL_VERSION) or "", batch.text(row, LANE) or "")


def _empty_clocks(n: int, plan: Plan) -> Clocks:
    return Clocks(
        own=np.full(n, -NEVER),
        clock=np.full(n, -NEVER),
        p0=np.full(n, FARTHEST),
        due=np.full(n, NEVER),
        late=np.zeros(n, np.int64),
        dims=np.zeros((n, 3), np.int32),
        ring=np.full((n, plan.open_panes), -1, np.int32),
        counted=np.zeros(n, np.bool_),
        rollups=np.full((n, len(plan.rollups)), -1, np.int32),
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
