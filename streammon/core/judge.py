"""The judge: rules over metric events, in window order, with their memory. One per partition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from fnmatch import fnmatchcase

from streammon.core.measures import Distributions
from streammon.core.outputs import OTHER, AlertEvent, AlertState, Measurement, MetricEvent, Series, alert_id, matches
from streammon.core.plan import Policy
from streammon.core.rules import Rule
from streammon.core.rules.lifecycle import RuleMemory, Step, advance
from streammon.core.state import RuleState

EVIDENCE = 5  # other features named in an alert
IDLE = RuleMemory()
NO_DISTRIBUTIONS = Distributions()
OVERFLOW = (
    ": this partition has more series than limits.series_per_partition, further ones are counted here, all as one. "
    "Does a producer make up model ids, versions or lanes? If they are real, raise the limit"
)


class Judge:
    """Decides which alerts fire. Memory is per (series, rule, feature); each commit asks for what changed."""

    def __init__(self, states: Iterable[RuleState] = ()) -> None:
        self._memory: dict[tuple[Series, str], dict[str, RuleMemory]] = {}
        self._changed: set[tuple[Series, str]] = set()
        for state in states:
            self._memory[state.series, state.rule_id] = {
                feature: RuleMemory(**memory)  # type: ignore[arg-type]  # the changelog stores fields by name
                for feature, memory in state.memories.items()
            }

    def judge(
        self, event: MetricEvent, policy: Policy, distributions: Distributions = NO_DISTRIBUTIONS
    ) -> list[AlertEvent]:
        """Alert events of one window, in order of rules and features."""
        alerts = []
        for rule in policy.rules:
            if not watches(rule, event.series, event.spec.text):
                continue
            watched = [m for m in event.measurements if m.name == rule.measurement and watches_feature(rule, m.feature)]
            for measurement in watched:
                step = self._advance(rule, event, measurement)
                if step is not None:
                    alerts.append(_alert(rule, event, measurement, step, watched, distributions))
        return alerts

    def adopt(self, before: Policy, after: Policy) -> None:
        """Forget the rules that a new policy does not have, or has for other windows: an alert is about one kind."""
        windows = {rule.id: rule.window for rule in after.rules}
        kept = {rule.id for rule in before.rules if windows.get(rule.id) == rule.window}
        for key in [key for key in self._memory if key[1] not in kept]:
            self._memory[key] = {}
            self._changed.add(key)

    def changes(self) -> list[RuleState]:
        """Memory that changed since the last call; a state without memories is a tombstone."""
        changed = [
            RuleState(series, rule, {f: asdict(m) for f, m in self._memory[series, rule].items()})
            for series, rule in sorted(self._changed)
        ]
        for key in self._changed:
            if not self._memory[key]:
                del self._memory[key]
        self._changed.clear()
        return changed

    def _advance(self, rule: Rule, event: MetricEvent, measurement: Measurement) -> Step | None:
        key, feature = (event.series, rule.id), measurement.feature or ""
        memories = self._memory.setdefault(key, {})
        before = memories.get(feature, IDLE)
        after, step = advance(
            before,
            rule.violates(measurement),
            event.start,
            event.spec.size,
            event.spec.slide,
            rule.consecutive,
            rule.cooldown,
        )
        if after != before:
            self._changed.add(key)
            if after == IDLE:
                del memories[feature]
            else:
                memories[feature] = after
        return step


def watches(rule: Rule, series: Series, window: str) -> bool:
    """Whether the rule is about this window."""
    return rule.window == window and matches(series, rule.model, rule.version, rule.lane)


def watches_feature(rule: Rule, feature: str | None) -> bool:
    """Whether the rule is about measurements of this feature."""
    return rule.feature == "*" or fnmatchcase(feature or "", rule.feature)


def _alert(
    rule: Rule,
    event: MetricEvent,
    measurement: Measurement,
    step: Step,
    watched: list[Measurement],
    distributions: Distributions,
) -> AlertEvent:
    others = [m for m in watched if m is not measurement and m.value is not None]
    strongest = sorted(others, key=lambda m: -rule.excess(m.value or 0.0))
    assert measurement.value is not None
    what = measurement.name + (f" of {measurement.feature}" if measurement.feature else "")
    said = "is back at" if step.state is AlertState.RESOLVED else "is"
    seen = f"{measurement.value:.6g}" if step.state is AlertState.RESOLVED else rule.describe(measurement.value)
    return AlertEvent(
        alert_id=alert_id(
            event.topic, event.partition, event.series, rule.id, measurement.feature, event.spec, step.alert_start
        ),
        number=step.number,
        state=step.state,
        rule_id=rule.id,
        severity=rule.severity,
        measurement=measurement._replace(threshold=rule.limit(measurement.value)),
        consecutive=step.consecutive,
        opened_at=step.opened_at,
        topic=event.topic,
        partition=event.partition,
        series=event.series,
        spec=event.spec,
        start=event.start,
        closing_position=event.closing_position,
        plan_hash=event.plan_hash,
        policy_hash=event.policy_hash,
        baseline_id=event.baseline_id,
        data_hash=event.data_hash,
        git_commit=event.git_commit,
        evidence=tuple(strongest[:EVIDENCE]),
        action=rule.action,
        summary=f"{rule.severity} {rule.id}: {what} {said} {seen} in {' '.join(event.series)} (n = {measurement.n})"
        + (OVERFLOW if event.series == OTHER else ""),
        distribution=distributions.behind(measurement),
    )
