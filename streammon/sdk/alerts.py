"""Consumers of what streammon publishes: alert events, and metric events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, AlertState, MetricEvent
from streammon.sdk.consumer import EventConsumer, Start


class AlertConsumer(EventConsumer[AlertEvent]):
    """Alert events; `states` and `severities` leave only some of them.

    Each position is committed by itself, so a program that dies in the middle of an alert sees that one again and no
    other. One that must not act twice, even so, remembers (`alert_id`, `number`) where it acts.
    """

    _kind = AlertEvent
    _prompt = True

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str | None,
        topic: str = "streammon-alerts",
        start: Start = "latest",
        states: Iterable[str] | None = None,
        severities: Iterable[str] | None = None,
        timeout: float | None = None,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        """`states`: of FIRING, ONGOING, RESOLVED; `severities`: as the policy names them. None: all."""
        self._states, self._severities = _names(states), _names(severities)
        for state in (self._states or frozenset()) - {*AlertState}:
            raise UsageError(f"states: {state!r} is none; there are {', '.join(AlertState)}")
        super().__init__(bootstrap, group=group, topic=topic, start=start, timeout=timeout, kafka=kafka)

    def _identity(self, event: AlertEvent) -> tuple[str, int]:
        return event.alert_id, event.number

    def _wants(self, event: AlertEvent) -> bool:
        return (self._states is None or event.state in self._states) and (
            self._severities is None or event.severity in self._severities
        )


class MetricConsumer(EventConsumer[MetricEvent]):
    """Metric events. Positions are committed once a second: they are many, and to see one again does no harm."""

    _kind = MetricEvent
    _prompt = False

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str | None = None,
        topic: str = "streammon-metrics",
        start: Start = "earliest",
        timeout: float | None = None,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(bootstrap, group=group, topic=topic, start=start, timeout=timeout, kafka=kafka)

    def _identity(self, event: MetricEvent) -> tuple[str, int]:
        return event.event_id, 0


def _names(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset([names] if isinstance(names, str) else names)
