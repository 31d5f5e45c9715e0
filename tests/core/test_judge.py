"""The judge: which rules watch what, in which order alerts come, what is remembered and forgotten."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streammon.core.judge import Judge
from streammon.core.outputs import AlertState, BaselineState, Measurement, MetricEvent, Series, WindowSpec, alert_id
from streammon.core.plan import Policy
from streammon.core.rules import Threshold

SPEC = WindowSpec(60, 60)
SERIES = Series("fraud", "3", "prod")
RULE = Threshold(id="slow", measurement="latency.p95", window=SPEC.text, above=100.0)
SHIFT = Threshold(id="shift", measurement="feature.psi", window=SPEC.text, above=0.1)


def event(*measurements: Measurement, start: int = 0, series: Series = SERIES, spec: WindowSpec = SPEC) -> MetricEvent:
    return MetricEvent(
        event_id=f"{start}", topic="t", partition=7, series=series, spec=spec, start=start, revision=0, n=50, n_late=0,
        closing_position=99, plan_hash="plan", policy_hash="policy", baseline_id="b", baseline_state=BaselineState.OK,
        data_hash="d", git_commit="c", mixed=False, measurements=measurements,
    )  # fmt: skip


def slow(value: float | None = 300.0) -> Measurement:
    return Measurement("latency.p95", value, n=50)


def psi(**values: float | None) -> list[Measurement]:
    return [Measurement("feature.psi", value, feature=name, n=50) for name, value in values.items()]


def fired(rule: Threshold, *measurements: Measurement, series: Series = SERIES, spec: WindowSpec = SPEC) -> list[str]:
    """Features, or "-", of the alerts that one window opens."""
    alerts = Judge().judge(event(*measurements, series=series, spec=spec), Policy((rule,)))
    return [alert.measurement.feature or "-" for alert in alerts]


def test_an_alert_says_what_who_and_when() -> None:
    """Everything that a reader needs is in the event itself."""
    rule = replace(RULE, severity="P1", action="page")
    [alert] = Judge().judge(event(slow(), start=120), Policy((rule,)))
    assert alert.alert_id == alert_id("t", 7, SERIES, "slow", None, SPEC, 120)
    assert (alert.state, alert.number, alert.consecutive) == (AlertState.FIRING, 0, 1)
    assert (alert.opened_at, alert.start, alert.end, alert.closing_position) == (180, 120, 180, 99)
    assert alert.measurement == slow()._replace(threshold=100.0)
    assert (alert.rule_id, alert.severity, alert.action) == ("slow", "P1", "page")
    assert (alert.topic, alert.partition, alert.series, alert.spec) == ("t", 7, SERIES, SPEC)
    assert (alert.plan_hash, alert.policy_hash, alert.baseline_id) == ("plan", "policy", "b")
    assert (alert.data_hash, alert.git_commit) == ("d", "c")
    assert alert.summary == "P1 slow: latency.p95 is 300 > 100 in fraud 3 prod (n = 50)"


def test_a_resolution_says_that_the_value_is_back() -> None:
    judge, policy = Judge(), Policy((SHIFT,))
    judge.judge(event(*psi(age=0.5)), policy)
    [alert] = judge.judge(event(*psi(age=0.05), start=60), policy)
    assert (alert.state, alert.number, alert.consecutive) == (AlertState.RESOLVED, 1, 0)
    assert alert.summary == "P3 shift: feature.psi of age is back at 0.05 in fraud 3 prod (n = 50)"


@pytest.mark.parametrize(
    "pattern,watched",
    [
        ({}, True),
        ({"model": "fr*", "version": "?", "lane": "[op]*"}, True),
        ({"model": "fraud", "version": "3", "lane": "prod"}, True),
        ({"model": "FRAUD"}, False),
        ({"model": "rank*"}, False),
        ({"version": "2"}, False),
        ({"lane": "canary"}, False),
        ({"window": "60/30/0"}, False),
        ({"measurement": "latency.p99"}, False),
    ],
)
def test_a_rule_watches_what_its_patterns_match(pattern: dict[str, str], watched: bool) -> None:
    assert bool(fired(replace(RULE, **pattern), slow())) is watched  # type: ignore[arg-type]


def test_a_feature_pattern_matches_names_of_features() -> None:
    """`*` stands for whatever there is; any other pattern only for measurements that have a feature."""
    measured = psi(age=0.5, income=0.5, ago=0.5)
    assert fired(SHIFT, *measured) == ["age", "income", "ago"]
    assert fired(replace(SHIFT, feature="ag?"), *measured) == ["age", "ago"]
    assert fired(replace(SHIFT, feature="Age"), *measured) == []
    assert fired(RULE, slow()) == ["-"]
    assert fired(replace(RULE, feature="?*"), slow()) == []


def test_a_rule_has_an_instance_of_its_own_for_every_series_and_feature() -> None:
    """age violates twice running, income does not; the other lane's violation does not count for this one."""
    judge, policy = Judge(), Policy((replace(SHIFT, consecutive=2),))
    canary = SERIES._replace(lane="canary")
    assert judge.judge(event(*psi(age=0.5, income=0.0)), policy) == []
    assert judge.judge(event(*psi(income=0.5), series=canary), policy) == []
    alerts = judge.judge(event(*psi(age=0.5, income=0.5), start=60), policy)
    assert [alert.measurement.feature for alert in alerts] == ["age"]


