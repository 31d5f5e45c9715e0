"""A monitored line of its own for one test: topics, settings, baselines; and the same configuration for the oracle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.kafka.producer import Record
from streammon.adapters.recorded_log import RecordedLog
from streammon.adapters.recorded_source import RecordedSource
from streammon.adapters.schema_files import load_schema
from streammon.baselines.collect import Collector
from streammon.baselines.store import save
from streammon.cli import main
from streammon.settings import CANONICAL_SCHEMA
from streammon.simulate.config import Simulation
from streammon.simulate.output import simulate_to_file
from tests.broker.kafka_tools import produce

SECOND = 1_000_000
TOPICS = ("events", "metrics", "alerts", "dead_letters", "late", "journal", "changelog")
WINDOWS = {
    "10s": (10 * SECOND, 10 * SECOND, 0),
    "30s": (30 * SECOND, 30 * SECOND, 0),
    "5s": (5 * SECOND, 5 * SECOND, 0),
    "15s every 5s": (15 * SECOND, 5 * SECOND, 0),
}
TUMBLING = ("10s", "30s")
LATENESS, GRACE, SKEW = 500_000, 20 * SECOND, 60 * SECOND

# Limits within the noise of the simulated service, so that alerts open, go on and resolve again and again.
RULES: tuple[dict[str, Any], ...] = (
    {"id": "slow", "measurement": "latency.p95", "window": "10s", "above": 22, "consecutive": 2, "cooldown": "20s"},
    {"id": "errors", "measurement": "traffic.rate_5xx", "window": "10s", "above": 0.01, "severity": "P1"},
    {
        "id": "drift",
        "measurement": "feature.psi",
        "window": "10s",
        "above": 0.12,
        "feature": "f*",
        "min_samples": 40,
        "consecutive": 2,
    },
    {"id": "classes", "measurement": "prediction.class_js", "window": "30s", "above": 0.01, "cooldown": "60s"},
)
DELIVERY = {
    "commit_interval": "500ms",
    "snapshot_interval": "2s",
    "session_timeout": "6s",
    "transaction_timeout": "5s",
    "max_batch": 2_000,
}


@dataclass(frozen=True)
class Line:
    """A group with topics of its own, and its settings as they are in the file `config`."""

    bootstrap: str
    folder: Path
    config: Path
    settings: Mapping[str, Any]

    @property
    def group(self) -> str:
        return str(self.settings["group"])

    def topic(self, name: str) -> str:
        """The full name of one of TOPICS."""
        return str(self.settings["topics"][name])

    def with_settings(self, name: str, **changes: Any) -> Line:
        """The same line under other settings, in a file of that name."""
        settings = {**self.settings, **changes}
        config = self.folder / f"{name}.yaml"
        config.write_text(yaml.safe_dump(settings))
        return Line(self.bootstrap, self.folder, config, settings)

    def oracle(self) -> dict[str, Any]:
        """The configuration of tests.oracle."""
        return {
            "windows": [WINDOWS[window] for window in self.settings["windows"]],
            "rollups": list(self.settings.get("rollups", ())),
            "empty_windows": self.settings.get("empty_windows", 0),
            "allowed_lateness": LATENESS,
            "idle_grace": GRACE,
            "max_future_skew": SKEW,
            "max_record_bytes": self.settings.get("input", {}).get("max_record_bytes", 1 << 20),
            "baselines": list(self.settings["baselines"]),
            "models": [_oracle_model(model) for model in self.settings["models"]],
            "rules": [_oracle_rule(rule) for rule in self.settings["rules"]],
        }


def send(line: Line, records: Sequence[Record]) -> None:
    """Write records to the input, and return when the broker has them."""
    produce(line.bootstrap, line.topic("events"), [(None, r.key, r.value, r.timestamp) for r in records])


def make_line(
    bootstrap: str, prefix: str, folder: Path, *, partitions: int, baselines: Sequence[Path] = (), **changes: Any
) -> Line:
    """Writes the settings and has `streammon topics create` make the topics, whose names start with `prefix`."""
    settings = {
        "group": f"{prefix}group",
        "topics": {name: prefix + name for name in TOPICS},
        "kafka": {"bootstrap.servers": bootstrap},
        "windows": list(TUMBLING),
        "allowed_lateness": _duration(LATENESS),
        "idle_grace": _duration(GRACE),
        "max_future_skew": _duration(SKEW),
        # Declared, known by a baseline, or neither.
        "models": [{"match": "digits-[67]", "features": 16, "classes": [str(n) for n in range(10)], "embedding": 64}],
        "baselines": [str(path) for path in baselines],
        "rules": [dict(rule) for rule in RULES],
        "delivery": DELIVERY,
        "device": "cpu",
        "log": {"format": "json"},
    }
    folder.mkdir(parents=True, exist_ok=True)
    line = Line(bootstrap, folder, folder, settings).with_settings("streammon", **changes)
    code = main(["topics", "create", "--config", str(line.config), "--partitions", str(partitions)])
    assert code == 0, f"`streammon topics create` ended with {code}"
    return line


def build_baselines(folder: Path, models: Iterable[int], events: int = 1_500, seed: int = 99) -> list[Path]:
    """A baseline directory for each of the simulated models with these numbers, from about `events` events each."""
    numbers = sorted(models)
    recording = folder / "reference.avro"
    folder.mkdir(parents=True, exist_ok=True)
    count = numbers[-1] + 1
    simulate_to_file(Simulation(events=events * count, end=1_750_000_000 * SECOND, models=count, seed=seed), recording)
    source = RecordedSource(RecordedLog.open([recording]))
    decoder = AvroDecoder([load_schema(CANONICAL_SCHEMA).definition], "single_object", {}, 1 << 20)
    collectors = {number: Collector(f"digits-{number}") for number in numbers}
    while not source.finished():
        records = source.poll(0.0)
        if records is not None:
            batch = decoder.decode(records)
            for collector in collectors.values():
                collector.add(batch)
    paths = []
    for number, collector in collectors.items():
        paths.append(folder / f"digits-{number}")
        save(collector.build(), paths[-1])
    return paths


def _oracle_model(model: Mapping[str, Any]) -> dict[str, Any]:
    return {**model, "features": [f"f{number}" for number in range(model["features"])]}


def _oracle_rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    window = "/".join(map(str, WINDOWS[rule["window"]]))
    return {**rule, "window": window, "cooldown": int(rule.get("cooldown", "0s").removesuffix("s")) * SECOND}


def _duration(microseconds: int) -> str:
    return f"{microseconds // 1000}ms"
