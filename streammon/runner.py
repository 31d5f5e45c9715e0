"""THE loop: poll, decode, feed, commit; assign and revoke. Live and replay run it with other sources, sinks and stores.

    poll ─► decode ─► engine of the partition ─► closed windows ─► drift suite ─► judge ─► one commit
                          (count, close)              └──────── at the commit ───────┘

What is durable of a partition is a snapshot as of position S and the position C >= S of the last commit, both written
in commits. Recovery restores S, reads the log again up to C with its outputs dropped (they are published) and the
drift suite skipped, and goes live at C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from streammon.core.baseline import Baseline
from streammon.core.closing import Header
from streammon.core.commit import CommitPolicy
from streammon.core.plan import SECOND, Plan
from streammon.core.ports import (
    Decoder,
    Explain,
    Observer,
    OutcomeUnknownError,
    RecordBatch,
    Restored,
    Sink,
    Source,
    StateStore,
)
from streammon.core.publish import DriftSuite
from streammon.intake import Intake
from streammon.outbox import Outbox
from streammon.silence import Silence
from streammon.tally import Tally
from streammon.tasks import Task, begin, restore

LONGEST_POLL = 0.1  # seconds: the granularity of time-driven commits


class Runner:
    """Owns the tasks. `start_at` gives first positions to partitions without state, or is None (then it refuses).

    `decides` is False where a given journal holds every decision (replay). With `pause_when_undecodable`, a partition
    of which most records cannot be decoded is read no further, until it is assigned anew. With `keeps_late`, late
    records are among the outputs. After `idle_timeout` seconds of silence of a partition (see silence.py), and not
    before that closes a window, its clocks advance by it; None: never. `wall` is Intake's, `publishes` Outbox's.
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
        explain: Explain,
        suite: DriftSuite,
        policy: CommitPolicy,
        now: Callable[[], float],
        start_at: Callable[[Sequence[int]], dict[int, int]] | None,
        decides: bool = True,
        pause_when_undecodable: bool = False,
        keeps_late: bool = False,
        idle_timeout: float | None = None,
        wall: Callable[[], float] | None = None,
        publishes: Callable[[Header], bool] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._plan, self._baselines = plan, baselines
        self._source, self._sink, self._store = source, sink, store
        self._now, self._start_at, self._decides = now, start_at, decides
        self._observer = observer or Observer()
        self.tally = Tally()
        self._outbox = Outbox(
            plan=plan,
            suite=suite,
            sink=sink,
            policy=policy,
            now=now,
            tally=self.tally,
            observer=self._observer,
            publishes=publishes,
        )
        self._intake = Intake(
            plan=plan,
            baselines=baselines.values(),
            decoder=decoder,
            explain=explain,
            outbox=self._outbox,
            commit=self._commit,
            decides=decides,
            pauses=pause_when_undecodable,
            keeps_late=keeps_late,
            wall=wall,
            tally=self.tally,
            observer=self._observer,
        )
        self._tasks: dict[int, Task] = {}
        self._parked: dict[int, Task] = {}  # taken away after a clean commit; perhaps they come back
        self._held: set[int] = set()  # partitions that the source has been told to pause
        self._idle_timeout, self._silence = idle_timeout, Silence()
        self._epoch = 0  # counts rebalances, to notice one during a recovery
        self._unknown: OutcomeUnknownError | None = None  # of the last commit, when the partitions were revoked
        self._stopping: Callable[[], bool] = lambda: False

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until the source is finished or `stopping()`; ends with a commit, with a snapshot for whoever comes next."""
        self._stopping = stopping
        self._source.start(self)
        try:
            while not stopping() and not self._is_finished:
                self.step()
            if self._is_finished:
                self._reach_the_end()
            self._commit(snapshot_now=not self._is_finished)
            if not self._outbox.is_refused:  # else leaving the group is one more chance
                self._drop()
        except _StoppedEarly:
            self._drop()
        except OutcomeUnknownError as error:  # of the last commit: whoever comes next finds out
            self._observer.rebuilt(error)
            self._drop()
        except BaseException:
            self._drop()  # it may be half done: whoever leaves the group now must commit none of it
            raise

    def step(self) -> None:
        """One turn."""
        self._observer.turned()
        try:
            records = self._source.poll(LONGEST_POLL)
            if records is not None:
                self._intake.feed(self._tasks, records)
            if self._idle_timeout is not None:
                self._listen(records, self._idle_timeout, self._now())
            if self._outbox.is_due:
                self._commit()
            self._steer()
        except OutcomeUnknownError as error:
            self._rebuild(error)

    @property
    def _is_finished(self) -> bool:
        return self._source.finished() and not self._outbox.is_refused

    def _commit(self, snapshot_now: bool = False) -> None:
        if self._tasks:
            self._outbox.commit(self._tasks, snapshot_now)

    def _steer(self) -> None:
        """Read no further where most cannot be decoded, and nowhere while a commit is refused: what waits would grow
        without bound.
        """
        refused = self._outbox.is_refused
        held = {partition for partition, task in self._tasks.items() if refused or task.paused is not None}
        if held != self._held:
            self._source.pause(held - self._held)
            self._source.resume(self._held - held)
            self._held = held

    def _listen(self, records: RecordBatch | None, idle_timeout: float, now: float) -> None:
        """Measure the silence of partitions; where a window waits for that, their clocks advance by it."""
        silence = self._silence
        read = {p for p, task in self._tasks.items() if task.is_live and task.paused is None}
        if self._outbox.is_refused:
            read.clear()
        for partition in {run.partition for run in records.runs} if records is not None else ():
            silence.disturbed(partition, now)
        for partition in self._tasks.keys() - read:
            silence.disturbed(partition, now)
        for partition, end in self._source.confirmed().items():
            silence.answered(partition, end, now)
            if partition in read:
                self._advance(self._tasks[partition], idle_timeout)
        due = [p for p in read if silence.is_due(p, now) and self._tasks[p].engine.until_due() is not None]
        for partition in due:
            silence.asked(partition, now)
        self._source.ask_ends(due)

    def _advance(self, task: Task, idle_timeout: float) -> None:
        partition, least = task.engine.partition, task.engine.until_due()
        measured = int(self._silence.of(partition) * SECOND)
        if least is not None and measured >= max(least, idle_timeout * SECOND):
            self._intake.advance(task, measured)
            self._silence.used(partition)

    def _reach_the_end(self) -> None:
        """Decisions may lie behind the last record."""
        for task in self._tasks.values():
            self._intake.reach(task, task.engine.position)

    # -- partitions --------------------------------------------------------------------------------------------------

    def assigned(self, partitions: Sequence[int]) -> None:
        """Bring the partitions to where their last commit left them, unless another rebalance comes meanwhile."""
        self._epoch += 1
        epoch = self._epoch
        if self._unknown is not None:
            error, self._unknown = self._unknown, None
            self._sink.reset(error.fenced)  # polls
            if epoch != self._epoch:
                return
        self._observer.assigned(partitions)
        committed = self._store.committed(partitions)
        tasks: dict[int, Task] = {}
        fresh: dict[int, Restored] = {}
        for partition in partitions:
            last, parked = committed[partition], self._parked.pop(partition, None)
            if parked is not None and last is not None and last.token and last.token == parked.token:
                self._observer.kept(partition, last.position)
                if parked.paused is not None:
                    self._observer.paused(partition, parked.position, parked.paused)
                tasks[partition] = parked
                continue
            started = self._now()
            restored = self._store.load(partition, self._heartbeat)
            if epoch != self._epoch:
                return
            if last is None and restored.header is None and restored.snapshot is None:
                fresh[partition] = restored
                continue
            if restored.header is not None and last != self._store.committed([partition])[partition]:
                return  # somebody else commits to it: a rebalance that takes it away is on its way
            position = None if last is None else last.position
            tasks[partition] = restore(self._plan, self._baselines, partition, position, restored)
            self._observer.restored(partition, restored, tasks[partition].live_from, self._now() - started)
        self._parked.clear()
        if fresh:
            tasks |= begin(self._plan, self._baselines, fresh, self._start_at, self._decides)
        self._tasks = tasks
        self._source.seek({partition: task.engine.position for partition, task in tasks.items()})
        for task in tasks.values():
            if task.engine.position >= task.live_from:
                self._intake.reach(task, task.engine.position)
        if fresh:
            self._commit(snapshot_now=True)
        self._steer()

    def _heartbeat(self) -> None:
        """During long work before anything was read, which is not worth finishing when the worker is to stop."""
        if self._stopping():
            raise _StoppedEarly
        self._source.heartbeat()
        self._observer.turned()

    def revoked(self, partitions: Sequence[int]) -> None:
        """Commit while that still counts, with a snapshot, so that whoever comes next starts where we stop."""
        self._epoch += 1
        self._observer.revoked(partitions)
        self._parked = {}
        try:
            self._commit(snapshot_now=True)
            if not self._outbox.is_refused:
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
        self._tasks, self._held = {}, set()
        self._silence.clear()
        self._outbox.clear()

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


class _StoppedEarly(Exception):
    """Told to stop during a recovery."""
