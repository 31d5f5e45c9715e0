"""What passes by on the way through the metric events: how much there was to alert on."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from streammon.backtest.episodes import Place
from streammon.core.outputs import MetricEvent, WindowSpec
from streammon.incidents import Incident

WEEK = 7 * 86_400 * 1_000_000  # microseconds


class Survey:
    """Sums of event time, microseconds, complete when `through` is read to its end.

    The time of a series is that which its windows cover: their number x slide. It is clean where the window touches no
    incident of the series' model and lane. What was measured is the time that any window of any series covers.
    """

    def __init__(self, incidents: Sequence[Incident] = ()) -> None:
        self._incidents = incidents
        self.clean: Counter[tuple[Place, WindowSpec]] = Counter()  # every pair that has windows
        self.policies: set[str] = set()  # hashes
        self.measured: set[Incident] = set()  # those that a window of their model and lane touched
        self._starts: list[int] = []  # of what was measured: disjoint stretches, in order
        self._ends: list[int] = []

    def through(self, metrics: Iterable[MetricEvent]) -> Iterator[MetricEvent]:
        """The same events, noted as they pass."""
        for event in metrics:
            self._note(event)
            yield event

    @property
    def weeks(self) -> float:
        """What was measured: a stretch without windows does not count, nor a moment of several windows twice."""
        return (sum(self._ends) - sum(self._starts)) / WEEK

    def _note(self, event: MetricEvent) -> None:
        series, start, end = event.series, event.start, event.end
        touched = [one for one in self._incidents if one.touches(series.model_id, series.lane, start, end)]
        self.measured.update(touched)
        self.clean[Place(series, event.topic, event.partition), event.spec] += 0 if touched else event.spec.slide
        self.policies.add(event.policy_hash)
        self._cover(start, end)

    def _cover(self, start: int, end: int) -> None:
        """One stretch in the place of all that [start, end) meets."""
        low, high = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if low < high:
            start, end = min(start, self._starts[low]), max(end, self._ends[high - 1])
        self._starts[low:high], self._ends[low:high] = [start], [end]
