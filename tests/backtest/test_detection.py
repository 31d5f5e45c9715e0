"""Alerts to episodes, and episodes to what they found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streammon.backtest.detection import detections
from streammon.backtest.episodes import episodes
from streammon.core.outputs import AlertState, Measurement
from streammon.incidents import Incident
from tests.report.recordings import CANARY, MINUTE, START, alert, drifted


def test_an_episode_is_the_events_of_one_alert() -> None:
    m = Measurement("latency.p95", 50.0, n=500, threshold=35.0)
    steps = [
        alert(CANARY, 3, m, rule_id="slow"),
        alert(CANARY, 8, m._replace(value=60.0), AlertState.ONGOING, 1, 3, "slow"),
        alert(CANARY, 9, m._replace(value=5.0), AlertState.RESOLVED, 2, 3, "slow"),
    ]
    (episode,) = episodes([steps[2], steps[0], steps[1], steps[0]])
    assert episode.events == tuple(steps)
    assert not episode.is_open
    assert episode.strongest is steps[1]  # 5 is farther from 35 than 50, but does not violate
    (still,) = episodes(steps[:2])
    assert still.is_open


@pytest.mark.parametrize(("rule", "expected"), [(None, ["feature-drift", "slow"]), ("slow", ["slow"])])
def test_an_incident_is_found_by_the_alerts_that_fire_while_it_lasts(rule: str | None, expected: list[str]) -> None:
    _, alerts = drifted(60)
    there = Incident(
        kind="covariate", model="digits-0", lane="canary", start=START + 30 * MINUTE, end=START + 40 * MINUTE, rule=rule
    )
    found = detections(there, episodes(alerts))
    assert [(one.alert.rule_id, one.windows) for one in found] == [(name, 2) for name in expected]
    for other in (
        replace(there, lane="prod"),
        replace(there, model="digits-1"),
        replace(there, start=START + 33 * MINUTE),
        replace(there, start=START, end=START + 5 * MINUTE),
    ):
        assert detections(other, episodes(alerts)) == []
