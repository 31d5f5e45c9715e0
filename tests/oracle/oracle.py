"""What must be published for a log: `run(records_by_partition, topic, config)`.

Configuration, a plain dict, all durations in microseconds (defaults as in the plan):

    windows           [(size, slide, offset), ...]
    allowed_lateness  10 s
    idle_grace        300 s
    max_future_skew   300 s
    max_series        1,000 of a partition; an event of any further one is one of the series OTHER
    max_record_bytes  1 MiB
    baselines         [directory or Baseline, ...], active from the beginning
    models            [{"match": shell pattern on model_id, "features": [...], "classes": [...], "embedding": 0}, ...]
    rules             [{fields of a threshold rule}, ...]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from tests.oracle.clock import ClosedWindow, PartitionTimeline, Series, Spec, Verdict
from tests.oracle.files import (
    BadRecord,
    Baseline,
    Event,
    Record,
    Shape,
    check_dimensions,
    check_series,
    decode,
    load_baseline,
)
from tests.oracle.judge import Alert, Judge, Metric, metric_id
from tests.oracle.measure import distributions, measure

SECOND = 1_000_000
OTHER = Series("__other__", "__other__", "__other__")


class DeadLetter(NamedTuple):
    partition: int
    offset: int
    code: str


@dataclass
class Result:
    """Metric and alert events lie in the order in which they are published, partition by partition."""

    metrics: dict[str, Metric] = field(default_factory=dict)  # by event_id
    alerts: dict[tuple[str, int], Alert] = field(default_factory=dict)  # by (alert_id, number)
    late: list[tuple[int, int]] = field(default_factory=list)  # (partition, offset)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    tombstones: list[tuple[int, int]] = field(default_factory=list)  # (partition, offset)


class Models:
    """Baselines and declared dimensions by series."""

    def __init__(self, baselines: Iterable[Baseline], declared: Iterable[Mapping[str, Any]]) -> None:
        self.baselines: dict[tuple[str, str], Baseline] = {}
        for baseline in baselines:
            if self.baselines.setdefault((baseline.model_id, baseline.model_version), baseline) is not baseline:
                raise ValueError(f"two baselines of {baseline.model_id} {baseline.model_version}")
        self.declared = list(declared)

    def baseline(self, series: Series) -> Baseline | None:
        return self.baselines.get((series.model_id, series.model_version))

    def shape(self, series: Series) -> Shape:
        if series == OTHER:
            return Shape()
        baseline = self.baseline(series)
        if baseline is not None:
            return baseline.shape
        for model in self.declared:
            if fnmatchcase(series.model_id, model["match"]):
                features, classes = model.get("features", ()), model.get("classes", ())
                return Shape(tuple(features), tuple(classes), model.get("embedding", 0))
        return Shape()


def run(records_by_partition: Mapping[int, Iterable[Record]], topic: str, config: Mapping[str, Any]) -> Result:
    """Every output of a log that is read from position 0 to its end, without idle advances."""
    baselines = [b if isinstance(b, Baseline) else load_baseline(Path(b)) for b in config.get("baselines", ())]
    models = Models(baselines, config.get("models", ()))
    result = Result()
    for partition in sorted(records_by_partition):
        _run_partition(records_by_partition[partition], (topic, partition), config, models, result)
    return result


def _run_partition(
    records: Iterable[Record], source: tuple[str, int], config: Mapping[str, Any], models: Models, result: Result
) -> None:
    topic, partition = source
    timeline: PartitionTimeline[Event] = PartitionTimeline(
        [Spec(*window) for window in config["windows"]],
        config.get("allowed_lateness", 10 * SECOND),
        config.get("idle_grace", 300 * SECOND),
        config.get("max_future_skew", 300 * SECOND),
    )
    judge = Judge(config.get("rules", ()))
    for record in records:
        if record.value is None:
            result.tombstones.append((partition, record.offset))
            continue
        try:
            if len(record.value) > config.get("max_record_bytes", 1 << 20):
                raise BadRecord("OVERSIZED")
            event = decode(record.value) | {"key": record.key}
            check_series(event)
            series = Series(event["model_id"], event["model_version"], event["lane"])
            if event["ts"] > record.timestamp + config.get("max_future_skew", 300 * SECOND):
                raise BadRecord("FUTURE", "ts")
            if event["ts"] <= -(1 << 60):  # no time; sums with it would not fit 64 bits
                raise BadRecord("RANGE", "ts")
            known = timeline.series.keys() - {OTHER}  # those that have had an accepted event
            if series not in known and len(known) >= config.get("max_series", 1000):
                series = OTHER
            check_dimensions(event, models.shape(series))
        except BadRecord as bad:
            result.dead_letters.append(DeadLetter(partition, record.offset, bad.code))
            continue
        verdict, closed = timeline.feed(record.offset, record.timestamp, series, event["ts"], event)
        if verdict is Verdict.LATE:
            result.late.append((partition, record.offset))
        for window in closed:
            metric = metric_event(window, topic, partition, models)
            result.metrics[metric["event_id"]] = metric
            baseline = models.baseline(window.series)
            for alert in judge.judge(metric, distributions(window.events, baseline) if baseline else {}):
                result.alerts[alert["alert_id"], alert["number"]] = alert


def metric_event(window: ClosedWindow[Event], topic: str, partition: int, models: Models) -> Metric:
    """A metric event with the field names of schemas/metric_event.avsc; plan and policy hash left out."""
    baseline = models.baseline(window.series)
    data_hash, several_hashes = only({event["data_hash"] for event in window.events})
    git_commit, several_commits = only({event["git_commit"] for event in window.events})
    metric: Metric = {
        "topic": topic,
        "partition": partition,
        **window.series._asdict(),
        "window": {**window.spec._asdict(), "start": window.start, "end": window.end},
        "revision": 0,
        "n": len(window.events),
        "n_late": window.n_late,
        "closing_position": window.closing_position,
        "baseline_id": baseline.baseline_id if baseline else None,
        "baseline_state": "ok" if baseline else "no_baseline",
        "data_hash": data_hash,
        "git_commit": git_commit,
        "mixed": several_hashes or several_commits,
        "measurements": measure(window.events, window.spec.size, models.shape(window.series), baseline),
    }
    return {"event_id": metric_id(metric), **metric}


def only(values: set[str | None]) -> tuple[str | None, bool]:
    """The only value that is not None, if there is exactly one, and whether there are several."""
    given = sorted(value for value in values if value is not None)
    return given[0] if len(given) == 1 else None, len(given) > 1
