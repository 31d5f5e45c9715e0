"""Event time of one partition: clocks of series, late events, closing windows. Times are microseconds.

    own     greatest accepted ts of the series
    P       greatest accepted ts of the partition
    P0      P as it was after the series' last accepted event

After each accepted event, for **every** series of the partition:

    clock = max(clock, own, own + max(0, P - P0 - idle_grace))

and after each idle advance by D: clock = clock + D.

A pane is sealed, and an event that belongs into it is late, when `clock >= pane end + allowed_lateness`. A window
closes when `clock >= window end + allowed_lateness`, at the position behind the event after which that became true, or
at the position of the idle advance.

A roll-up is a series of its own, which is fed by its members. An event that is late for its member is late for the
roll-up; one that the member accepts is late for the roll-up alone where the roll-up's clock has sealed its pane.

Nothing here merges anything: a window is the list of its events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import gcd, inf
from typing import Generic, NamedTuple, TypeVar

E = TypeVar("E")  # whatever is kept of an event; this file never looks into it


class Series(NamedTuple):
    model_id: str
    model_version: str
    lane: str


OTHER = Series("__other__", "__other__", "__other__")


class Spec(NamedTuple):
    """Windows [start, start + size) with start = offset + k * slide."""

    size: int
    slide: int
    offset: int = 0

    @property
    def text(self) -> str:
        return f"{self.size}/{self.slide}/{self.offset}"

    def starts(self, ts: int) -> Iterator[int]:
        """Starts of all windows that contain `ts`, the latest first.

        >>> list(Spec(60, 60).starts(60)), list(Spec(60, 20).starts(60))
        ([60], [60, 40, 20])
        """
        start = (ts - self.offset) // self.slide * self.slide + self.offset
        while start + self.size > ts:
            yield start
            start -= self.slide


class Verdict(Enum):
    ACCEPTED = "accepted"
    LATE = "late"
    FUTURE = "future"


@dataclass(frozen=True)
class ClosedWindow(Generic[E]):
    series: Series
    spec: Spec
    start: int
    closing_position: int
    n_late: int  # late events of the series since its previous window of this spec closed
    events: tuple[E, ...]  # in the order of their offsets; none: it follows one with events

    @property
    def end(self) -> int:
        return self.start + self.spec.size


@dataclass
class _SeriesState(Generic[E]):
    """Of a series or a roll-up."""

    specs: tuple[Spec, ...]
    own: int
    p0: int
    clock: int
    open: dict[tuple[Spec, int], list[E]] = field(default_factory=dict)  # events by (spec, window start)
    n_late: dict[Spec, int] = field(default_factory=dict)
    next_end: float = inf  # least end of an open window
    pane_ends: set[int] = field(default_factory=set)  # of panes with an event

    def count_late(self) -> None:
        for spec in self.specs:
            self.n_late[spec] = self.n_late.get(spec, 0) + 1


ROLLUPS: dict[str, Callable[[Series], Series]] = {
    "lanes": lambda series: series._replace(lane="*"),
    "versions": lambda series: series._replace(model_version="*"),
    "model": lambda series: series._replace(model_version="*", lane="*"),
}


class PartitionTimeline(Generic[E]):
    """The records of one partition, fed one by one in the order of their offsets, with idle advances between them.

    `is_for(series, spec)` says which windows a series has. `empty_windows`: so many windows of each spec that follow
    one with events exist without any. A series that holds nothing gives its place among `max_series` free once P has
    progressed by `expire_after` since its last event; nothing else of it is forgotten.
    """

    def __init__(
        self,
        specs: Sequence[Spec],
        allowed_lateness: int = 0,
        idle_grace: int = 0,
        max_future_skew: int = 0,
        *,
        rollups: Iterable[str] = (),
        empty_windows: int = 0,
        max_series: float = inf,
        expire_after: float = inf,
        is_for: Callable[[Series, Spec], bool] = lambda series, spec: True,
    ) -> None:
        self.specs = tuple(specs)
        self.allowed_lateness = allowed_lateness
        self.idle_grace = idle_grace
        self.max_future_skew = max_future_skew
        self.rollups = tuple(ROLLUPS[kind] for kind in rollups)
        self.empty_windows = empty_windows
        self.max_series = max_series
        self.expire_after = expire_after
        self.is_for = is_for
        first = self.specs[0].offset
        self.pane_width = gcd(*(n for s in self.specs for n in (s.size, s.slide, s.offset - first)))
        self.pane_origin = first % self.pane_width
        self.partition_ts: int | None = None  # P
        self.series: dict[Series, _SeriesState[E]] = {}  # roll-ups too
        self.places: set[Series] = set()  # series that count towards max_series

    def counts_for(self, series: Series) -> Series:
        """The series that an event of this one belongs to: itself, or OTHER where there is no place for it."""
        return series if series in self.places or len(self.places) < self.max_series else OTHER

    def feed(
        self, offset: int, timestamp: int, series: Series, ts: int, event: E
    ) -> tuple[Verdict, list[ClosedWindow[E]]]:
        """Take one event. Windows that it closes come in the order in which they are published."""
        if ts > timestamp + self.max_future_skew:
            return Verdict.FUTURE, []
        groups = self._groups(series)
        if self._is_late(series, ts):
            for one in (series, *groups):
                self.series[one].count_late()
            return Verdict.LATE, []
        late_for = [group for group in groups if self._is_late(group, ts)]
        self.partition_ts = ts if self.partition_ts is None else max(self.partition_ts, ts)
        for one in (series, *groups):
            if one in late_for:
                self.series[one].count_late()
            else:
                self._accept(one, ts, event)
        self.places |= {series} - {OTHER}
        self._move_clocks()
        return Verdict.ACCEPTED, self._close(offset + 1)

    def advance(self, position: int, silence: int) -> list[ClosedWindow[E]]:
        """The partition was silent for so long, before the record with offset `position`."""
        for state in self.series.values():
            state.clock += silence
        return self._close(position)

    def clock(self, series: Series) -> int:
        return self.series[series].clock

    def until_due(self) -> int | None:
        """The least silence that seals a pane with an event, or closes a window; None: nothing waits."""
        waits = []
        for state in self.series.values():
            ends = {*state.pane_ends, *(start + spec.size for spec, start in state.open)}
            waits += [wait for end in ends if (wait := end + self.allowed_lateness - state.clock) > 0]
        return min(waits, default=None)

    def _groups(self, series: Series) -> list[Series]:
        """The roll-ups that it is a member of."""
        return [] if series == OTHER else [of(series) for of in self.rollups]

    def pane_start(self, ts: int) -> int:
        return (ts - self.pane_origin) // self.pane_width * self.pane_width + self.pane_origin

    def _pane_end(self, ts: int) -> int:
        return self.pane_start(ts) + self.pane_width

    def _is_late(self, series: Series, ts: int) -> bool:
        state = self.series.get(series)
        return state is not None and state.clock >= self._pane_end(ts) + self.allowed_lateness

    def _accept(self, series: Series, ts: int, event: E) -> None:
        assert self.partition_ts is not None
        state = self.series.get(series)
        if state is None:
            specs = tuple(spec for spec in self.specs if self.is_for(series, spec))
            state = self.series[series] = _SeriesState(specs, own=ts, p0=self.partition_ts, clock=ts)
        state.own = max(state.own, ts)
        state.p0 = self.partition_ts
        state.pane_ends.add(self._pane_end(ts))
        for spec in state.specs:
            for start in spec.starts(ts):
                state.open.setdefault((spec, start), []).append(event)
                for k in range(1, self.empty_windows + 1):
                    state.open.setdefault((spec, start + k * spec.slide), [])
                state.next_end = min(state.next_end, start + spec.size)

    def _move_clocks(self) -> None:
        assert self.partition_ts is not None
        for state in self.series.values():
            progress = max(0, self.partition_ts - state.p0 - self.idle_grace)
            state.clock = max(state.clock, state.own, state.own + progress)

    def _close(self, position: int) -> list[ClosedWindow[E]]:
        due = [
            (start + spec.size, spec, series, start)
            for series, state in self.series.items()
            if state.clock >= state.next_end + self.allowed_lateness
            for spec, start in state.open
            if state.clock >= start + spec.size + self.allowed_lateness
        ]
        closed = []
        for _, spec, series, start in sorted(due):
            state = self.series[series]
            events = tuple(state.open.pop((spec, start)))
            closed.append(ClosedWindow(series, spec, start, position, state.n_late.pop(spec, 0), events))
            state.next_end = min((start + spec.size for spec, start in state.open), default=inf)
        self._free_places()
        return closed

    def _free_places(self) -> None:
        """Of series that have been silent for long and hold nothing."""
        for series in list(self.places):
            assert self.partition_ts is not None
            if self.partition_ts >= self.series[series].p0 + self.expire_after and not self._holds(series):
                self.places.remove(series)

    def _holds(self, series: Series) -> bool:
        """Whether a window of it is open, or a pane with an event is not sealed, in it or in a roll-up."""
        state = self.series[series]
        seal = max(state.pane_ends) + self.allowed_lateness
        return bool(state.open) or any(self.series[one].clock < seal for one in (series, *self._groups(series)))
