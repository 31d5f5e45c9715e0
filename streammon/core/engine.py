"""The engine of one partition: events in, closed windows out. Deterministic: a function of (log, journal) alone.

    event of series A  ──► pane ──► pane ──► pane │ sealed by A's clock ──► window closes at this event's position
    event of series B  ──►  its own panes         │ a silent A is moved by the partition's progress, after idle_grace

`feed` places events with one compiled pass (timeline.route), adds them to their panes' aggregates, and closes windows
at the exact event that makes them due, so any split of the log into batches gives the same windows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core import timeline
from streammon.core.active import ActiveBaselines
from streammon.core.baseline import Baseline, Layout
from streammon.core.closing import ClosedGroup, Closing, Header, grouped
from streammon.core.errors import Code, UsageError
from streammon.core.events import TS, EventBatch
from streammon.core.journal import JournalEntry, Kind
from streammon.core.outputs import OTHER, BaselineState, Series, WindowSpec
from streammon.core.panes import Panes
from streammon.core.plan import Plan, Policy
from streammon.core.ports import Fill
from streammon.core.series import SeriesBook, series_of
from streammon.core.state import ActiveBaseline
from streammon.core.timeline import NEVER, NONE, STAMPS, P, Scale
from streammon.core.windows import next_end, starts


class Fed(NamedTuple):
    """What a batch did."""

    closed: list[ClosedGroup]
    verdict: NDArray[np.uint8]  # [n] errors.Code of each row, or timeline.LATE


class Engine:
    """Counts and closes. `baselines` are those that entries may activate, by id."""

    def __init__(self, plan: Plan, partition: int, baselines: Mapping[str, Baseline]) -> None:
        self.plan = plan
        self.partition = partition
        self.policy = Policy()
        self.position = 0  # next offset
        self._baselines = ActiveBaselines(baselines, f"partition {partition} of {plan.topic}")
        self._scale = Scale(
            plan.pane_width, plan.pane_origin, plan.allowed_lateness, plan.idle_grace, plan.max_future_skew
        )
        self.specs = tuple(sorted(plan.windows))
        self.series = SeriesBook(plan.open_panes, len(self.specs))
        self.panes = Panes()
        self.progress = np.array([-NEVER // 2, NEVER], np.int64)
        self._mismatched: set[int] = set()

    def feed(self, batch: EventBatch) -> Fed:
        """Take the next events of the partition, in offset order."""
        verdict = batch.code.copy()
        store = np.zeros(len(batch), np.int32)
        slot = np.full(len(batch), -1, np.int32)
        closed: list[ClosedGroup] = []
        added = row = 0
        while row < len(batch):
            row, reason = timeline.route(
                row,
                batch.timestamp,
                batch.ints,
                batch.buffer,
                batch.string_start,
                batch.string_length,
                batch.list_length,
                self.series.table,
                self.series.clocks,
                self.progress,
                self.panes.table,
                self._scale,
                verdict,
                store,
                slot,
            )
            if reason == timeline.NEW_SERIES:
                if not self._meet(batch, row):
                    verdict[row] = Code.DIMENSION  # so `route` goes on behind it
            elif reason == timeline.NEW_PANE:
                self._new_pane(batch, row)
            elif reason == timeline.NEW_STAMP:
                self._new_stamps(batch, row)
            else:
                self._add(batch, added, row, store, slot)
                added = row
                if reason == timeline.WINDOW_DUE:
                    closed += self._close(int(batch.offset[row - 1]) + 1)
        if len(batch):
            self.position = int(batch.offset[-1]) + 1
        return Fed(closed, verdict)

    def decide(self, entry: JournalEntry) -> None:
        """Take a decision of the journal, which takes effect before the record at its position."""
        value = json.loads(entry.value)
        if entry.kind is Kind.POLICY:
            self.policy = Policy.parse(value["rules"])
        elif entry.kind is Kind.BASELINE:
            self.activate(ActiveBaseline(**value))
        else:
            raise UsageError(
                f"journal of partition {self.partition}, sequence {entry.sequence}: entries of kind {entry.kind} were "
                "written by a newer streammon: use that version"
            )

    @property
    def active(self) -> list[ActiveBaseline]:
        """Baselines that are in force, in order of activation."""
        return self._baselines.entries

    def activate(self, active: ActiveBaseline) -> None:
        """A baseline is in force for panes that start at or after `effective_from`."""
        baseline = self._baselines.add(active)
        for number, series in enumerate(self.series.names):
            if (series.model_id, series.model_version) == (active.model_id, active.model_version):
                self._take_layout(number, baseline.layout)

    def time_of(self, model_id: str, model_version: str) -> int | None:
        """Greatest accepted ts of a model version's series, None before its first event."""
        own = [
            int(self.series.clocks.own[number])
            for number, series in enumerate(self.series.names)
            if (series.model_id, series.model_version) == (model_id, model_version)
        ]
        return max(own, default=None)

    def _take_layout(self, number: int, layout: Layout) -> None:
        """Names and dimensions of a series are set once; a baseline with others is a mismatch."""
        known = self.series.layouts[number]
        if known == Layout():
            self.series.expect(number, layout)
        elif known != layout:
            self._mismatched.add(number)

    def _meet(self, batch: EventBatch, row: int) -> bool:
        """The first event of a series, or the first beyond the limit. False, and nothing is kept, where it is bad.

        So a series is known exactly from its first accepted event on: one that is met is not late.
        """
        series = series_of(batch, row) if len(self.series) < self.plan.max_series else OTHER
        layout = self._first_layout(series)
        lengths = len(layout.features), len(layout.classes), layout.embedding
        if not all(timeline.right_size(*pair) for pair in zip(lengths, batch.list_length[row].tolist(), strict=True)):
            return False
        self.new_series(series)
        return True

    def new_series(self, series: Series) -> None:
        """A series that is not known yet."""
        number = self.series.add(series, self._first_layout(series))
        for baseline in self._baselines.of(series):
            self._take_layout(number, baseline.layout)

    def _first_layout(self, series: Series) -> Layout:
        return next((baseline.layout for baseline in self._baselines.of(series)), self.plan.layout(series))

    def _new_pane(self, batch: EventBatch, row: int) -> None:
        number, pane_number = self._place(batch, row)
        name, layout = self.series.names[number], self.series.layouts[number]
        self.open_pane(number, pane_number, self._baselines.at(name, self.pane_start(pane_number), layout))

    def _new_stamps(self, batch: EventBatch, row: int) -> None:
        number, pane_number = self._place(batch, row)
        pane = self.series.live[number][pane_number]
        for k, column in enumerate(STAMPS):
            text = batch.text(row, column)
            if text is not None and self.panes.table.stamps[pane, k] == NONE:
                self.panes.set_stamp(pane, k, text)

    def _place(self, batch: EventBatch, row: int) -> tuple[int, int]:
        """Number of an event's series, and of its pane."""
        pane_number = (int(batch.ints[row, TS]) - self.plan.pane_origin) // self.plan.pane_width
        return self.series.find(series_of(batch, row)), pane_number

    def open_pane(self, number: int, pane_number: int, baseline: Baseline | None, layout: Layout | None = None) -> int:
        """A new live pane of a series; returns its id. `layout` is the series' own if not given."""
        pane = self.panes.open(pane_number, number, layout or self.series.layouts[number], baseline)
        ring = self.series.clocks.ring
        ring[number, pane_number % ring.shape[1]] = pane
        self.series.live[number][pane_number] = pane
        self.series.clocks.due[number] = min(int(self.series.clocks.due[number]), self._due(number, pane_number))
        return pane

    def _add(self, batch: EventBatch, low: int, high: int, store: NDArray[np.int32], slot: NDArray[np.int32]) -> None:
        for kind, target in enumerate(self.panes.stores):
            rows = low + np.flatnonzero((slot[low:high] >= 0) & (store[low:high] == kind))
            if len(rows):
                target.add(batch, rows, slot[rows])

    def pane_start(self, pane_number: int) -> int:
        return self.plan.pane_origin + pane_number * self.plan.pane_width

    def _due(self, number: int, pane_number: int) -> int:
        """Clock at which the next window that contains the pane closes, NEVER when all have."""
        start = self.pane_start(pane_number)
        mark = int(self.series.mark[number])
        ends = [next_end(spec, start, start + self.plan.pane_width, mark) for spec in self.specs]
        return min((end + self.plan.allowed_lateness for end in ends if end is not None), default=NEVER)

    def fill(self) -> Fill:
        """How full it is."""
        return Fill(len(self.series), len(self.panes), self.panes.nbytes + self.series.nbytes)

    def clocks_now(self) -> NDArray[np.int64]:
        """Clock of every series at the current position."""
        return self.series.clocks_at(int(self.progress[P]), self.plan.idle_grace)

    def _close(self, position: int) -> list[ClosedGroup]:
        """Close every window that is due at this position."""
        now, c = self.clocks_now(), self.series.clocks
        windows: list[Closing] = []
        for number in np.flatnonzero(now >= c.due[: len(now)]):
            c.clock[number] = now[number]
            windows += self._close_series(int(number), int(now[number]) - self.plan.allowed_lateness, position)
        windows.sort(key=lambda window: window.header.order)
        groups = grouped(self.panes, windows)
        for series in {window.header.series for window in windows}:
            self._expire(self.series.numbers[series])
        self.reschedule()
        return groups

    def reschedule(self) -> None:
        """Recompute the least P at which a silent series has a window due."""
        self.progress[timeline.DUE] = self.series.next_due(self.plan.idle_grace)

    def _close_series(self, number: int, mark: int, position: int) -> list[Closing]:
        after, width = int(self.series.mark[number]), self.plan.pane_width
        live = self.series.live[number]
        windows = []
        for k, spec in enumerate(self.specs):
            panes: dict[int, list[int]] = {}  # of each window, in order of pane number
            for pane_number in sorted(live):
                pane_start = self.pane_start(pane_number)
                for start in starts(spec, pane_start, pane_start + width, after, mark):
                    panes.setdefault(start, []).append(live[pane_number])
            for start in sorted(panes):
                late = int(self.series.clocks.late[number])
                n_late = late - int(self.series.late_reported[number, k])
                self.series.late_reported[number, k] = late
                header = self._header(number, spec, start, panes[start], n_late, position)
                windows.append(Closing(header, panes[start]))
        self.series.mark[number] = mark
        return windows

    def _header(
        self, number: int, spec: WindowSpec, start: int, panes: list[int], n_late: int, position: int
    ) -> Header:
        baselines = {self.panes.baseline(pane) for pane in panes}
        baseline = next(iter(baselines)) if len(baselines) == 1 else None
        if len(baselines) > 1:
            state = BaselineState.SPANS_TWO
        elif baseline is not None:
            state = BaselineState.OK
        else:
            state = BaselineState.MISMATCH if number in self._mismatched else BaselineState.NO_BASELINE
        (data_hash, several_data), (git_commit, several_commits) = (self.panes.stamp(panes, k) for k in range(2))
        return Header(
            self.partition,
            position,
            self.series.names[number],
            spec,
            start,
            int(self.panes.table.n[panes].sum()),
            n_late,
            baseline,
            state,
            data_hash,
            git_commit,
            several_data or several_commits,
            self.policy,
        )

    def _expire(self, number: int) -> None:
        """Drop the panes all of whose windows have closed, and find when the next window is due."""
        live, ring = self.series.live[number], self.series.clocks.ring
        due = NEVER
        for pane_number in list(live):
            at = self._due(number, pane_number)
            if at < NEVER:
                due = min(due, at)
                continue
            pane = live.pop(pane_number)
            if ring[number, pane_number % ring.shape[1]] == pane:
                ring[number, pane_number % ring.shape[1]] = -1
            self.panes.release(pane)
        self.series.clocks.due[number] = due


def rejected(verdict: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Rows that become dead letters."""
    return np.flatnonzero((verdict != Code.OK) & (verdict != timeline.LATE) & (verdict != Code.TOMBSTONE))
