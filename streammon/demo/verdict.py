"""What was found, held against what was injected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from streammon.backtest.detection import Detection, touches
from streammon.core.outputs import AlertEvent, AlertState
from streammon.incidents import Incident
from streammon.text import counted, shown


@dataclass(frozen=True, slots=True)
class Finding:
    """An incident, and the alert by which its own rule found it: the first that fired there from then on."""

    incident: Incident
    alert: AlertEvent | None

    @property
    def delay(self) -> int | None:
        """The window in which the rule fired, counted from 1, the first that holds drifted events."""
        if self.alert is None:
            return None
        return Detection(self.incident, self.alert).windows


@dataclass(frozen=True, slots=True)
class Verdict:
    """`before` and `after` count alerts by whether their window ended before anything was injected."""

    findings: tuple[Finding, ...]
    before: int
    after: int
    false: tuple[AlertEvent, ...]  # on windows without any drifted event

    @property
    def problem(self) -> str | None:
        """What is not as it should be, a sentence; None if all is."""
        missed = [f"{f.incident.kind} (rule {f.incident.rule})" for f in self.findings if f.alert is None]
        parts = [f"injected, but not found by its own rule: {', '.join(missed)}"] if missed else []
        if self.false:
            first = self.false[0]
            where = shown("/".join(first.series))
            parts.append(f"{counted(len(self.false), 'alert')} on clean data, the first by {first.rule_id} in {where}")
        return "; ".join(parts) or None


def judge(incidents: Sequence[Incident], alerts: Iterable[AlertEvent]) -> Verdict:
    """Of the alerts in the order in which they were published; what goes on or ends is not looked at."""
    fired = [alert for alert in alerts if alert.state is AlertState.FIRING]
    first = min((incident.start for incident in incidents), default=None)
    before = sum(first is None or alert.end <= first for alert in fired)
    return Verdict(
        tuple(Finding(incident, next(_found(incident, fired), None)) for incident in incidents),
        before,
        len(fired) - before,
        tuple(alert for alert in fired if not any(touches(incident, alert) for incident in incidents)),
    )


def _found(incident: Incident, fired: Iterable[AlertEvent]) -> Iterator[AlertEvent]:
    return (alert for alert in fired if alert.rule_id == incident.rule and touches(incident, alert))
