"""What must be published for a log and its journal: `run(records_by_partition, topic, config)`.

Configuration, a plain dict, all durations in microseconds (defaults as in the plan):

    windows           [(size, slide, offset), ...]
    scopes            [{"window": (size, slide, offset), "model": "*", "version": "*", "lane": "*"}, ...]; a window that
                      has one is for the series that match
    rollups           of "lanes", "versions", "model"
    empty_windows     0: that many windows without events behind one with events
    allowed_lateness  10 s
    idle_grace        300 s
    max_future_skew   300 s
    max_series        1,000 of a partition; an event of any further one is one of the series OTHER
    expire_after      7 d of the partition's progress, after which a silent series gives its place free
    max_record_bytes  1 MiB
    baselines         [directory or Baseline, ...], active from the beginning
    models            [{"match": shell pattern on model_id, "features": [...], "classes": [...], "embedding": 0}, ...]
    rules             [{fields of a threshold rule}, ...]

and the journal, by partition:

    activations       {partition: [(position, directory or Baseline, effective_from), ...]}
    idle              {partition: [(position, advance), ...]} in the order of the decisions
    future            {partition: [offset, ...]} of records that the worker's clock judged FUTURE
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from tests.oracle.clock import OTHER, ClosedWindow, PartitionTimeline, Series, Spec, Verdict
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
from tests.oracle.judge import Alert, Judge, Metric, matches, metric_id
from tests.oracle.measure import distributions, measure

SECOND = 1_000_000
DAY = 86_400 * SECOND


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


class Activation(NamedTuple):
    position: int
    baseline: Baseline
    effective_from: int | None  # for panes that start there or later; None: all


class Models:
    """Baselines and declared dimensions by series, in one partition."""

    def __init__(self, activations: Iterable[Activation], declared: Iterable[Mapping[str, Any]]) -> None:
        self.activations = list(activations)
        self.declared = list(declared)

    def shape(self, series: Series, offset: int) -> Shape:
        """What an event of the series is expected to hold at this offset, by its first baseline or the settings."""
        if series == OTHER:
            return Shape()
        for active in self._of(series, offset):
            return active.baseline.shape
        for model in self.declared:
            if fnmatchcase(series.model_id, model["match"]):
                features, classes = model.get("features", ()), model.get("classes", ())
                return Shape(tuple(features), tuple(classes), model.get("embedding", 0))
        return Shape()

    def baseline(self, series: Series, offset: int, pane_start: int) -> Baseline | None:
        """What the series' pane is compared with: the last activated that is effective at its start."""
        effective = [
            active.baseline
            for active in self._of(series, offset)
            if active.effective_from is None or active.effective_from <= pane_start
        ]
        return effective[-1] if effective else None

    def _of(self, series: Series, offset: int) -> list[Activation]:
        key = series.model_id, series.model_version
        return [
            active
            for active in self.activations
            if (active.baseline.model_id, active.baseline.model_version) == key and active.position <= offset
        ]


class Counted(NamedTuple):
    """An event in windows, with what its pane is built on."""

    event: Event
    shape: Shape
    baseline: Baseline | None


def run(records_by_partition: Mapping[int, Iterable[Record]], topic: str, config: Mapping[str, Any]) -> Result:
    """Every output of a log that is read from position 0 to its end, and of its journal."""
    baselines = list(map(_loaded, config.get("baselines", ())))
    if len({(baseline.model_id, baseline.model_version) for baseline in baselines}) < len(baselines):
        raise ValueError("two baselines of one model version")
    result = Result()
    for partition in sorted(records_by_partition):
        later = config.get("activations", {}).get(partition, ())
        activations = [Activation(0, baseline, None) for baseline in baselines]
        activations += [Activation(position, _loaded(baseline), at) for position, baseline, at in later]
        models = Models(activations, config.get("models", ()))
        _Partition(topic, partition, config, models, result).run(records_by_partition[partition])
    return result


def _loaded(baseline: Baseline | Path | str) -> Baseline:
    return baseline if isinstance(baseline, Baseline) else load_baseline(Path(baseline))


def timeline_of(config: Mapping[str, Any]) -> PartitionTimeline[Any]:
    """The timeline of a partition under a configuration."""
    scopes = [(Spec(*scope["window"]), scope) for scope in config.get("scopes", ())]

    def is_for(series: Series, spec: Spec) -> bool:
        named = [scope for window, scope in scopes if window == spec]
        return not named or any(
            matches(series, *(scope.get(part, "*") for part in ("model", "version", "lane"))) for scope in named
        )

    return PartitionTimeline(
        [Spec(*window) for window in config["windows"]],
        config.get("allowed_lateness", 10 * SECOND),
        config.get("idle_grace", 300 * SECOND),
        config.get("max_future_skew", 300 * SECOND),
        rollups=config.get("rollups", ()),
        empty_windows=config.get("empty_windows", 0),
        max_series=config.get("max_series", 1000),
        expire_after=config.get("expire_after", 7 * DAY),
        is_for=is_for,
    )


