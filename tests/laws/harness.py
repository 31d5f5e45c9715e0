"""Runs streams of the oracle through the real line: decoder, runner, engine, suite, judge, codecs; a broker in memory.

Crashes are data: which commits of which life the worker does not survive, and on which side of becoming durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.changelog import Changelog
from streammon.adapters.codec import from_bytes, to_record
from streammon.adapters.memory import MemoryBroker, MemoryRecord, MemorySink, MemorySource, MemoryStateStore
from streammon.adapters.schema_files import load_schema
from streammon.baselines.build import build
from streammon.core.baseline import Baseline, Layout
from streammon.core.commit import CommitPolicy
from streammon.core.outputs import AlertEvent, MetricEvent, Rollup, WindowSpec
from streammon.core.plan import DAY, ModelShape, Plan, Policy, Scope
from streammon.core.ports import Decoder, Observer, Source
from streammon.core.rules import Threshold
from streammon.core.suite import Suite
from streammon.runner import Runner
from tests.oracle.streams import CLASSES, EMBEDDING, FEATURES, Stream

SUITE = Suite("cpu")
DECODER = AvroDecoder([load_schema("inference_event").definition])
SOON = CommitPolicy(interval=0.5, least=0.1, snapshot_interval=1.0, snapshot_events=40)
AT_THE_END = CommitPolicy(interval=1e9, least=1e9, snapshot_interval=1e9, snapshot_events=1 << 62)
"""One commit, so that the drift suite runs once for a whole stream."""


class Crash(Exception):
    """The worker dies here."""


@dataclass
class Line:
    """A worker's surroundings; `run` is one life after another until the log is read.

    What is durable lies in `broker`; plan and baselines may change between two lives. With `decides` False, the journal
    in the broker holds every decision.
    """

    stream: Stream
    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    policy: CommitPolicy = SOON
    decides: bool = True
    troubles: Mapping[tuple[int, str], type[Exception]] = field(default_factory=dict)  # by (step of a commit, which)
    pauses: bool = False  # where most cannot be decoded
    keeps_late: bool = True
    source: Callable[[MemoryBroker, Iterable[tuple[int, int]]], Source] = MemorySource
    decoder: Decoder = DECODER
    observer: Observer = field(default_factory=Observer)

    def __post_init__(self) -> None:
        self.plan = plan_of(self.stream.config, self.stream.topic)
        self.broker = MemoryBroker(self.stream.topic, log_of(self.stream))

    def run(self, pieces: Iterable[tuple[int, int]] = (), crashes: Sequence[tuple[int, str]] = ()) -> Line:
        """`crashes`: of each life in turn, (commit, step) at which it ends. The last life reads to the end."""
        pieces = list(pieces)
        for crash in [*crashes, None]:
            try:
                self._live(pieces, crash)
            except Crash:
                continue
        return self

    def read(self, *pieces: tuple[int, int]) -> Line:
        """A life that reads these pieces, then stops in good order."""
        self._live(list(pieces), None, len(pieces))
        return self

    def _live(self, pieces: list[tuple[int, int]], crash: tuple[int, str] | None, polls: int | None = None) -> None:
        seen = {"before": 0, "after": 0}

        def on_step(step: str) -> None:
            if crash is not None and crash == (seen[step], step):
                raise Crash
            seen[step] += 1
            if (seen[step], step) in self.troubles:
                raise self.troubles[seen[step], step]("on purpose")

        ticks, turns = count(), count()
        changelog = Changelog()
        Runner(
            plan=self.plan,
            baselines=self.baselines,
            source=self.source(self.broker, pieces),
            sink=MemorySink(self.broker, changelog, on_step),
            store=MemoryStateStore(self.broker, changelog),
            decoder=self.decoder,
            explain=lambda value, code, timestamp: (None, code.name),
            suite=SUITE,
            policy=self.policy,
            now=lambda: next(ticks) * 0.05,
            start_at=lambda partitions: dict.fromkeys(partitions, 0),
            decides=self.decides,
            pause_when_undecodable=self.pauses,
            keeps_late=self.keeps_late,
            observer=self.observer,
        ).run(stopping=lambda: polls is not None and next(turns) >= polls)

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """As read from their topic."""
        return [
            to_record(from_bytes(MetricEvent, data))
            for p in sorted(self.broker.metrics)
            for data in self.broker.metrics[p]
        ]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        return [
            to_record(from_bytes(AlertEvent, data))
            for p in sorted(self.broker.alerts)
            for data in self.broker.alerts[p]
        ]

    @property
    def dead_letters(self) -> list[tuple[int, int, str]]:
        return sorted((letter.partition, letter.offset, letter.code.name) for letter in self.broker.dead_letters)


def log_of(stream: Stream) -> dict[int, list[MemoryRecord]]:
    return {
        partition: [MemoryRecord(item.timestamp, item.key, item.value) for item in items]
        for partition, items in stream.partitions.items()
    }


def plan_of(config: Mapping[str, Any], topic: str) -> Plan:
    """The plan that the oracle's configuration describes."""
    return Plan(
        topic=topic,
        windows=tuple(WindowSpec(*window) for window in config["windows"]),
        allowed_lateness=config["allowed_lateness"],
        idle_grace=config["idle_grace"],
        max_future_skew=config["max_future_skew"],
        max_series=config.get("max_series", 1000),
        expire_after=config.get("expire_after", 7 * DAY),
        empty_windows=config.get("empty_windows", 0),
        rollups=tuple(map(Rollup, config.get("rollups", ()))),
        scopes=tuple(Scope(**scope | {"window": WindowSpec(*scope["window"])}) for scope in config.get("scopes", ())),
        models=tuple(
            ModelShape(m["match"], Layout(tuple(m["features"]), tuple(m["classes"]), m["embedding"]))
            for m in config.get("models", ())
        ),
        policy=Policy(
            tuple(Threshold(**rule) for rule in sorted(config.get("rules", ()), key=lambda rule: str(rule["id"])))
        ),
    )


def reference(model_id: str = "fraud0", seed: int = 0) -> Baseline:
    """A baseline for a model of the streams: a zero-inflated, a heavy-tailed and a plain feature.

    Each holds 1000.0 several times, as the streams do: a value that repeats lies on the edge of a bin of its own.
    """
    rng = np.random.default_rng(seed)
    n = 500
    age = np.where(rng.random(n) < 0.3, 0.0, rng.normal(0, 1, n))
    columns = np.column_stack((age, rng.standard_t(2, n), rng.normal(0.2, 1.1, n)))
    columns[rng.random(columns.shape) < 0.04] = 1000.0
    return build(
        model_id=model_id,
        model_version="1",
        features=columns,
        scores=rng.beta(5, 2, n),
        classes={CLASSES[0]: 320, CLASSES[1]: 180},
        created_at=0,
        feature_names=FEATURES,
        embedding=EMBEDDING,
    )


def saved(baseline: Baseline, folder: Path) -> Path:
    """The baseline as a directory, for the oracle."""
    from streammon.baselines.store import save

    save(baseline, folder)
    return folder
