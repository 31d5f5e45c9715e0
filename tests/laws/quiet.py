"""A line whose input is written while it is read, by a script with waits in it: for silence, and producers' clocks.

The world outlives a worker: what was written stays, time goes on, and the next life continues the script.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from streammon.adapters.changelog import Changelog
from streammon.adapters.codec import from_bytes, to_record
from streammon.adapters.memory import MemoryBroker, MemorySink, MemorySource, MemoryStateStore
from streammon.core.commit import CommitPolicy
from streammon.core.journal import Kind
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.core.plan import Plan
from streammon.core.ports import Observer, RecordBatch
from streammon.runner import Runner
from tests.laws.harness import DECODER, SUITE, Crash, log_of, plan_of
from tests.oracle.oracle import Result
from tests.oracle.oracle import run as oracle
from tests.oracle.streams import MINUTE, START, Item, Stream, random_stream

SOON = CommitPolicy(interval=0.5, least=0.1, snapshot_interval=1.0, snapshot_events=10)
IDLE_TIMEOUT = 20.0
TICK = 0.5  # seconds of a turn without records

How = Literal["quiet", "away", "behind"]


class Arrive(NamedTuple):
    """The next records of a partition are written."""

    partition: int
    records: int


class Wait(NamedTuple):
    """Nothing is written. `away`: the broker does not answer. `behind`: the end is further than what can be read, as
    where a transaction is open upstream.
    """

    seconds: float
    how: How = "quiet"


Script = Sequence[Arrive | Wait]


@dataclass
class World:
    """What goes on whether a worker lives or not."""

    script: list[Arrive | Wait]
    written: dict[int, int]
    now: float = 0.0
    how: How = "quiet"


class ScriptedSource(MemorySource):
    """Delivers what is written, and moves the script on where nothing is left to deliver."""

    def __init__(self, broker: MemoryBroker, world: World) -> None:
        super().__init__(broker, [])
        self.world = world

    def poll(self, timeout: float) -> RecordBatch | None:
        world = self.world
        world.now += 0.01
        partition = next((p for p, end in world.written.items() if self._position[p] < end), None)
        if partition is None:
            self._go_on()
            return None
        self._pieces = iter([(partition, world.written[partition] - self._position[partition])])
        return super().poll(timeout)

    def _go_on(self) -> None:
        world = self.world
        if not world.script:
            return
        step = world.script.pop(0)
        world.how = "quiet"
        if isinstance(step, Arrive):
            most = len(self._log[step.partition])
            world.written[step.partition] = min(most, world.written[step.partition] + step.records)
            return
        world.now, world.how = world.now + TICK, step.how
        if step.seconds > TICK:
            world.script.insert(0, step._replace(seconds=step.seconds - TICK))

    def confirmed(self) -> dict[int, int | None]:
        asked, self._asked = self._asked, set()
        lost = self.world.how != "quiet"
        ends = self.world.written
        return {p: None if lost or self._position[p] < ends[p] else ends[p] for p in asked}

    def finished(self) -> bool:
        return not self.world.script and all(self._position[p] >= end for p, end in self.world.written.items())

    def ask_ends(self, partitions: Collection[int]) -> None:
        if self.world.how != "away" or not self._asked:  # one that is open is not asked again
            super().ask_ends(partitions)


@dataclass
class Advances(Observer):
    """What the loop says of silence."""

    advances: list[tuple[int, int, float, int]] = field(default_factory=list)  # partition, position, seconds, windows
    told: int = 0

    def advanced(self, partition: int, position: int, seconds: float, windows: int) -> None:
        self.advances.append((partition, position, seconds, windows))

    def producers_clocks(self) -> None:
        self.told += 1


@dataclass
class QuietLine:
    """Lives of workers in one world. `wall`: seconds since the epoch; None leaves timestamps of producers alone."""

    stream: Stream
    script: Script
    idle_timeout: float | None = IDLE_TIMEOUT
    wall: float | None = None
    decides: bool = True
    pauses: bool = False
    policy: CommitPolicy = SOON
    create_time: bool = False
    troubles: Mapping[int, type[Exception]] = field(default_factory=dict)  # before which commits

    def __post_init__(self) -> None:
        self.plan: Plan = plan_of(self.stream.config, self.stream.topic)
        self.broker = MemoryBroker(self.stream.topic, log_of(self.stream), create_time=self.create_time)
        self.world = World(list(self.script), dict.fromkeys(self.stream.partitions, 0))
        self.heard = Advances()

    def run(self, crashes: Sequence[tuple[int, str]] = ()) -> QuietLine:
        """`crashes`: of each life in turn, (commit, step) at which it ends. The last life goes on to the end."""
        for crash in [*crashes, None]:
            try:
                self._live(crash)
            except Crash:
                continue
        return self

    def replayed(self) -> QuietLine:
        """All that was written, in one piece, with the journal: nothing is measured or decided."""
        written = [Arrive(p, n) for p, n in self.world.written.items()]
        again = replace(self, script=written, idle_timeout=None, wall=None, decides=False, pauses=False, troubles={})
        again.plan = self.plan
        again.broker.journal = list(self.broker.journal)
        return again.run()

    def expected(self) -> Result:
        """What the oracle says, given the decisions."""
        records = {p: items[: self.world.written[p]] for p, items in self.stream.records().items()}
        future: dict[int, list[int]] = {p: [] for p in records}
        for entry in self.entries(Kind.VERDICT):
            future[entry["partition"]].append(entry["position"])
        idle: dict[int, list[tuple[int, int]]] = {p: [] for p in records}
        for entry in self.entries(Kind.IDLE):
            idle[entry["partition"]].append((entry["position"], entry["value"]["advance"]))
        return oracle(records, self.stream.topic, self.stream.config | {"idle": idle, "future": future})

    def entries(self, kind: Kind) -> list[dict[str, Any]]:
        """Of the journal, in the order in which they were committed."""
        return [
            {"partition": e.partition, "position": e.position, "sequence": e.sequence, "value": json.loads(e.value)}
            for e in self.broker.journal
            if e.kind is kind
        ]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        published = self.broker.metrics
        return [to_record(from_bytes(MetricEvent, data)) for p in sorted(published) for data in published[p]]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        published = self.broker.alerts
        return [to_record(from_bytes(AlertEvent, data)) for p in sorted(published) for data in published[p]]

    @property
    def closed(self) -> list[tuple[int, int, int, int]]:
        """(size, start, n, closing position) of windows, starts and sizes in minutes from START."""
        return [
            (
                e["window"]["size"] // MINUTE,
                (e["window"]["start"] - START) // MINUTE,
                e["n"],
                e["closing_position"],
            )
            for e in self.metrics
        ]

    def _live(self, crash: tuple[int, str] | None) -> None:
        seen = {"before": 0, "after": 0}

        def on_step(step: str) -> None:
            if crash is not None and crash == (seen[step], step):
                raise Crash
            seen[step] += 1
            if step == "before" and seen[step] in self.troubles:
                raise self.troubles[seen[step]]("on purpose")

        changelog = Changelog()
        Runner(
            plan=self.plan,
            baselines={},
            source=ScriptedSource(self.broker, self.world),
            sink=MemorySink(self.broker, changelog, on_step),
            store=MemoryStateStore(self.broker, changelog),
            decoder=DECODER,
            explain=lambda value, code, timestamp: (None, code.name),
            suite=SUITE,
            policy=self.policy,
            now=lambda: self.world.now,
            start_at=lambda partitions: dict.fromkeys(partitions, 0),
            decides=self.decides,
            pause_when_undecodable=self.pauses,
            idle_timeout=self.idle_timeout,
            wall=None if self.wall is None else lambda: self.wall or 0.0,
            observer=self.heard,
        ).run(stopping=lambda: False)


def events(*partitions: Sequence[tuple[str, float]], **config: Any) -> Stream:
    """A stream of (lane, minutes from START) by partition, each record stamped with its event's own time."""
    template = next(item.event for item in random_stream(1, 50).partitions[0] if item.event and item.event["features"])
    items = {}
    for number, steps in enumerate(partitions):
        items[number] = [
            Item(ts // 1000 * 1000, "fraud0", b"fraud0", template | {"ts": ts, "lane": lane, "model_version": "1"})
            for lane, minutes in steps
            for ts in [START + round(minutes * MINUTE)]
        ]
    windows = [(MINUTE, MINUTE, 0), (5 * MINUTE, 5 * MINUTE, START % (5 * MINUTE))]
    stream = random_stream(1, 1)
    return replace(stream, partitions=items, config=stream.config | {"windows": windows, "rules": []} | config)
