"""The engine of one partition: events in, closed windows out. Deterministic: a function of (log, journal) alone.

    event of series A  ──► pane ──► pane ──► pane │ sealed by A's clock ──► window closes at this event's position
    event of series B  ──►  its own panes         │ a silent A is moved by the partition's progress, after idle_grace

`feed` places events with one compiled pass (timeline.route), and closes windows at the exact event that makes them due,
so any split of the log into batches gives the same windows. What is sealed does not change any more, so adding events
to their panes and merging these is done once a batch, for all of its windows together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core import timeline
from streammon.core.active import ActiveBaselines
from streammon.core.baseline import Baseline, Layout
from streammon.core.closing import ClosedGroup, Closing, Header, grouped
from streammon.core.errors import Code
from streammon.core.events import TS, EventBatch
from streammon.core.journal import JournalEntry, Kind
from streammon.core.outputs import OTHER, BaselineState, Series
from streammon.core.panes import Panes
from streammon.core.plan import Plan, Policy
from streammon.core.ports import Fill
from streammon.core.sealing import Due, Sealing
from streammon.core.series import SeriesBook, series_of
from streammon.core.state import ActiveBaseline
from streammon.core.timeline import NEVER, NONE, STAMPS, P, Scale
from streammon.core.windows import Block


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
            plan.pane_width,
            plan.pane_origin,
            plan.allowed_lateness,
            plan.idle_grace,
            plan.max_future_skew,
            plan.expire_after,
        )
        self.series = SeriesBook(plan)
        self.panes = Panes()
        self._sealing = Sealing(plan, self.series, self.panes)
        self.progress = np.array([-NEVER // 2, NEVER], np.int64)
        self._mismatched: set[int] = set()
        self._closing: list[Closing] = []  # of this batch

    def feed(self, batch: EventBatch) -> Fed:
        """Take the next events of the partition, in offset order."""
        verdict = batch.code.copy()
        store = np.zeros(len(batch), np.int32)
        slot = np.full(len(batch), -1, np.int32)
        added = row = 0

        def add() -> None:
            nonlocal added
            self._add(batch, added, row, store, slot)
            added = row

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
                verdict[row] = self._meet(batch, row)  # if it is not OK, `route` goes on behind it
            elif reason == timeline.NEW_PANE:
                self._new_pane(batch, row)
            elif reason == timeline.NEW_STAMP:
                self._new_stamps(batch, row)
            elif reason == timeline.IS_DUE:
                self._close(int(batch.offset[row - 1]) + 1, add)
        add()
        if len(batch):
            self.position = int(batch.offset[-1]) + 1
        return Fed(self._closed(), verdict)

    def decide(self, entry: JournalEntry) -> list[ClosedGroup]:
        """Take a decision of the journal, which takes effect before the record at its position; windows may close.

        A verdict is about one record, and so for whoever feeds it: here it changes nothing.
        """
        value = json.loads(entry.value)
        if entry.kind is Kind.POLICY:
            self.policy = Policy.parse(value["rules"])
        elif entry.kind is Kind.BASELINE:
            self.activate(ActiveBaseline(**value))
        elif entry.kind is Kind.IDLE:
            return self._advance(value["advance"], entry.position)
        return []

    def until_due(self) -> int | None:
        """The least silence of the partition, microseconds, that makes something due; None: none can become due."""
        now = self.clocks_now()
        due = self.series.clocks.due[: len(now)]
        waiting = due < NEVER
        return int((due - now)[waiting].min()) if waiting.any() else None

    def _advance(self, silence: int, position: int) -> list[ClosedGroup]:
        """The partition was silent for so long: every clock advances by it."""
        now = self.clocks_now()
        self.series.clocks.clock[: len(now)] = now + silence
        self.series.advance_past(int(self.progress[P]), silence)
        self._close(position, lambda: None)
        return self._closed()

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

    def _meet(self, batch: EventBatch, row: int) -> int:
        """The first event of a series, or the first beyond the limit, or of one that comes back; its verdict.

        A series has a place exactly from its first accepted event on: one that is bad or late is given none.
        """
        series = series_of(batch, row) if self.series.room else OTHER
        layout = self._first_layout(series)
        lengths = len(layout.features), len(layout.classes), layout.embedding
        if not all(timeline.right_size(*pair) for pair in zip(lengths, batch.list_length[row].tolist(), strict=True)):
            return int(Code.DIMENSION)
        pane_end = self.plan.pane_start(self.plan.pane_number(int(batch.ints[row, TS])) + 1)
        if self.series.clock_before(series, int(self.progress[P])) >= pane_end + self.plan.allowed_lateness:
            self.series.count_late(series)
            return timeline.LATE
        self.new_series(series)
        return int(Code.OK)

    def new_series(self, series: Series) -> int:
        """A series that has no place; returns its number."""
        number = self.series.add(series, self._first_layout(series))
        for baseline in self._baselines.of(series):
            self._take_layout(number, baseline.layout)
        return number

    def _first_layout(self, series: Series) -> Layout:
        return next((baseline.layout for baseline in self._baselines.of(series)), self.plan.layout(series))

    def _new_pane(self, batch: EventBatch, row: int) -> None:
        number, pane_number = self._place(batch, row)
        name, layout = self.series.names[number], self.series.layouts[number]
        baseline = self._baselines.at(name, self.plan.pane_start(pane_number), layout)
        self._sealing.open(number, pane_number, self.panes.open(pane_number, layout, baseline), int(self.progress[P]))

    def _new_stamps(self, batch: EventBatch, row: int) -> None:
        number, pane_number = self._place(batch, row)
        pane = self.series.held[number][Block(0, pane_number)].pane
        for k, column in enumerate(STAMPS):
            text = batch.text(row, column)
            if text is not None and self.panes.table.stamps[pane, k] == NONE:
                self.panes.set_stamp(pane, k, text)

    def _place(self, batch: EventBatch, row: int) -> tuple[int, int]:
        """Number of an event's series, and of its pane."""
        return self.series.find(series_of(batch, row)), self.plan.pane_number(int(batch.ints[row, TS]))

    def _add(self, batch: EventBatch, low: int, high: int, store: NDArray[np.int32], slot: NDArray[np.int32]) -> None:
        for kind, target in enumerate(self.panes.stores):
            rows = low + np.flatnonzero((slot[low:high] >= 0) & (store[low:high] == kind))
            if len(rows):
                target.add(batch, rows, slot[rows])

    def fill(self) -> Fill:
        """How full it is."""
        return Fill(len(self.series), len(self.panes), self.panes.nbytes + self.series.nbytes)

    def clocks_now(self) -> NDArray[np.int64]:
        """Clock of every series at the current position."""
        return self.series.clocks_at(int(self.progress[P]))

    def hold(self, number: int, block: Block, pane: int) -> None:
        """Restore a pane or block."""
        self._sealing.hold(number, block, pane)

    def resume(self) -> None:
        """After a restoration: find what is due when."""
        for number in range(len(self.series)):
            self._sealing.reckon(number)
        self._reschedule()

    def _close(self, position: int, add: Callable[[], None]) -> None:
        """Seal and close what is due at this position; series that have expired give their places free.

        `add` adds to the panes the events so far.
        """
        now, c = self.clocks_now(), self.series.clocks
        numbers = np.flatnonzero(now >= c.due[: len(now)]).tolist()
        c.clock[numbers] = now[numbers]
        due = self._sealing.seal({number: int(now[number]) - self.plan.allowed_lateness for number in numbers}, add)
        self._closing += [Closing(self._header(window, position), window.panes) for window in due]
        self._sealing.let_go(numbers)
        self._expire()
        self._reschedule()

    def _closed(self) -> list[ClosedGroup]:
        """The windows that have closed, when all events are in their panes."""
        closing, self._closing = sorted(self._closing, key=lambda window: window.header.order), []
        self.panes.merge()
        groups = grouped(self.panes, closing)
        self.panes.free()
        return groups

    def _reschedule(self) -> None:
        """Recompute the least P at which something is due in a silent series."""
        self.progress[timeline.DUE] = self.series.next_due()

    def _expire(self) -> None:
        gone = self.series.expired(int(self.progress[P]))
        if gone:
            self.series, kept = self.series.without(gone, self.clocks_now())
            self._mismatched = {new for new, old in enumerate(kept.tolist()) if old in self._mismatched}
            self._sealing = Sealing(self.plan, self.series, self.panes)

    def _header(self, window: Due, position: int) -> Header:
        number, held = window.number, window.panes
        baselines: frozenset[str | None] = frozenset().union(*(self.panes.baselines[pane] for pane in held))
        baseline = next(iter(baselines)) if len(baselines) == 1 else None
        if len(baselines) > 1:
            state = BaselineState.SPANS_TWO
        elif baseline is not None:
            state = BaselineState.OK
        else:
            misfits = self._mismatched.intersection([number, *self.series.members[number]])
            state = BaselineState.MISMATCH if held and misfits else BaselineState.NO_BASELINE
        (data_hash, several_data), (git_commit, several_commits) = (self.panes.stamp(held, k) for k in range(2))
        return Header(
            self.partition,
            position,
            self.series.names[number],
            window.spec,
            window.start,
            int(self.panes.table.n[held].sum()),
            window.n_late,
            baseline,
            state,
            data_hash,
            git_commit,
            several_data or several_commits,
            self.policy,
        )


def rejected(verdict: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Rows that become dead letters."""
    odd = np.flatnonzero(verdict)  # few are not OK, which is 0
    rows: NDArray[np.intp] = odd[(verdict[odd] != timeline.LATE) & (verdict[odd] != Code.TOMBSTONE)]
    return rows
