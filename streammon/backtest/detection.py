"""Which alert found which incident, and how soon. Event time, microseconds.

An alert speaks of the windows of its run: those in a row that violated until it fired. It **finds** an incident if it
fires and its run touches the incident, in a series of the incident's model and lane (a roll-up over the lanes is of
every lane):

    incident          [=============)
    run of windows               [--)[--)[--)          consecutive: 3; the last one ends at opened_at
    delay             |-------------------->|          opened_at - start of the incident

So a rule that waits for several windows is not wronged where the incident is over before the last of them. An alert
that fired before the incident began did not find it, however long it goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streammon.backtest.episodes import Episode
from streammon.core.outputs import AlertEvent, AlertState
from streammon.incidents import Incident


@dataclass(frozen=True)
class Detection:
    """The first alert of a rule that found an incident."""

    incident: Incident
    alert: AlertEvent  # FIRING

    @property
    def delay(self) -> int:
        """From the incident's start to the end of the window that fired; it is published `allowed_lateness` later."""
        return self.alert.end - self.incident.start

    @property
    def windows(self) -> int:
        """The same in windows of the rule: those that ended after the start, up to the one that fired."""
        return -(-self.delay // self.alert.spec.slide)


def touches(incident: Incident, alert: AlertEvent) -> bool:
    """Whether the run of windows behind a FIRING alert touches the incident."""
    start = alert.start - (max(alert.consecutive, 1) - 1) * alert.spec.slide
    return incident.touches(alert.series.model_id, alert.series.lane, start, alert.end)


def detections(incident: Incident, found: Iterable[Episode]) -> list[Detection]:
    """By rule, soonest first; of the incident's own rule alone where it names one."""
    rules: dict[str, Detection] = {}
    for episode in found:
        alert = episode.first
        if alert.state is not AlertState.FIRING or (incident.rule or alert.rule_id) != alert.rule_id:
            continue
        earlier = rules.get(alert.rule_id)
        if (earlier is None or alert.end < earlier.alert.end) and touches(incident, alert):
            rules[alert.rule_id] = Detection(incident, alert)
    return sorted(rules.values(), key=lambda detection: (detection.alert.end, detection.alert.rule_id))
