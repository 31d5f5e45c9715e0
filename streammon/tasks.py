"""The task of one partition: its engine, its judge, and what of it is durable.

A task begins at a position that the user names, or is restored: from the snapshot as of position S, with rule memory
as of the last commit at position C. It then reads the log from S, and is not live until C: from there outputs count.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streammon.core import snapshot
from streammon.core.baseline import Baseline
from streammon.core.closing import ClosedGroup
from streammon.core.decodability import Decodability
from streammon.core.engine import Engine
from streammon.core.errors import Code, UsageError
from streammon.core.journal import JournalEntry, Kind
from streammon.core.judge import Judge
from streammon.core.plan import Plan, Policy
from streammon.core.ports import Restored, Snapshot
from streammon.core.state import FORMAT, ActiveBaseline, HeaderState
from streammon.core.timeline import NEVER, P


class Mark(NamedTuple):
    """How far a partition has come."""

    position: int
    sequence: int  # of the next journal entry


@dataclass
class Task:
    """One assigned partition."""

    engine: Engine
    judge: Judge
    live_from: int  # outputs of records before this offset are published already
    sequence: int = 0  # of the next journal entry
    pending: deque[JournalEntry] = field(default_factory=deque)  # entries that the log has not reached
    published: int = 0  # entries of lower sequence were part of a commit, with what they closed
    verdict: tuple[int, Code] | None = None  # the latest of the journal: what the record at an offset gets
    generation: int = 0  # of the last snapshot
    committed: Mark | None = None  # by the last commit
    snapshotted: Mark | None = None
    token: str = ""  # of the last commit
    is_live: bool = False
    decodability: Decodability = field(default_factory=Decodability)  # of what was read live
    paused: str | None = None  # why the partition is read no further

    @property
    def position(self) -> int:
        """What a commit promises: never behind what was committed before."""
        return max(self.engine.position, self.live_from)

    @property
    def mark(self) -> Mark:
        """What a commit makes durable."""
        return Mark(self.position, self.sequence)

    @property
    def clock(self) -> int | None:
        """Greatest accepted ts of the partition, microseconds; None before the first."""
        progress = int(self.engine.progress[P])
        return progress if progress > -NEVER // 2 else None

    def decide(self, entry: JournalEntry) -> list[ClosedGroup]:
        """Take a decision of the journal; windows may close."""
        before = self.engine.policy
        closed = self.engine.decide(entry)
        self.sequence = max(self.sequence, entry.sequence + 1)
        if entry.kind is Kind.POLICY and self.is_live:  # restored memory has the entry's effect already
            self.judge.adopt(before, self.engine.policy)
        if entry.kind is Kind.VERDICT:
            self.verdict = entry.position, Code[json.loads(entry.value)["code"]]
        return closed

    def advance(self, silence: int) -> tuple[JournalEntry, list[ClosedGroup]]:
        """Decide that the partition was silent for so many microseconds: the entry, and what it closes."""
        self.engine.position = self.position
        entry = self._entry(Kind.IDLE, self.position, {"advance": silence})
        return entry, self.decide(entry)

    def refuse(self, offset: int, code: Code) -> JournalEntry:
        """Decide what the record at that offset gets, before it is fed."""
        entry = self._entry(Kind.VERDICT, offset, {"code": code.name})
        self.decide(entry)
        return entry

    def outstanding(self, policy: Policy, baselines: Iterable[Baseline]) -> list[JournalEntry]:
        """Make the decisions that the settings ask for and the journal does not hold yet; returns their entries."""
        entries = []
        engine = self.engine
        engine.position = self.position
        if engine.policy != policy:
            value = {"policy_hash": policy.hash, "rules": policy.records}
            entries.append(self._entry(Kind.POLICY, self.position, value))
            self.decide(entries[-1])
        known = {active.content_hash for active in engine.active}
        for baseline in baselines:
            if baseline.content_hash in known:
                continue
            last = engine.time_of(baseline.model_id, baseline.model_version)
            active = ActiveBaseline(
                baseline.baseline_id,
                baseline.model_id,
                baseline.model_version,
                baseline.content_hash,
                None if last is None else engine.plan.pane_after(last),
            )
            entries.append(self._entry(Kind.BASELINE, self.position, active._asdict()))
            self.decide(entries[-1])
        return entries

    def _entry(self, kind: Kind, position: int, value: Mapping[str, object]) -> JournalEntry:
        """The next one, to be decided."""
        text = json.dumps(value, sort_keys=True, separators=(",", ":"))
        return JournalEntry(self.engine.plan.topic, self.engine.partition, position, self.sequence, kind, text)

    def header(self, keys: int = 0) -> HeaderState:
        """The partition as of now."""
        return HeaderState(
            position=self.position,
            generation=self.generation,
            keys=keys,
            format=FORMAT,
            plan_hash=self.engine.plan.hash,
            policy_hash=self.engine.policy.hash,
            progress=self.clock,
            journal_sequence=self.sequence,
            active_baselines=tuple(self.engine.active),
            counters=snapshot.counters(self.engine),
        )

    def snapshot(self) -> Snapshot:
        """The whole state, as the next generation."""
        self.generation += 1
        self.snapshotted = self.mark
        clocks, panes = snapshot.clocks(self.engine), snapshot.panes(self.engine)
        return Snapshot(self.header(len(clocks) + len(panes)), clocks, panes)


def begin(
    plan: Plan,
    baselines: Mapping[str, Baseline],
    fresh: Mapping[int, Restored],
    start_at: Callable[[Sequence[int]], dict[int, int]] | None,
    decides: bool,
) -> dict[int, Task]:
    """Tasks of partitions that nobody has read yet. A journal that is there already can only be a replay's."""
    journalled = [partition for partition, restored in fresh.items() if restored.journal]
    if journalled and decides:
        raise UsageError(
            f"partition {journalled[0]} of {plan.topic}: there is a journal, but neither position nor state: "
            "another group wrote it. Give this group journal and changelog topics of its own"
        )
    if start_at is None:
        listed = ", ".join(map(str, fresh))
        raise UsageError(
            f"{plan.topic}: no position and no state for partition {listed}: say where to begin with "
            "--start earliest, --start latest or --start TIME"
        )
    tasks = {}
    for partition, position in start_at(list(fresh)).items():
        engine = Engine(plan, partition, baselines)
        engine.position = position
        tasks[partition] = Task(engine, Judge(), position, pending=deque(fresh[partition].journal))
    return tasks


