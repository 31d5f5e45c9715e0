"""Alert events to episodes: what fired, how bad it became, whether it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from streammon.core.outputs import AlertEvent, AlertState, Series


class Place(NamedTuple):
    """A series in a partition: what has windows of its own."""

    series: Series
    topic: str
    partition: int


@dataclass(frozen=True)
class Episode:
    """The events of one alert, in order of their numbers; at least one."""

    events: tuple[AlertEvent, ...]

    @property
    def place(self) -> Place:
        return Place(self.first.series, self.first.topic, self.first.partition)

    @property
    def first(self) -> AlertEvent:
        return self.events[0]

    @property
    def last(self) -> AlertEvent:
        return self.events[-1]

    @property
    def is_open(self) -> bool:
        return self.last.state is not AlertState.RESOLVED

    @property
    def resolved_at(self) -> int | None:
        """End of the window that resolved it, microseconds; None while it is open."""
        return None if self.is_open else self.last.end

    @property
    def strongest(self) -> AlertEvent:
        """Where the value was farthest beyond the threshold."""
        return max(self.events, key=_excess)


def episodes(alerts: Iterable[AlertEvent]) -> list[Episode]:
    """In the order in which they opened, of a rule the strongest first. An event that comes twice counts once."""
    found: dict[str, dict[int, AlertEvent]] = {}
    for alert in alerts:
        found.setdefault(alert.alert_id, {})[alert.number] = alert
    made = [Episode(tuple(events[number] for number in sorted(events))) for events in found.values()]
    return sorted(made, key=_order)


def _order(episode: Episode) -> tuple[object, ...]:
    first = episode.first
    return first.opened_at, episode.place, first.rule_id, -_excess(first), first.alert_id


def _excess(alert: AlertEvent) -> float:
    value, threshold = alert.measurement.value, alert.measurement.threshold
    if value is None or threshold is None or alert.state is AlertState.RESOLVED:
        return -1.0
    return abs(value - threshold)
