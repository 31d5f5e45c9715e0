"""The metrics of the endpoint, in a registry of their own, fed by what the loop reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from streammon import __version__
from streammon.core.errors import Code
from streammon.core.outputs import AlertEvent
from streammon.core.ports import Fill, Observer, Outputs, Restored
from streammon.telemetry.health import Health, Phase
from streammon.telemetry.names import BUCKETS, Kind, Metric

Parent = TypeVar("Parent", Counter, Gauge)

LAG_INTERVAL = 1.0  # seconds between two looks at the ends of the log
MICROSECONDS = 1_000_000

_FED = (Metric.EVENTS, Metric.LATE, Metric.TOMBSTONES, Metric.WINDOWS)
_COUNTED = (*_FED, Metric.ADVANCES)  # for each partition
_REASONS = tuple(code.name for code in Code if code not in {Code.OK, Code.TOMBSTONE})


class Metrics(Observer):
    """Nothing here is done per event. Series of a partition exist while it is assigned; its counters begin at 0.

    `health` answers at the moment of a scrape. `ends` gives the ends of the log by partition: the loop's own thread
    asks for them, once in LAG_INTERVAL. Set it once there is a source.
    """

    def __init__(self, topic: str, plan_hash: str, health: Health, now: Callable[[], float]) -> None:
        disable_created_metrics()  # a second series for each counter and histogram, which nobody asks for
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.ends: Callable[[], Mapping[int, int]] = dict
        self._topic, self._now, self._next_look = topic, now, now()
        self._counters = {m: Counter(*_arguments(m), registry=self.registry) for m in _of(Kind.COUNTER)}
        self._gauges = {m: Gauge(*_arguments(m), registry=self.registry) for m in _of(Kind.GAUGE)}
        self._histograms = {
            m: Histogram(*_arguments(m), registry=self.registry, buckets=BUCKETS) for m in _of(Kind.HISTOGRAM)
        }
        self._assigned: dict[int, dict[tuple[Metric, str], Counter | Gauge]] = {}  # their series, by partition
        self._positions: dict[int, int] = {}
        self._began: dict[int, float] = {}  # when a partition began to be read back
        self._gauges[Metric.BUILD].labels(__version__, plan_hash).set(1)
        for metric, answer in {
            Metric.READY: lambda: float(health.is_ready()),
            Metric.TURN_AGE: health.turn_age,
            Metric.ASSIGNED: lambda: health.count(*Phase),
            Metric.LIVE: lambda: health.count(Phase.LIVE),
            Metric.PAUSED: lambda: health.count(Phase.PAUSED),
        }.items():
            self._gauges[metric].set_function(answer)

    def turned(self) -> None:
        now = self._now()
        if now < self._next_look:
            return
        self._next_look = now + LAG_INTERVAL
        for partition, end in self.ends().items():
            if partition in self._positions:
                self._set(Metric.LAG, partition, max(0, end - self._positions[partition]))

    def fed(self, partition: int, events: int, late: int, refused: Mapping[Code, int], windows: int) -> None:
        numbers = (events, late, refused.get(Code.TOMBSTONE, 0), windows)
        for metric, number in zip(_FED, numbers, strict=True):
            self._count(metric, partition, number)
        for code, number in refused.items():
            if code is not Code.TOMBSTONE:
                self._count(Metric.DEAD_LETTERS, partition, number, code.name)

    def advanced(self, partition: int, position: int, seconds: float, windows: int) -> None:
        self._count(Metric.ADVANCES, partition, 1)

    def tested(self, windows: int, seconds: float) -> None:
        self._histograms[Metric.SUITE].observe(seconds)

    def filled(self, partition: int, fill: Fill, clock: int | None) -> None:
        self._set(Metric.SERIES, partition, fill.series)
        self._set(Metric.PANES, partition, fill.panes)
        self._set(Metric.STATE, partition, fill.bytes)
        if clock is not None:
            self._set(Metric.CLOCK, partition, clock / MICROSECONDS)

    def assigned(self, partitions: Sequence[int]) -> None:
        self._forget(set(self._assigned) - set(partitions))
        self._began.clear()
        for partition in partitions:
            self._assigned.setdefault(partition, {})
            for metric in _COUNTED:
                self._count(metric, partition, 0)
            for reason in _REASONS:
                self._count(Metric.DEAD_LETTERS, partition, 0, reason)

    def restored(self, partition: int, restored: Restored, position: int, seconds: float) -> None:
        self._began[partition] = self._now() - seconds
        self._stand(partition, position)

    def live(self, partition: int, position: int) -> None:
        if partition in self._began:
            self._histograms[Metric.RESTORATIONS].observe(self._now() - self._began.pop(partition))
        self._stand(partition, position)

    def kept(self, partition: int, position: int) -> None:
        self._stand(partition, position)

    def revoked(self, partitions: Sequence[int]) -> None:
        self._counters[Metric.REBALANCES].labels("revoked").inc()
        self._forget(partitions)

    def lost(self, partitions: Sequence[int]) -> None:
        self._counters[Metric.REBALANCES].labels("lost").inc()
        self._forget(partitions)

    def committed(self, outputs: Outputs, seconds: float) -> None:
        self._histograms[Metric.COMMITS].observe(seconds)
        self._counters[Metric.METRICS].inc(len(outputs.metrics))
        for partition, position in outputs.positions.items():
            self._stand(partition, position)

    def commit_refused(self, error: Exception) -> None:
        self._counters[Metric.REFUSED].inc()

    def rebuilt(self, error: Exception) -> None:
        self._counters[Metric.REBUILDS].inc()

    def alert(self, alert: AlertEvent) -> None:
        self._counters[Metric.ALERTS].labels(alert.severity, alert.state.value).inc()

    def _stand(self, partition: int, position: int) -> None:
        self._positions[partition] = position
        self._set(Metric.POSITION, partition, position)

    def _count(self, metric: Metric, partition: int, number: int, reason: str = "") -> None:
        child = self._child(metric, partition, self._counters[metric], reason)
        if child is not None:
            child.inc(number)

    def _set(self, metric: Metric, partition: int, value: float) -> None:
        child = self._child(metric, partition, self._gauges[metric])
        if child is not None:
            child.set(value)

    def _child(self, metric: Metric, partition: int, parent: Parent, reason: str = "") -> Parent | None:
        """The series of an assigned partition; None of one that is taken away, whose farewell commit may yet come."""
        if partition not in self._assigned:
            return None
        children = self._assigned[partition]
        key = (metric, reason)
        if key not in children:
            children[key] = parent.labels(self._topic, partition, *filter(None, [reason]))
        return cast("Parent", children[key])

    def _forget(self, partitions: Iterable[int]) -> None:
        for partition in partitions:
            for metric, reason in self._assigned.pop(partition, ()):
                parent = self._gauges[metric] if metric in self._gauges else self._counters[metric]
                parent.remove(self._topic, partition, *filter(None, [reason]))
            self._positions.pop(partition, None)


def _of(kind: Kind) -> list[Metric]:
    return [metric for metric in Metric if metric.value.kind is kind]


def _arguments(metric: Metric) -> tuple[str, str, tuple[str, ...]]:
    description = metric.value
    return description.name, description.meaning, description.labels
