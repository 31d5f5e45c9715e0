"""THE loop: poll, decode, feed, commit; assign and revoke. Live and replay run it with other sources, sinks and stores.

    poll ─► decode ─► engine of the partition ─► closed windows ─► drift suite ─► judge ─► one commit
                          (count, close)              └──────── at the commit ───────┘

What is durable of a partition is a snapshot as of position S and the position C >= S of the last commit, both written
in commits. Recovery restores S, reads the log again up to C with its outputs dropped (they are published) and the
drift suite skipped, and goes live at C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from streammon.core.baseline import Baseline
from streammon.core.closing import ClosedGroup
from streammon.core.commit import CommitPolicy, CommitSchedule
from streammon.core.engine import Fed, rejected
from streammon.core.errors import Code
from streammon.core.events import EventBatch
from streammon.core.journal import Kind
from streammon.core.plan import Plan
from streammon.core.ports import (
    CommitRefusedError,
    DeadLetter,
    Decoder,
    Observer,
    OutcomeUnknownError,
    Outputs,
    RecordBatch,
    Restored,
    Run,
    Sink,
    Source,
    StateStore,
)
from streammon.core.publish import DriftSuite, metric_events
from streammon.core.timeline import NEVER
from streammon.tally import Tally
from streammon.tasks import Task, begin, restore

LONGEST_POLL = 0.1  # seconds: the granularity of time-driven commits


class Runner:
    """Owns the tasks. `start_at` gives first positions to partitions without state, or is None (then it refuses).

    `decides` is False where a given journal holds every decision (replay).
    """

    def __init__(
        self,
        *,
        plan: Plan,
        baselines: Mapping[str, Baseline],
        source: Source,
        sink: Sink,
        store: StateStore,
        decoder: Decoder,
        explain: Callable[[bytes | None, Code], tuple[str | None, str]],
        suite: DriftSuite,
        policy: CommitPolicy,
        now: Callable[[], float],
        start_at: Callable[[Sequence[int]], dict[int, int]] | None,
        decides: bool = True,
        observer: Observer | None = None,
    ) -> None:
        self._plan, self._baselines = plan, baselines
        self._source, self._sink, self._store = source, sink, store
        self._decoder, self._explain, self._suite = decoder, explain, suite
        self._now, self._start_at, self._decides = now, start_at, decides
        self._observer = observer or Observer()
        self._schedule = CommitSchedule(policy, now())
        self._tasks: dict[int, Task] = {}
        self._parked: dict[int, Task] = {}  # taken away after a clean commit; perhaps they come back
        self._epoch = 0  # counts rebalances, to notice one during a recovery
        self._closed: list[ClosedGroup] = []
        self._outputs = Outputs()
        self._refused: Outputs | None = None  # to be sent again before anything else
        self._unknown: OutcomeUnknownError | None = None  # of the last commit, when the partitions were revoked
        self.tally = Tally()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until the source is finished or `stopping()`; ends with a commit."""
        self._source.start(self)
        try:
            while not stopping() and not self._source.finished():
                self.step()
            self._commit()
        except OutcomeUnknownError as error:  # of the last commit: whoever comes next finds out
            self._observer.rebuilt(error)
            self._drop()
        except BaseException:
            self._drop()  # it may be half done: whoever leaves the group now must commit none of it
            raise

    def step(self) -> None:
        """One turn."""
        try:
            records = self._source.poll(LONGEST_POLL)
            if records is not None:
                self._feed(records)
            if self._schedule.due(self._now()):
                self._commit()
        except OutcomeUnknownError as error:
            self._rebuild(error)

    def _feed(self, records: RecordBatch) -> None:
        events = self._decoder.decode(records)
        for run in records.runs:
            task = self._tasks.get(run.partition)
            if task is not None:
                self._feed_run(task, run, records, events)

    def _feed_run(self, task: Task, run: Run, records: RecordBatch, events: EventBatch) -> None:
        """Cut the run where a journal entry takes effect and where the task goes live."""
        offset = records.offset
        low = run.low + int(np.searchsorted(offset[run.low : run.high], task.engine.position))
        while low < run.high:
            first = int(offset[low])
            self._reach(task, first)
            bound = min(task.pending[0].position if task.pending else NEVER, NEVER if task.is_live else task.live_from)
            high = low + int(np.searchsorted(offset[low : run.high], bound))
            fed = task.engine.feed(events.rows(low, high))
            if task.is_live:
                self._keep(task, records, fed, low)
            low = high
        if not task.is_live and task.engine.position >= task.live_from:
            self._reach(task, task.engine.position)

    def _reach(self, task: Task, offset: int) -> None:
        """Take the decisions that come before the record at `offset`; go live if it is the first unpublished one."""
        while task.pending and task.pending[0].position <= offset:
            entry = task.pending.popleft()
            if entry.kind is Kind.POLICY and self._closed:
                self._commit()  # windows closed so far are judged by the old policy
            task.decide(entry)
        if not task.is_live and offset >= task.live_from:
            self._go_live(task)

    def _keep(self, task: Task, records: RecordBatch, fed: Fed, low: int) -> None:
        for row in rejected(fed.verdict):
            self._outputs.dead_letters.append(self._dead_letter(task, records, low + int(row), Code(fed.verdict[row])))
        self._closed += fed.closed
        self.tally.count(fed)
        self._schedule.progressed(len(fed.verdict), bool(fed.closed))

    def _dead_letter(self, task: Task, records: RecordBatch, row: int, code: Code) -> DeadLetter:
        origin = records.origin(row)
        name, message = self._explain(origin.value, code)
        return DeadLetter(
            task.engine.partition, int(records.offset[row]), int(records.timestamp[row]), code, name, message, origin
        )

    def _go_live(self, task: Task) -> None:
        """From here on outputs count. Decide what the settings ask for beyond what the journal says."""
        task.is_live = True
        self._observer.live(task.engine.partition, task.live_from)
        if self._decides:
            entries = task.outstanding(self._plan.policy, self._baselines.values())
            self._outputs.journal += entries
            self._schedule.progressed(0, closed=bool(entries))

    # -- commits -----------------------------------------------------------------------------------------------------

    def _commit(self, snapshot_now: bool = False) -> None:
        """Test and judge what closed, and publish everything since the last commit at once."""
        if not self._tasks:
            return
        if self._refused is not None and not self._send(self._refused):
            return
        started = self._now()
        with_snapshot = snapshot_now or self._schedule.snapshot_due(started)
        if self._send(self._prepare(with_snapshot)):
            self._schedule.committed(self._now(), with_snapshot)

    def _prepare(self, with_snapshot: bool) -> Outputs:
        outputs, self._outputs = self._outputs, Outputs()
        closed, self._closed = self._closed, []
        for header, event in metric_events(self._plan, closed, self._suite):
            outputs.metrics.append(event)
            outputs.alerts += self._tasks[header.partition].judge.judge(event, header.policy)
        for partition, task in self._tasks.items():
            outputs.positions[partition] = task.position
            changes = task.judge.changes()
            if changes:
                outputs.rules[partition] = changes
            if task.is_live and task.position != task.committed:
                outputs.headers[partition] = task.header()
            if with_snapshot and task.is_live and task.position != task.snapshot_position:
                outputs.snapshots[partition] = task.snapshot()
        return outputs

    def _send(self, outputs: Outputs) -> bool:
        """Publish; False when the commit was refused: the same outputs go first next time."""
        started = self._now()
        try:
            token = self._sink.commit(outputs)
        except CommitRefusedError as error:
            self._refused = outputs
            self._schedule.refused(self._now())
            self._observer.commit_refused(error)
            return False
        self._refused = None
        for partition, position in outputs.positions.items():
            if partition in self._tasks:
                self._tasks[partition].committed = position
                self._tasks[partition].token = token
        self.tally.metrics += len(outputs.metrics)
        self.tally.alerts += len(outputs.alerts)
        for alert in outputs.alerts:
            self._observer.alert(alert)
        self._observer.committed(outputs, self._now() - started)
        return True

    # -- partitions --------------------------------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[int]) -> None:
        """Bring the partitions to where their last commit left them, unless another rebalance comes meanwhile."""
        if self._unknown is not None:
            self._sink.reset(self._unknown.fenced)
            self._unknown = None
        self._epoch += 1
        epoch = self._epoch
        committed = self._store.committed(partitions)
        tasks: dict[int, Task] = {}
        fresh: dict[int, Restored] = {}
        for partition in partitions:
            last, parked = committed[partition], self._parked.pop(partition, None)
            if parked is not None and last is not None and last.token and last.token == parked.token:
                self._observer.kept(partition, last.position)
                tasks[partition] = parked
                continue
            restored = self._store.load(partition, self._source.heartbeat)
            if epoch != self._epoch:
                return
            if last is None and restored.header is None and restored.snapshot is None:
                fresh[partition] = restored
                continue
            if restored.header is not None and last != self._store.committed([partition])[partition]:
                return  # somebody else commits to it: a rebalance that takes it away is on its way
            position = None if last is None else last.position
            tasks[partition] = restore(self._plan, self._baselines, partition, position, restored)
            self._observer.restored(partition, restored, tasks[partition].live_from)
        self._parked.clear()
        if fresh:
            tasks |= begin(self._plan, self._baselines, fresh, self._start_at, self._decides)
        self._tasks = tasks
        self._source.seek({partition: task.engine.position for partition, task in tasks.items()})
        for task in tasks.values():
            if task.engine.position >= task.live_from:
                self._reach(task, task.engine.position)
        if fresh:
            self._commit(snapshot_now=True)

    def revoked(self, partitions: Sequence[int]) -> None:
        """Commit while that still counts, with a snapshot, so that whoever comes next starts where we stop."""
        self._epoch += 1
        self._observer.revoked(partitions)
        self._parked = {}
        try:
            self._commit(snapshot_now=True)
            if self._refused is None:
                self._parked = {p: task for p, task in self._tasks.items() if task.is_live}
        except OutcomeUnknownError as error:
            self._observer.rebuilt(error)
            self._unknown = error  # the sink asks the group, which it must not from within the group's own callback
        finally:
            self._drop()

    def lost(self, partitions: Sequence[int]) -> None:
        self._epoch += 1
        self._observer.lost(partitions)
        self._parked = {}
        self._drop()

    def _drop(self) -> None:
        self._tasks, self._closed, self._outputs, self._refused = {}, [], Outputs(), None

    def _rebuild(self, error: OutcomeUnknownError) -> None:
        """The outcome of a commit is unknown: forget what is in memory, and read back what is durable.

        Without membership that is left to the next assignment.
        """
        partitions = sorted(self._tasks)
        while True:
            self._observer.rebuilt(error)
            self._parked = {}
            self._drop()
            epoch = self._epoch
            try:
                self._sink.reset(error.fenced)
                self._source.heartbeat()
                if epoch == self._epoch and self._source.is_member():
                    self.assigned(partitions)
                return
            except OutcomeUnknownError as again:
                error = again
