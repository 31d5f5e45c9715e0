"""From records to what waits for the next commit: decode, count, close; dead letters.

A run of records is cut where a journal entry takes effect, where its task goes live, and behind the record that shows
that the partition cannot be decoded. Never elsewhere: what comes of a record does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from streammon.core.baseline import Baseline
from streammon.core.engine import Fed, rejected
from streammon.core.errors import Code
from streammon.core.events import EventBatch
from streammon.core.journal import Kind
from streammon.core.plan import Plan
from streammon.core.ports import DeadLetter, Decoder, Explain, Observer, RecordBatch, Run
from streammon.core.timeline import NEVER
from streammon.outbox import Outbox
from streammon.tally import Tally, counts
from streammon.tasks import Task


class Intake:
    """Feeds tasks. `decides` is False where a given journal holds every decision; `pauses`: a partition of which most
    records cannot be decoded is read no further.
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
        tally: Tally,
        observer: Observer,
    ) -> None:
        self._plan, self._baselines = plan, list(baselines)
        self._decoder, self._explain = decoder, explain
        self._outbox, self._commit = outbox, commit
        self._decides, self._pauses = decides, pauses
        self._tally, self._observer = tally, observer

    def feed(self, tasks: Mapping[int, Task], records: RecordBatch) -> None:
        """Records of partitions that have no task, or whose task is paused, are left alone."""
        events = self._decoder.decode(records)
        for run in records.runs:
            task = tasks.get(run.partition)
            if task is not None:
                self._feed_run(task, run, records, events)

    def reach(self, task: Task, offset: int) -> None:
        """Take the decisions that come before the record at `offset`; go live if it is the first unpublished one."""
        while task.pending and task.pending[0].position <= offset:
            entry = task.pending.popleft()
            if entry.kind is Kind.POLICY and self._outbox.closed:
                self._commit()  # windows closed so far are judged by the old policy
            task.decide(entry)
        if not task.is_live and offset >= task.live_from:
            self._go_live(task)

    def _feed_run(self, task: Task, run: Run, records: RecordBatch, events: EventBatch) -> None:
        offset = records.offset
        low = run.low + int(np.searchsorted(offset[run.low : run.high], task.engine.position))
        while low < run.high and task.paused is None:
            self.reach(task, int(offset[low]))
            bound = min(task.pending[0].position if task.pending else NEVER, NEVER if task.is_live else task.live_from)
            high = low + int(np.searchsorted(offset[low : run.high], bound))
            if task.is_live and self._pauses:
                high = low + task.decodability.take(events.code[low:high])
            fed = task.engine.feed(events.rows(low, high))
            if task.is_live:
                self._keep(task, records, fed, low)
            if task.decodability.failed:
                self._pause(task, records, high - 1, Code(events.code[high - 1]))
            low = high
        if not task.is_live and task.engine.position >= task.live_from:
            self.reach(task, task.engine.position)

    def _keep(self, task: Task, records: RecordBatch, fed: Fed, low: int) -> None:
        letters = [
            self._dead_letter(task, records, low + int(row), Code(fed.verdict[row])) for row in rejected(fed.verdict)
        ]
        self._outbox.add(len(fed.verdict), fed.closed, letters)
        batch = counts(fed)
        self._tally.add(batch)
        self._observer.fed(task.engine.partition, *batch)

    def _dead_letter(self, task: Task, records: RecordBatch, row: int, code: Code) -> DeadLetter:
        origin, timestamp = records.origin(row), int(records.timestamp[row])
        name, message = self._explain(origin.value, code, timestamp)
        return DeadLetter(task.engine.partition, int(records.offset[row]), timestamp, code, name, message, origin)

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