def restore(
    plan: Plan, baselines: Mapping[str, Baseline], partition: int, position: int | None, restored: Restored
) -> Task:
    """The task as its last commit left it. Refuses where position and state do not fit together: nothing is guessed."""
    place = f"partition {partition} of {plan.topic}"
    saved, last = restored.snapshot, restored.header
    if position is None:
        raise UsageError(
            f"{place}: there is state, but the group has no committed position (it expired or was deleted): start "
            "another group, with journal and changelog topics of its own"
        )
    if saved is None or last is None:
        raise UsageError(
            f"{place}: the group has position {position}, but there is no state for it in the changelog: start another "
            "group, or name the changelog topic that belongs to this one"
        )
    if position != last.position:
        raise UsageError(
            f"{place}: the group's position is {position}, but the state says {last.position}: somebody moved "
            "the group's offsets. Put them back, or start another group"
        )
    things = len(saved.clocks) + len(saved.panes)
    if saved.header.keys != things:
        raise UsageError(
            f"{place}: the changelog holds {things} of the {saved.header.keys} things of its snapshot: it was "
            "tampered with, or is not compacted as `streammon topics create` sets it. Start another group"
        )
    engine = snapshot.restore(plan, partition, baselines, saved.header, saved.clocks, saved.panes)
    before = [entry for entry in restored.journal if entry.sequence < saved.header.journal_sequence]
    for entry in before:
        if entry.kind is Kind.POLICY:
            engine.decide(entry)
    if engine.policy.hash != saved.header.policy_hash:
        raise UsageError(
            f"{place}: the journal does not hold the policy in force ({saved.header.policy_hash}): old entries were "
            "deleted. The journal topic must be kept as long as the input; start another group"
        )
    return Task(
        engine,
        Judge(restored.rules),
        position,
        sequence=saved.header.journal_sequence,
        pending=deque(restored.journal[len(before) :]),
        published=last.journal_sequence,
        generation=saved.header.generation,
        committed=Mark(position, last.journal_sequence),
        snapshotted=Mark(saved.header.position, saved.header.journal_sequence),
    )