class _Partition:
    """One partition on its way through the log."""

    def __init__(self, topic: str, number: int, config: Mapping[str, Any], models: Models, result: Result) -> None:
        self.topic, self.number = topic, number
        self.models, self.result = models, result
        self.timeline: PartitionTimeline[Counted] = timeline_of(config)
        self.judge = Judge(config.get("rules", ()))
        self.idle = list(config.get("idle", {}).get(number, ()))
        self.future = set(config.get("future", {}).get(number, ()))
        self.max_bytes = config.get("max_record_bytes", 1 << 20)
        self.panes: dict[tuple[Series, int], tuple[Shape, Baseline | None]] = {}

    def run(self, records: Iterable[Record]) -> None:
        for record in records:
            self._decide(record.offset)
            if record.value is None:
                self.result.tombstones.append((self.number, record.offset))
                continue
            try:
                event = self._decoded(record)
                series = Series(event["model_id"], event["model_version"], event["lane"])
                series = self.timeline.counts_for(series)
                check_dimensions(event, self.models.shape(series, record.offset))
            except BadRecord as bad:
                self.result.dead_letters.append(DeadLetter(self.number, record.offset, bad.code))
                continue
            counted = Counted(event, *self._pane(series, record.offset, event["ts"]))
            verdict, closed = self.timeline.feed(record.offset, record.timestamp, series, event["ts"], counted)
            if verdict is Verdict.LATE:
                self.result.late.append((self.number, record.offset))
            self._publish(closed)
        self._decide(None)

    def _decide(self, offset: int | None) -> None:
        """Take the idle advances that come before a record; None: all that are left."""
        while self.idle and (offset is None or self.idle[0][0] <= offset):
            position, advance = self.idle.pop(0)
            self._publish(self.timeline.advance(position, advance))

    def _decoded(self, record: Record) -> Event:
        assert record.value is not None
        if record.offset in self.future:
            raise BadRecord("FUTURE", "ts")
        if len(record.value) > self.max_bytes:
            raise BadRecord("OVERSIZED")
        event = decode(record.value) | {"key": record.key}
        check_series(event)
        if event["ts"] > record.timestamp + self.timeline.max_future_skew:
            raise BadRecord("FUTURE", "ts")
        if event["ts"] <= -(1 << 60):  # no time; sums with it would not fit 64 bits
            raise BadRecord("RANGE", "ts")
        return event

    def _pane(self, series: Series, offset: int, ts: int) -> tuple[Shape, Baseline | None]:
        """What the series' pane is built on: it was decided at the pane's first event."""
        start = self.timeline.pane_start(ts)
        built = self.models.shape(series, offset), self.models.baseline(series, offset, start)
        return self.panes.setdefault((series, start), built)

    def _publish(self, closed: Iterable[ClosedWindow[Counted]]) -> None:
        for window in closed:
            metric = metric_event(window, self.topic, self.number)
            self.result.metrics[metric["event_id"]] = metric
            baseline = {counted.baseline for counted in window.events}
            [compared] = baseline if len(baseline) == 1 else [None]
            behind = distributions([counted.event for counted in window.events], compared) if compared else {}
            for alert in self.judge.judge(metric, behind):
                self.result.alerts[alert["alert_id"], alert["number"]] = alert


def metric_event(window: ClosedWindow[Counted], topic: str, partition: int) -> Metric:
    """A metric event with the field names of schemas/metric_event.avsc; plan and policy hash left out."""
    events = [counted.event for counted in window.events]
    baselines = {counted.baseline for counted in window.events}
    shapes = {counted.shape for counted in window.events}
    baseline = next(iter(baselines)) if len(baselines) == 1 else None
    shape = next(iter(shapes)) if len(shapes) == 1 else None if shapes else Shape()
    state = "spans_two" if len(baselines) > 1 else "ok" if baseline else "no_baseline"
    data_hash, several_hashes = only({event["data_hash"] for event in events})
    git_commit, several_commits = only({event["git_commit"] for event in events})
    metric: Metric = {
        "topic": topic,
        "partition": partition,
        **window.series._asdict(),
        "window": {**window.spec._asdict(), "start": window.start, "end": window.end},
        "revision": 0,
        "n": len(events),
        "n_late": window.n_late,
        "closing_position": window.closing_position,
        "baseline_id": baseline.baseline_id if baseline else None,
        "baseline_state": state,
        "data_hash": data_hash,
        "git_commit": git_commit,
        "mixed": several_hashes or several_commits,
        "measurements": measure(events, window.spec.size, shape, baseline, anchored=len(baselines) == 1),
    }
    return {"event_id": metric_id(metric), **metric}


def only(values: set[str | None]) -> tuple[str | None, bool]:
    """The only value that is not None, if there is exactly one, and whether there are several."""
    given = sorted(value for value in values if value is not None)
    return given[0] if len(given) == 1 else None, len(given) > 1
