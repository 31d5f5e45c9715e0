"""Judged again, and the two policies' alerts side by side."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest

from streammon.adapters.codec import to_record
from streammon.backtest.episodes import Episode, episodes
from streammon.backtest.policies import Kind, changes, judged, load
from streammon.backtest.published import Published
from streammon.backtest.study import study
from streammon.backtest.survey import WEEK
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, AlertState, Measurement, MetricEvent
from streammon.core.plan import Policy
from streammon.core.rules import Rule, Threshold
from tests.oracle import judge as oracle
from tests.report.recordings import CANARY, FIVE, MINUTE, ONE, PROD, START, alert, drifted, metric

SLOW = Measurement("latency.p95", 50.0, n=500, threshold=35.0)
RULES: tuple[Rule, ...] = (
    Threshold(id="slow", measurement="latency.p95", window=ONE.text, above=22.5, consecutive=2, cooldown=3 * MINUTE),
    Threshold(id="low", measurement="feature.mean", window=ONE.text, below=0.99, feature="a*", severity="P1"),
    Threshold(id="quiet", measurement="traffic.qps", window=FIVE.text, below=7.5, lane="prod", action="page"),
)
ORACLE_RULES = [{**asdict(rule), "kind": "threshold"} for rule in RULES]


def windows(seed: int) -> list[MetricEvent]:
    """Two series in two partitions and two sizes; values wander over the limits, windows are missing."""
    rng = random.Random(seed)
    found = []
    for series, partition in ((PROD, 0), (CANARY, 0), (CANARY, 1)):
        for spec in (ONE, FIVE):
            for at in range(40):
                n = rng.choice([500, 500, 500, 0])
                values = [
                    Measurement("latency.p95", rng.uniform(20, 25) if n else None, n=n),
                    Measurement("traffic.qps", rng.uniform(7, 8), n=n),
                    *(Measurement("feature.mean", rng.uniform(0.98, 1.02), name, n=n) for name in ("age", "income")),
                ]
                if rng.random() < 0.9:
                    found.append(metric(series, at, values, spec, partition=partition))
    return sorted(found, key=lambda event: event.end)


def test_judged_again_the_metric_events_give_what_the_oracle_says() -> None:
    """State by state, of several rules, series, partitions and features; the oracle is a plain reading of the rules."""
    states = set()
    for seed in range(10):
        metrics = windows(seed)
        expected = oracle.alerts_of(map(to_record, metrics), ORACLE_RULES)
        actual = judged(metrics, Policy(RULES))
        assert {key(to_record(alert)) for alert in actual} == {key(alert) for alert in expected.values()}
        assert len(actual) == len(expected)
        states |= {alert.state for alert in actual}
    assert states == set(AlertState)


def key(alert: dict[str, Any]) -> tuple[object, ...]:
    m = alert["measurement"]
    return (
        *(alert[name] for name in ("alert_id", "number", "rule_id", "consecutive", "opened_at", "severity", "action")),
        *(str(alert["state"]), m["name"], m["feature"], m["value"], m["threshold"]),
    )


def steps(spans: Sequence[tuple[int, int | None]], rule: str = "slow", feature: str | None = None) -> list[AlertEvent]:
    """An alert for each (opened, resolved) minute."""
    found = []
    measurement = SLOW._replace(feature=feature)
    for opened, resolved in spans:
        found.append(alert(PROD, opened, measurement, rule_id=rule))
        if resolved is not None:
            found.append(alert(PROD, resolved, measurement, AlertState.RESOLVED, 1, opened, rule))
    return found


@pytest.mark.parametrize(
    ("live", "other", "expected"),
    [
        ([(3, 9)], [(3, 5)], [("same", 0)]),
        ([(3, 9)], [(5, 9)], [("later", 2)]),
        ([(3, 9)], [(1, None)], [("earlier", -2)]),
        ([(3, 9)], [(8, None)], [("later", 5)]),
        ([(3, 9)], [(9, 12)], [("gone", None), ("new", None)]),  # the one is over when the other opens
        ([], [(4, None)], [("new", None)]),
        ([(4, 5)], [], [("gone", None)]),
        ([(0, 20)], [(2, 4), (6, 8)], [("later", 2), ("new", None)]),
        ([(2, 4), (6, 8)], [(0, None)], [("earlier", -2), ("gone", None)]),
    ],
)
def test_alerts_belong_together_where_they_are_open_at_once(
    live: list[tuple[int, int | None]], other: list[tuple[int, int | None]], expected: list[tuple[str, int | None]]
) -> None:
    """One of each policy at most, the first ones first. Times are minutes at which their windows start."""
    found = changes(episodes(steps(live)), episodes(steps(other)))
    assert [(one.kind.value, None if one.shift is None else one.shift // MINUTE) for one in found] == expected


def test_changes_are_what_a_loop_over_minutes_finds() -> None:
    """Episodes as sets of minutes; each of the live ones takes the first one left that it overlaps."""
    for seed in range(200):
        rng = random.Random(seed)
        sides = [spans(rng), spans(rng)]
        found = changes(*(episodes(steps(side)) for side in sides))
        left = [minutes(*span) for span in sides[1]]
        expected: list[tuple[str, int, int | None]] = []
        for one in (minutes(*span) for span in sides[0]):
            other = next((two for two in left if one & two), None)
            if other is None:
                expected.append(("gone", min(one), None))
                continue
            left.remove(other)
            kind = "same" if min(one) == min(other) else "later" if min(one) < min(other) else "earlier"
            expected.append((kind, min(one), min(other)))
        expected += [("new", min(two), None) for two in left]
        assert sorted(map(repr, expected)) == sorted(
            repr((one.kind.value, opened(one.live or one.other), opened(one.other if one.live else None)))
            for one in found
        )


def spans(rng: random.Random) -> list[tuple[int, int | None]]:
    edges = sorted(rng.sample(range(60), 2 * rng.randint(0, 5)))
    found: list[tuple[int, int | None]] = list(zip(edges[::2], edges[1::2], strict=True))
    return [*found[:-1], (found[-1][0], None)] if found and rng.random() < 0.3 else found


def minutes(opened: int, resolved: int | None) -> set[int]:
    return set(range(opened, 100 if resolved is None else resolved))


def opened(episode: Episode | None) -> int | None:
    return None if episode is None else (episode.first.start - START) // MINUTE


def test_other_rules_features_and_series_are_alerts_of_their_own() -> None:
    """Never the later or earlier form of one another."""
    live = [*steps([(3, 9)]), *steps([(3, 9)], feature="age")]
    other = [*steps([(4, 9)], rule="slower"), *steps([(4, 9)], feature="income")]
    other += [replace(step, series=CANARY, alert_id=step.alert_id + "c") for step in steps([(4, 9)])]
    assert [one.kind for one in changes(episodes(live), episodes(other))] == [Kind.GONE] * 2 + [Kind.NEW] * 3


def test_a_load_counts_alerts_by_action_and_week() -> None:
    found = episodes([*steps([(1, 3), (5, 6)]), replace(alert(CANARY, 2, SLOW), action="page")])
    assert load(found, weeks=1.5) == load(found[::-1], weeks=1.5)
    assert (load(found, 1.5).alerts, load(found, 1.5).actions) == (3, {"page": 1, "ticket": 2})
    assert load(found, 1.5).per_week == 2.0
    assert load(found, 0.0).per_week is None


# --- all of it, in one pass -------------------------------------------------------------------------------------------


def test_the_policy_that_judged_changes_nothing() -> None:
    """Over its own metric events: every alert is the same; weeks are of what windows cover."""
    metrics = windows(3)
    policy = Policy(RULES)
    mine = [replace(event, policy_hash=policy.hash) for event in metrics]
    run = Published("x", lambda: iter(mine), lambda: iter(judged(mine, policy)))
    found = study(run, policy, policy, [])
    assert {change.kind for change in found.changes} == {Kind.SAME}
    assert found.live == found.other
    assert not found.foreign
    covered = {minute for event in mine for minute in range(event.start, event.end, MINUTE)}
    assert found.weeks == len(covered) * MINUTE / WEEK
    assert study(run, Policy(RULES[:1]), policy, []).foreign  # not the hash that is in the events


def test_a_rule_without_windows_is_named() -> None:
    """Nothing of its size, or of its series, was published: that it is silent says nothing."""
    metrics, alerts = drifted(20)
    hours = replace(RULES[0], id="hours", window="3600000000/3600000000/0")
    rules = Policy((RULES[0], hours, replace(RULES[0], id="m", model="m")))
    found = study(Published("x", lambda: iter(metrics), lambda: iter(alerts)), None, rules)
    assert found.idle == ("hours", "m")


def test_without_alert_events_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(UsageError, match="x: there are no alert events"):
        study(Published("x", lambda: iter([]), None), None, Policy(RULES))
