"""Alert events to episodes: what fired, how bad it became, whether it is over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from glob import escape
from math import ceil

from streammon.core.outputs import AlertEvent, AlertState
from streammon.core.rules import Rule, Threshold
from streammon.incidents import Incident
from streammon.report.collect import Place


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


def implied_rules(found: Iterable[Episode]) -> list[Rule]:
    """Rules as far as their alerts tell them: a threshold each, for the series and the feature that it spoke of."""
    rules: dict[tuple[object, ...], Rule] = {}
    for episode in found:
        alert, m = episode.first, episode.first.measurement
        if m.threshold is None or m.value is None or alert.state is AlertState.RESOLVED:
            continue
        above = m.value > m.threshold
        rules[alert.series, alert.rule_id, m.feature, alert.spec] = Threshold(
            id=alert.rule_id,
            measurement=m.name,
            window=alert.spec.text,
            feature="*" if m.feature is None else escape(m.feature),
            model=escape(alert.series.model_id) if alert.series.model_id != "__other__" else alert.series.model_id,
            version=escape(alert.series.model_version),
            lane=escape(alert.series.lane),
            above=m.threshold if above else None,
            below=None if above else m.threshold,
        )
    return list(rules.values())


@dataclass(frozen=True)
class Detection:
    """The first alert of a rule that fired while an incident went on."""

    alert: AlertEvent
    windows: int  # of the rule that ended after the injection, up to the one that fired


def detections(incident: Incident, found: Iterable[Episode]) -> list[Detection]:
    """By rule, soonest first; of the incident's own rule alone where it names one."""
    rules: dict[str, Detection] = {}
    for episode in found:
        alert = episode.first
        if alert.state is not AlertState.FIRING or alert.rule_id in rules:
            continue
        if incident.rule is not None and alert.rule_id != incident.rule:
            continue
        if incident.touches(alert.series.model_id, alert.series.lane, alert.start, alert.end):
            rules[alert.rule_id] = Detection(alert, ceil((alert.end - incident.start) / alert.spec.slide))
    return sorted(rules.values(), key=lambda detection: (detection.alert.end, detection.alert.rule_id))


def _order(episode: Episode) -> tuple[object, ...]:
    first = episode.first
    return first.opened_at, episode.place, first.rule_id, -_excess(first), first.alert_id


def _excess(alert: AlertEvent) -> float:
    value, threshold = alert.measurement.value, alert.measurement.threshold
    if value is None or threshold is None or alert.state is AlertState.RESOLVED:
        return -1.0
    return abs(value - threshold)
