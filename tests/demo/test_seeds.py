"""What the demo promises, for one seed that nobody picked. `make seeds` takes ten, with every kind of drift."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from streammon.core.outputs import AlertEvent, AlertState, Series
from streammon.incidents import Incident
from tests.demo.seeds import check, delays, surprises
from tests.telemetry import samples

MINUTE = 60_000_000
INCIDENT = Incident(kind="latency", model="digits-0", lane="canary", start=10 * MINUTE, rule="slow")


@pytest.mark.slow
def test_each_kind_raises_its_own_rule_and_no_drift_raises_nothing(tmp_path: Path) -> None:
    seed = secrets.randbelow(2**31)
    print(f"python -m tests.demo.seeds --seed {seed} --minutes 10")
    for outcome in check(seed, tmp_path, 10, ((), ("covariate",), ("class_mix",), ("latency",))):
        assert outcome.wrong == [], f"seed {seed}: {outcome}"
        assert set(outcome.delays) == set(outcome.kinds)


def alert(minute: int, rule: str = "slow", lane: str = "canary", state: AlertState = AlertState.FIRING) -> AlertEvent:
    """Of the window that begins at a minute."""
    series = Series("digits-0", "v1", lane)
    return replace(samples.alert(state), rule_id=rule, series=series, start=minute * MINUTE)


def test_a_delay_counts_windows_from_the_start_to_the_one_that_fired() -> None:
    """The window that begins with the incident is the first."""
    assert delays([alert(12), alert(10), alert(9, rule="another")], [INCIDENT]) == {"latency": 1}
    assert delays([alert(11)], [INCIDENT]) == {"latency": 2}
    assert delays([alert(11, state=AlertState.RESOLVED)], [INCIDENT]) == {}


@pytest.mark.parametrize(
    "alerts, said",
    [
        ([alert(11)], []),
        ([alert(10), alert(9)], ["slow FIRING in digits-0/v1/canary: slow"]),  # before it began
        ([alert(11), alert(11, lane="prod")], ["slow FIRING in digits-0/v1/prod: slow"]),
        ([alert(11), alert(12, "class-mix")], ["class-mix FIRING in digits-0/v1/canary: slow"]),
        ([], ["latency: no slow"]),
    ],
)
def test_what_was_not_promised_is_named(alerts: list[AlertEvent], said: list[str]) -> None:
    assert surprises(alerts, [INCIDENT]) == said


def test_any_alert_is_a_surprise_where_nothing_was_injected() -> None:
    assert len(surprises([alert(11)], [])) == 1
