"""What waits for the next commit, and the commit: test and judge what closed, publish everything at once.

A commit that is refused waits as it is, and goes first next time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streammon.core.closing import ClosedGroup, Header
from streammon.core.commit import CommitPolicy, CommitSchedule
from streammon.core.journal import JournalEntry
from streammon.core.plan import Plan
from streammon.core.ports import CommitRefusedError, DeadLetter, LateRecord, Observer, Origin, Outputs, Sink
from streammon.core.publish import DriftSuite, metric_events
from streammon.tally import Tally
from streammon.tasks import Mark, Task

RECORD_BYTES = 500  # of a dead letter or late record in memory, beside the record's own


class Outbox:
    """Of all partitions. `now`: seconds on a monotonic clock. `publishes` says which windows are published and judged;
    None: all of them.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        suite: DriftSuite,
        sink: Sink,
        policy: CommitPolicy,
        now: Callable[[], float],
        tally: Tally,
        observer: Observer,
        publishes: Callable[[Header], bool] | None = None,
    ) -> None:
        self._plan, self._suite, self._sink, self._publishes = plan, suite, sink, publishes
        self._now, self._tally, self._observer = now, tally, observer
        self._schedule = CommitSchedule(policy, now())
        self.clear()

    def clear(self) -> None:
        """Forget what waits: somebody else will read those records again."""
        self.closed: list[ClosedGroup] = []
        self._outputs = Outputs()
        self._refused: Outputs | None = None

    def add(
        self,
        events: int,
        closed: Sequence[ClosedGroup],
        letters: Sequence[DeadLetter] = (),
        late: Sequence[LateRecord] = (),
    ) -> None:
        """What came of some records."""
        self.closed += closed
        self._outputs.dead_letters += letters
        self._outputs.late += late
        size = sum(_size(letter.origin) for letter in letters) + sum(_size(record.origin) for record in late)
        self._schedule.progressed(events, bool(closed), size)

    def decided(self, entries: Sequence[JournalEntry]) -> None:
        """Decisions to be journalled."""
        self._outputs.journal += entries
        self._schedule.progressed(0, closed=bool(entries))

    def holds(self, partition: int) -> bool:
        """Whether closed windows of the partition wait."""
        return any(group.headers[0].partition == partition for group in self.closed)

    @property
    def is_due(self) -> bool:
        return self._schedule.due(self._now())

    @property
    def is_refused(self) -> bool:
        """Whether the last commit was undone, and its outputs still wait."""
        return self._refused is not None

    def commit(self, tasks: Mapping[int, Task], snapshot_now: bool = False) -> None:
        """Publish everything since the last commit, unless that is refused. Raises OutcomeUnknownError."""
        if self._refused is not None and not self._send(tasks, self._refused):
            return
        started = self._now()
        with_snapshot = snapshot_now or self._schedule.snapshot_due(started)
        if self._send(tasks, self._prepare(tasks, with_snapshot)):
            self._schedule.committed(self._now(), with_snapshot)
            for partition, task in tasks.items():
                self._observer.filled(partition, task.engine.fill(), task.clock)

    def _prepare(self, tasks: Mapping[int, Task], with_snapshot: bool) -> Outputs:
        outputs, self._outputs = self._outputs, Outputs()
        closed, self.closed = self.closed, []
        if closed:
            started = self._now()
            for header, event, distributions in metric_events(self._plan, closed, self._suite):
                if self._publishes is not None and not self._publishes(header):
                    continue
                outputs.metrics.append(event)
                outputs.alerts += tasks[header.partition].judge.judge(event, header.policy, distributions)
            self._observer.tested(len(outputs.metrics), self._now() - started)
        for partition, task in tasks.items():
            outputs.positions[partition] = task.position
            changes = task.judge.changes()
            if changes:
                outputs.rules[partition] = changes
            if task.is_live and task.mark != task.committed:
                outputs.headers[partition] = task.header()
            if with_snapshot and task.is_live and task.mark != task.snapshotted:
                outputs.snapshots[partition] = task.snapshot()
        return outputs

    def _send(self, tasks: Mapping[int, Task], outputs: Outputs) -> bool:
        """Publish; False when the commit was refused."""
        started = self._now()
        try:
            token = self._sink.commit(outputs)
        except CommitRefusedError as error:
            self._refused = outputs
            self._schedule.refused(self._now())
            self._observer.commit_refused(error)
            return False
        self._refused = None
        for partition in outputs.positions:
            tasks[partition].token = token
        for partition, header in outputs.headers.items():
            tasks[partition].committed = Mark(header.position, header.journal_sequence)
        self._tally.metrics += len(outputs.metrics)
        self._tally.alerts += len(outputs.alerts)
        for alert in outputs.alerts:
            self._observer.alert(alert)
        self._observer.committed(outputs, self._now() - started)
        return True


def _size(origin: Origin) -> int:
    key, value, headers = origin
    return RECORD_BYTES + len(key or b"") + len(value or b"") + sum(len(name) + len(v or b"") for name, v in headers)
