"""Event time of one partition: clocks of series, late events, closing windows. Times are microseconds.

    own     greatest accepted ts of the series
    P       greatest accepted ts of the partition
    P0      P as it was after the series' last accepted event

After each accepted event, for **every** series of the partition:

    clock = max(clock, own, own + max(0, P - P0 - idle_grace))

A pane is sealed, and an event that belongs into it is late, when `clock >= pane end + allowed_lateness`. A window
closes when `clock >= window end + allowed_lateness`, at the position behind the event after which that became true.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import gcd, inf
from typing import Generic, NamedTuple, TypeVar

E = TypeVar("E")  # whatever is kept of an event; this file never looks into it


class Series(NamedTuple):
    model_id: str
    model_version: str
    lane: str


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
    events: tuple[E, ...]  # in the order of their offsets

    @property
    def end(self) -> int:
        return self.start + self.spec.size


@dataclass
class _SeriesState(Generic[E]):
    own: int
    p0: int
    clock: int
    open: dict[tuple[Spec, int], list[E]] = field(default_factory=dict)  # events by (spec, window start)
    n_late: dict[Spec, int] = field(default_factory=dict)
    next_end: float = inf  # least end of an open window


class PartitionTimeline(Generic[E]):
    """The records of one partition, fed one by one in the order of their offsets."""

    def __init__(
        self, specs: Sequence[Spec], allowed_lateness: int = 0, idle_grace: int = 0, max_future_skew: int = 0
    ) -> None:
        self.specs = tuple(specs)
        self.allowed_lateness = allowed_lateness
        self.idle_grace = idle_grace
        self.max_future_skew = max_future_skew
        first = self.specs[0].offset
        self.pane_width = gcd(*(n for s in self.specs for n in (s.size, s.slide, s.offset - first)))
        self.pane_origin = first % self.pane_width
        self.partition_ts: int | None = None  # P
        self.series: dict[Series, _SeriesState[E]] = {}

    def feed(
        self, offset: int, timestamp: int, series: Series, ts: int, event: E
    ) -> tuple[Verdict, list[ClosedWindow[E]]]:
        """Take one event. Windows that it closes come in the order in which they are published."""
        if ts > timestamp + self.max_future_skew:
            return Verdict.FUTURE, []
        state = self.series.get(series)
        if state is not None and state.clock >= self._pane_end(ts) + self.allowed_lateness:
            for spec in self.specs:
                state.n_late[spec] = state.n_late.get(spec, 0) + 1
            return Verdict.LATE, []
        self._accept(series, state, ts, event)
        self._move_clocks()
        return Verdict.ACCEPTED, self._close(offset + 1)

    def clock(self, series: Series) -> int:
        return self.series[series].clock

    def _pane_end(self, ts: int) -> int:
        pane = (ts - self.pane_origin) // self.pane_width
        return self.pane_origin + (pane + 1) * self.pane_width

    def _accept(self, series: Series, state: _SeriesState[E] | None, ts: int, event: E) -> None:
        self.partition_ts = ts if self.partition_ts is None else max(self.partition_ts, ts)
        if state is None:
            state = self.series[series] = _SeriesState(own=ts, p0=self.partition_ts, clock=ts)
        state.own = max(state.own, ts)
        state.p0 = self.partition_ts
        for spec in self.specs:
            for start in spec.starts(ts):
                state.open.setdefault((spec, start), []).append(event)
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
        return closed
