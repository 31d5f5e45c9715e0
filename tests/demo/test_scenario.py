"""The demo's story as data: windows that hold either clean or drifted events, and all of which close."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from streammon.core.errors import UsageError
from streammon.demo.scenario import KINDS, RULES, SETTINGS, Scenario, settings, settings_text
from streammon.simulate.config import VERSION

NOW = 1_769_860_923_000_000  # 2026-01-31T12:02:03Z
MINUTE = 60_000_000
FIVE = 5 * MINUTE


@pytest.mark.parametrize("kinds", [(), ("latency",), KINDS, tuple(RULES)])
@pytest.mark.parametrize("minutes", [50, 55, 95])
def test_half_is_clean_and_then_drift_follows_drift_window_by_window(kinds: tuple[str, ...], minutes: int) -> None:
    """Everything begins and ends with windows of five minutes, and two kinds are at least one of them apart."""
    story = Scenario(now=NOW, kinds=kinds, minutes=minutes)
    assert (story.finish - story.start, story.start % FIVE) == (minutes * MINUTE, 0)
    assert NOW - FIVE - 20_000_000 < story.finish <= NOW - 20_000_000
    onsets = [incident.start for incident in story.incidents]
    assert [incident.kind for incident in story.incidents] == list(kinds)
    assert all((onset - story.start) % FIVE == 0 for onset in onsets)
    assert all(later - sooner >= FIVE for sooner, later in pairwise([*onsets, story.finish]))
    if onsets:
        half = story.start + minutes * MINUTE // 2
        assert half - FIVE < onsets[0] <= half


def test_incidents_name_the_rule_that_the_shipped_policy_has_for_them(tmp_path: Path) -> None:
    """And the settings name a baseline of each model, beside them."""
    (tmp_path / SETTINGS).write_text(settings_text(), encoding="utf-8")
    its = settings(tmp_path, {})
    assert {rule.id for rule in its.rules} == set(RULES.values())
    assert its.baselines == (tmp_path / "baselines" / "digits-0", tmp_path / "baselines" / "digits-1")
    story = Scenario(now=NOW)
    assert [(each.rule, each.model, each.lane) for each in story.incidents] == [
        (RULES[kind], "digits-0", "canary") for kind in KINDS
    ]


def test_the_environment_does_not_change_what_the_demo_is_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows and rules are the policy's; what neither says, an option of the client, is taken."""
    (tmp_path / SETTINGS).write_text(settings_text(), encoding="utf-8")
    before = settings(tmp_path, {})
    monkeypatch.setenv("STREAMMON_WINDOWS", "1h")
    monkeypatch.setenv("STREAMMON_BASELINES", "elsewhere")
    monkeypatch.setenv("STREAMMON_KAFKA__CLIENT_ID", "me")
    after = settings(tmp_path, {})
    assert (after.windows, after.rules, after.baselines) == (before.windows, before.rules, before.baselines)
    assert after.kafka["client.id"] == "me"


def test_the_worker_sees_events_of_its_own_from_the_first_window_on() -> None:
    """As many as announced, none before the first window, one beyond the lateness after the last in every series; the
    good hour before them is clean."""
    story = Scenario(now=NOW, seed=5, kinds=("latency",), minutes=10)
    reference, live = story.chunks()
    assert not any(chunk.drifted.any() for chunk in reference)
    chunks = list(live)
    assert sum(map(len, chunks)) == story.events
    ts = np.concatenate([chunk.columns.ts for chunk in chunks])
    drifted = np.concatenate([chunk.drifted for chunk in chunks])
    assert ts.min() >= story.start
    arrival = int(chunks[0].timestamp[0]) * 1000
    assert story.start + 2_000_000 - 1_000 <= arrival < story.start + 2_100_000, "what is sent again is 2 s late"
    assert story.finish + 10_000_000 < ts.max() <= NOW
    (incident,) = story.incidents
    assert ts[drifted].min() >= incident.start
    assert {VERSION} == set(chunks[0].columns.model_version.table)  # type: ignore[union-attr]  # it is a Coded
    assert story.windows == 4 * (10 + 2)


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"kinds": ("embedding",)}, "no rule watches drift 'embedding'"),
        ({"kinds": ("latency", "latency")}, "named twice"),
        ({"minutes": 12}, "12 minutes do not do"),
        ({"minutes": 25}, "at least 30 for 3 kinds"),
        ({"minutes": 5, "kinds": ()}, "at least 10"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_what_cannot_be_told_is_refused(wrong: dict[str, object], says: str) -> None:
    """Before anything is made."""
    with pytest.raises(UsageError, match=says):
        replace(Scenario(now=NOW), **wrong)  # type: ignore[arg-type]  # of whatever field