def test_alerts_come_in_the_order_of_rules_then_of_measurements() -> None:
    policy = Policy((SHIFT, RULE, replace(SHIFT, id="again")))
    alerts = Judge().judge(event(slow(), *psi(b=0.5, a=0.5)), policy)
    assert [(a.rule_id, a.measurement.feature) for a in alerts] == [
        ("shift", "b"), ("shift", "a"), ("slow", None), ("again", "b"), ("again", "a"),
    ]  # fmt: skip


def test_evidence_is_the_five_strongest_of_the_other_features() -> None:
    """Above: the greatest first. Below: the least first. Without a value: not at all. Equal ones as measured."""
    values: dict[str, float | None] = {
        "a": 0.5,
        "b": 0.2,
        "c": 0.9,
        "d": None,
        "e": 0.05,
        "f": 0.2,
        "g": 0.3,
        "h": 0.01,
    }
    alerts = Judge().judge(event(*psi(**values)), Policy((SHIFT,)))
    assert [m.feature for m in alerts[0].evidence] == ["c", "g", "b", "f", "e"]
    below = replace(SHIFT, above=None, below=0.03)
    [alert] = Judge().judge(event(*psi(**values)), Policy((below,)))
    assert alert.measurement.feature == "h"
    assert [m.feature for m in alert.evidence] == ["e", "b", "f", "g", "a"]


def test_evidence_comes_from_the_features_that_the_rule_watches() -> None:
    alerts = Judge().judge(event(*psi(age=0.5, ago=0.4, income=0.9)), Policy((replace(SHIFT, feature="a*"),)))
    assert [m.feature for m in alerts[0].evidence] == ["ago"]


def test_only_what_changed_is_asked_to_be_kept() -> None:
    """A window without a violation changes nothing; an open alert does."""
    judge, policy = Judge(), Policy((RULE,))
    judge.judge(event(slow(1.0)), policy)
    assert judge.changes() == []
    judge.judge(event(slow(), start=60), policy)
    [state] = judge.changes()
    assert (state.series, state.rule_id, list(state.memories)) == (SERIES, "slow", [""])
    assert judge.changes() == [], "told once"


def test_an_instance_with_nothing_to_remember_is_forgotten() -> None:
    """A run that breaks off leaves a state without memories, which the changelog turns into a tombstone."""
    judge, policy = Judge(), Policy((replace(RULE, consecutive=3),))
    judge.judge(event(slow()), policy)
    judge.changes()
    judge.judge(event(slow(1.0), start=60), policy)
    [state] = judge.changes()
    assert state.memories == {}


def test_memory_that_was_kept_goes_on_in_another_judge() -> None:
    policy = Policy((replace(SHIFT, consecutive=2),))
    first = Judge()
    first.judge(event(*psi(age=0.5)), policy)
    second = Judge(first.changes())
    [alert] = second.judge(event(*psi(age=0.5), start=60), policy)
    assert (alert.state, alert.consecutive) == (AlertState.FIRING, 2)
    third = Judge(second.changes())
    [alert] = third.judge(event(*psi(age=0.0), start=120), policy)
    assert (alert.state, alert.number, alert.opened_at) == (AlertState.RESOLVED, 1, 120)


def test_a_new_policy_keeps_the_memory_of_the_rules_that_it_keeps() -> None:
    """The rule that it does not have is forgotten, with a tombstone, for every series."""
    judge, other = Judge(), SERIES._replace(lane="canary")
    for series in (SERIES, other):
        judge.judge(event(slow(), *psi(age=0.5), series=series), Policy((RULE, SHIFT)))
    judge.changes()
    judge.adopt(Policy((RULE, SHIFT)), Policy((SHIFT,)))
    assert [(s.series, s.rule_id, s.memories) for s in judge.changes()] == [(other, "slow", {}), (SERIES, "slow", {})]
    [alert] = judge.judge(event(*psi(age=0.0), start=60), Policy((SHIFT,)))
    assert alert.state is AlertState.RESOLVED


def test_a_rule_that_comes_back_starts_afresh() -> None:
    judge = Judge()
    judge.judge(event(slow()), Policy((RULE,)))
    judge.adopt(Policy((RULE,)), Policy())
    judge.adopt(Policy(), Policy((RULE,)))
    [alert] = judge.judge(event(slow(), start=60), Policy((RULE,)))
    assert (alert.state, alert.number, alert.opened_at) == (AlertState.FIRING, 0, 120)


def test_a_rule_that_moves_to_other_windows_starts_afresh() -> None:
    """Its id stays, but an alert is about windows of one kind."""
    judge, moved = Judge(), replace(RULE, window="300/300/0")
    judge.judge(event(slow()), Policy((RULE,)))
    judge.changes()
    judge.adopt(Policy((RULE,)), Policy((moved,)))
    assert [(state.rule_id, state.memories) for state in judge.changes()] == [("slow", {})]
    [alert] = judge.judge(event(slow(), spec=WindowSpec(300, 300)), Policy((moved,)))
    assert (alert.state, alert.opened_at) == (AlertState.FIRING, 300)


def test_a_rule_with_another_limit_keeps_its_memory() -> None:
    judge, stricter = Judge(), replace(RULE, above=200.0)
    judge.judge(event(slow()), Policy((RULE,)))
    judge.adopt(Policy((RULE,)), Policy((stricter,)))
    [alert] = judge.judge(event(slow(150.0), start=60), Policy((stricter,)))
    assert alert.state is AlertState.RESOLVED
