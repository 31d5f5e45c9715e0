"""From records to what waits for the next commit: decode, count, close; dead letters and late records.

A run of records is cut where a journal entry takes effect, where its task goes live, and behind the record that shows
that the partition cannot be decoded. Never elsewhere: what comes of a record does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from streammon.core.baseline import Baseline
from streammon.core.engine import Fed, rejected
from streammon.core.errors import Code
from streammon.core.events import TS, EventBatch
from streammon.core.journal import Kind
from streammon.core.plan import SECOND, Plan
from streammon.core.ports import DeadLetter, Decoder, Explain, LateRecord, Observer, RecordBatch, Run
from streammon.core.series import series_of
from streammon.core.timeline import LATE, NEVER
from streammon.outbox import Outbox
from streammon.tally import Counts, Tally, counts
from streammon.tasks import Task

NO_ROWS = np.empty(0, np.uint8)


class Intake:
    """Feeds tasks. `decides` is False where a given journal holds every decision; `pauses`: a partition of which most
    records cannot be decoded is read no further; `keeps_late`: late records go to the outbox too. `wall`: seconds since
    the epoch, by which timestamps of producers are judged; None: they are not.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        baselines: Iterable[Baseline],
        decoder: Decoder,
        explain: Explain,
        outbox: Outbox,
        commit: Callable[[], None],
        decides: bool,
        pauses: bool,
        keeps_late: bool,
        wall: Callable[[], float] | None,
        tally: Tally,
        observer: Observer,
    ) -> None:
        self._plan, self._baselines = plan, list(baselines)
        self._decoder, self._explain = decoder, explain
        self._outbox, self._commit = outbox, commit
        self._decides, self._pauses, self._keeps_late = decides, pauses, keeps_late
        self._wall, self._told = wall, False
        self._tally, self._observer = tally, observer

    def feed(self, tasks: Mapping[int, Task], records: RecordBatch) -> None:
        """Records of partitions that have no task, or whose task is paused, are left alone."""
        events = self._decoder.decode(records)
        if self._wall is not None and not self._told and records.by_producer is not None and records.by_producer(0):
            self._told = True
            self._observer.producers_clocks()
        for run in records.runs:
            task = tasks.get(run.partition)
            if task is not None:
                self._feed_run(task, run, records, events)

    def reach(self, task: Task, offset: int) -> None:
        """Take the decisions that come before the record at `offset`; go live if it is the first unpublished one."""
        while task.pending and task.pending[0].position <= offset:
            entry = task.pending.popleft()
            is_new = not self._decides and entry.sequence >= task.published and entry.position >= task.live_from
            if is_new and not task.is_live:
                self._go_live(task)
            if entry.kind in {Kind.POLICY, Kind.IDLE}:
                self._settle(task)
            closed = task.decide(entry)
            if task.is_live and closed:
                self._publish(task, Fed(closed, NO_ROWS))
        if not task.is_live and offset >= task.live_from:
            self._go_live(task)

    def advance(self, task: Task, silence: int) -> None:
        """Decide that a live partition was silent for so many microseconds."""
        self._settle(task)
        entry, closed = task.advance(silence)
        self._outbox.decided([entry])
        windows = self._publish(task, Fed(closed, NO_ROWS)).windows
        self._observer.advanced(task.engine.partition, entry.position, silence / SECOND, windows)

    def _settle(self, task: Task) -> None:
        """Windows closed so far are judged by the policy that was, and published before those that a decision closes at
        the same position: so neither depends on when a commit comes.
        """
        if self._outbox.holds(task.engine.partition):
            self._commit()

    def _feed_run(self, task: Task, run: Run, records: RecordBatch, events: EventBatch) -> None:
        offset = records.offset
        low = run.low + int(np.searchsorted(offset[run.low : run.high], task.engine.position))
        while low < run.high and task.paused is None:
            self.reach(task, int(offset[low]))
            if task.verdict is not None and task.verdict[0] == offset[low]:
                events.code[low] = task.verdict[1]
            bound = min(task.pending[0].position if task.pending else NEVER, NEVER if task.is_live else task.live_from)
            high = low + int(np.searchsorted(offset[low : run.high], bound))
            if task.is_live and self._pauses:
                high = low + task.decodability.take(events.code[low:high])
            if task.is_live and self._wall is not None:
                self._judge_timestamps(task, records, events, low, high, self._wall())
            fed = task.engine.feed(events.rows(low, high))
            if task.is_live:
                self._keep(task, records, events, fed, low)
            if task.decodability.failed:
                self._pause(task, records, high - 1, Code(events.code[high - 1]))
            low = high
        if not task.is_live and task.engine.position >= task.live_from:
            self.reach(task, task.engine.position)

    def _keep(self, task: Task, records: RecordBatch, events: EventBatch, fed: Fed, low: int) -> None:
        letters = [
            self._dead_letter(task, records, low + int(row), Code(fed.verdict[row])) for row in rejected(fed.verdict)
        ]
        rows = np.flatnonzero(fed.verdict == LATE) if self._keeps_late else ()
        late = [self._late_record(task, records, events, low + int(row)) for row in rows]
        self._publish(task, fed, letters, late)

    def _publish(
        self, task: Task, fed: Fed, letters: Sequence[DeadLetter] = (), late: Sequence[LateRecord] = ()
    ) -> Counts:
        self._outbox.add(len(fed.verdict), fed.closed, letters, late)
        batch = counts(fed)
        self._tally.add(batch)
        self._observer.fed(task.engine.partition, *batch)
        return batch

    def _judge_timestamps(
        self, task: Task, records: RecordBatch, events: EventBatch, low: int, high: int, now: float
    ) -> None:
        """A timestamp that its producer wrote says nothing of an event that lies ahead of this worker's clock too."""
        limit = round(now * SECOND) + self._plan.max_future_skew
        rows = slice(low, high)
        ahead = (records.timestamp[rows] > limit) & (events.ints[rows, TS] > limit) & (events.code[rows] == Code.OK)
        if not ahead.any() or records.by_producer is None:
            return
        for row in (low + np.flatnonzero(ahead)).tolist():
            if records.by_producer(row):
                self._outbox.decided([task.refuse(int(records.offset[row]), Code.FUTURE)])
                events.code[row] = Code.FUTURE

    def _dead_letter(self, task: Task, records: RecordBatch, row: int, code: Code) -> DeadLetter:
        origin, timestamp = records.origin(row), int(records.timestamp[row])
        name, message = self._explain(origin.value, code, timestamp)
        return DeadLetter(task.engine.partition, int(records.offset[row]), timestamp, code, name, message, origin)

    def _late_record(self, task: Task, records: RecordBatch, events: EventBatch, row: int) -> LateRecord:
        """The series is the event's own, also where it counts for another (beyond the limit)."""
        plan, partition = task.engine.plan, task.engine.partition
        end = plan.pane_after(int(events.ints[row, TS]))
        return LateRecord(
            partition,
            int(records.offset[row]),
            int(records.timestamp[row]),
            series_of(events, row),
            end - plan.pane_width,
            end,
            records.origin(row),
        )

    def _pause(self, task: Task, records: RecordBatch, row: int, code: Code) -> None:
        last = self._dead_letter(task, records, row, code)
        where = "" if last.field is None else f" in field {last.field}"
        task.paused = (
            f"{task.decodability.finding}, the last one at offset {last.offset}: {code.name}{where}, {last.message}. "
            "Correct the producers and restart, or correct input.framing or input.schemas and start another group; or "
            "let all of them become dead letters: input.pause_when_undecodable: false"
        )
        self._observer.paused(task.engine.partition, task.position, task.paused)

    def _go_live(self, task: Task) -> None:
        """From here on outputs count. Decide what the settings ask for beyond what the journal says."""
        task.is_live = True
        self._observer.live(task.engine.partition, task.live_from)
        if self._decides:
            self._outbox.decided(task.outstanding(self._plan.policy, self._baselines))
