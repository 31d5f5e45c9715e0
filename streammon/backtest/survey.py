"""What passes by on the way through the metric events: how much there was to alert on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from streammon.backtest.episodes import Place
from streammon.core.outputs import MetricEvent, WindowSpec
from streammon.incidents import Incident

WEEK = 7 * 86_400 * 1_000_000  # microseconds


class Survey:
    """Sums of event time, microseconds, complete when `through` is read to its end.

    The time of a series is that which its windows cover: their number x slide. It is clean where the window touches no
    incident of the series' model and lane.
    """

    def __init__(self, incidents: Sequence[Incident] = ()) -> None:
        self._incidents = incidents
        self.clean: Counter[tuple[Place, WindowSpec]] = Counter()  # every pair that has windows
        self.policies: set[str] = set()  # hashes
        self.first: int | None = None  # start of the first window
        self.last: int | None = None  # end of the last one

    def through(self, metrics: Iterable[MetricEvent]) -> Iterator[MetricEvent]:
        """The same events, noted as they pass."""
        for event in metrics:
            self._note(event)
            yield event

    @property
    def weeks(self) -> float:
        """From the start of the first window to the end of the last one."""
        return 0.0 if self.first is None or self.last is None else (self.last - self.first) / WEEK

    def covers(self, incident: Incident) -> bool:
        """Whether any window of any series ended after the incident began, and began before it ended."""
        if self.first is None or self.last is None:
            return False
        return incident.start < self.last and (incident.end is None or self.first < incident.end)

    def _note(self, event: MetricEvent) -> None:
        series, start, end = event.series, event.start, event.end
        touched = any(i.touches(series.model_id, series.lane, start, end) for i in self._incidents)
        self.clean[Place(series, event.topic, event.partition), event.spec] += 0 if touched else event.spec.slide
        self.policies.add(event.policy_hash)
        self.first = start if self.first is None else min(self.first, start)
        self.last = end if self.last is None else max(self.last, end)
