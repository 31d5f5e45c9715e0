"""A broker in memory, for tests and embedding: the same ports as Kafka's, with commits that are all or nothing.

What is durable outlives the source, sink and store that were made for one worker, so a crash is: make new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from streammon.adapters.changelog import Changelog
from streammon.adapters.changelog_codec import decode_key
from streammon.adapters.codec import to_bytes
from streammon.adapters.records import record_batch
from streammon.core.journal import JournalEntry
from streammon.core.ports import (
    ChangelogKey,
    Committed,
    DeadLetter,
    LateRecord,
    Listener,
    Origin,
    Outputs,
    RecordBatch,
    Restored,
)


class MemoryRecord(NamedTuple):
    """A record of the input; its offset is its place in the list."""

    timestamp: int  # microseconds
    key: bytes | None
    value: bytes | None


@dataclass
class MemoryBroker:
    """One input topic and everything that commits made durable. Outputs are in publishing order, by input partition."""

    topic: str
    log: dict[int, list[MemoryRecord]]
    create_time: bool = False  # timestamps of the input are its producers'
    committed: dict[int, Committed] = field(default_factory=dict)
    changelog: dict[int, dict[ChangelogKey, bytes]] = field(default_factory=dict)
    journal: list[JournalEntry] = field(default_factory=list)
    metrics: dict[int, list[bytes]] = field(default_factory=dict)
    alerts: dict[int, list[bytes]] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    late: list[LateRecord] = field(default_factory=list)
    commits: int = 0


class MemorySource:
    """All partitions of the topic. Each poll reads one piece: (partition, number of records), until all is read."""

    def __init__(self, broker: MemoryBroker, pieces: Iterable[tuple[int, int]]) -> None:
        self.topic = broker.topic
        self._broker, self._log = broker, broker.log
        self._pieces = iter(pieces)
        self._position: dict[int, int] = {}
        self._paused: set[int] = set()
        self._asked: set[int] = set()

    def start(self, listener: Listener) -> None:
        listener.assigned(sorted(self._log))

    def poll(self, timeout: float) -> RecordBatch | None:
        partition, count = next(self._pieces, (None, 0))
        if partition is None:  # the pieces are used up: whole partitions
            partition, count = next(((p, len(self._log[p])) for p in self._log if self._left(p)), (None, 0))
        if partition is None or partition in self._paused:
            return None
        low = self._position[partition]
        records = self._log[partition][low : low + count]
        self._position[partition] = low + len(records)
        if not records:
            return None
        return record_batch(
            [record.value for record in records],
            [record.key for record in records],
            np.full(len(records), partition, np.int64),
            np.arange(low, low + len(records)),
            np.array([record.timestamp for record in records], np.int64),
            lambda row: Origin(records[row].key, records[row].value, ()),
            lambda row: self._broker.create_time,
        )

    def heartbeat(self) -> None:
        """Nobody watches."""

    def is_member(self) -> bool:
        return True

    def seek(self, positions: Mapping[int, int]) -> None:
        self._position = dict(positions)
        self._paused = set()

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= set(partitions)

    def resume(self, partitions: Collection[int]) -> None:
        self._paused -= set(partitions)

    def ask_ends(self, partitions: Collection[int]) -> None:
        self._asked |= set(partitions)

    def confirmed(self) -> dict[int, int | None]:
        asked, self._asked = self._asked, set()
        return {p: None if self._left(p) or p in self._paused else self._position[p] for p in asked}

    def finished(self) -> bool:
        return not any(self._left(partition) for partition in self._log)

    def close(self) -> None:
        """Nothing stays open."""

    def _left(self, partition: int) -> int:
        return 0 if partition in self._paused else len(self._log[partition]) - self._position[partition]


class MemoryStateStore:
    """What the broker holds."""

    def __init__(self, broker: MemoryBroker, changelog: Changelog) -> None:
        self._broker, self._changelog = broker, changelog

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed | None]:
        return {partition: self._broker.committed.get(partition) for partition in partitions}

    def load(self, partition: int, heartbeat: Callable[[], None]) -> Restored:
        restored = self._changelog.restored(partition, self._broker.changelog.get(partition, {}))
        return restored._replace(journal=[e for e in self._broker.journal if e.partition == partition])


class MemorySink:
    """Makes outputs durable at once. `on_step` hears of "before" and "after", and may raise to crash there."""

    def __init__(
        self, broker: MemoryBroker, changelog: Changelog, on_step: Callable[[str], None] = lambda step: None
    ) -> None:
        self._broker, self._changelog, self._on_step = broker, changelog, on_step

    def commit(self, outputs: Outputs) -> str:
        broker = self._broker
        self._on_step("before")
        records = self._changelog.memory(outputs) + self._changelog.snapshots(outputs)
        for metric in outputs.metrics:
            broker.metrics.setdefault(metric.partition, []).append(to_bytes(metric))
        for alert in outputs.alerts:
            broker.alerts.setdefault(alert.partition, []).append(to_bytes(alert))
        broker.dead_letters += outputs.dead_letters
        broker.late += outputs.late
        broker.journal += outputs.journal
        for partition, key, value in records:
            held = broker.changelog.setdefault(partition, {})
            if value is None:
                held.pop(decode_key(key), None)
            else:
                held[decode_key(key)] = value
        token = str(broker.commits)
        broker.commits += 1
        for partition, position in outputs.positions.items():
            broker.committed[partition] = Committed(position, token)
        self._changelog.committed()
        self._on_step("after")
        return token

    def reset(self, fenced: bool) -> None:
        """An outcome here is never unknown."""

    def close(self) -> None:
        """Nothing to flush."""
