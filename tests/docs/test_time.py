"""What docs/time.md draws is what the engine does. Times are seconds since 12:00 o'clock, as the page's."""

from __future__ import annotations

import pytest
import yaml

from streammon.core.outputs import Rollup
from streammon.core.timeline import LATE
from streammon.settings import load, plan
from tests.core.hand import Hand, Window
from tests.core.hand import plan as small_plan
from tests.docs.pages import Block, blocks

PAGE = "docs/time.md"


@pytest.mark.parametrize("block", list(blocks(PAGE, "yaml")), ids=lambda block: block.place)
def test_its_settings_are_settings(block: Block) -> None:
    plan(load(None, yaml.safe_load(block.text)))


def test_a_window_closes_once_its_clock_is_there() -> None:
    hand = Hand(small_plan())
    closed = [hand.event(ts) for ts in (20, 58, 64, 59, 70)]
    assert closed == [[], [], [], [], [Window("a", 0, 3)]]
    hand.event(59)
    assert hand.verdict == LATE
    hand.event(61)
    assert hand.verdict != LATE


def test_an_event_that_is_behind_is_not_late_before_its_pane_is_sealed() -> None:
    hand = Hand(small_plan())
    hand.event(64)
    hand.event(59)
    assert hand.verdict != LATE


def test_a_member_that_lags() -> None:
    hand = Hand(small_plan(rollups=(Rollup.LANES,)))
    hand.event(40, lane="canary")
    hand.event(70, lane="prod")
    assert [(header.series.lane, header.n) for header in hand.headers] == [("*", 1)]
    hand.event(45, lane="canary")
    assert hand.verdict != LATE
    hand.event(130, lane="prod")
    assert [(h.series.lane, h.start, h.n_late) for h in hand.headers] == [("*", 60, 1), ("prod", 60, 0)]
    hand.event(70, lane="canary")
    assert [(h.series.lane, h.start, h.n) for h in hand.headers] == [("canary", 0, 2)]


def test_a_series_that_falls_silent_follows_its_partition() -> None:
    """12:05:30 is 330; after 5 m of grace the clock stands still no longer, and at 12:11:10 it is 12:06:10."""
    hand = Hand(small_plan(idle_grace=300))
    hand.event(330, "canary")
    for ts, clock in ((630, 330), (660, 360), (669, 369)):
        assert "canary" not in {window.model for window in hand.event(ts, "prod")}
        assert hand.clock("canary") == clock
    assert hand.event(670, "prod")[0] == Window("canary", 300, 1)


def test_a_partition_that_falls_silent() -> None:
    """It waits for 40 s; 60 s are the least that decides."""
    hand = Hand(small_plan())
    hand.event(330)
    assert hand.engine.until_due() == 40
    assert hand.silence(60) == [Window("a", 300, 1)]
    assert hand.clock() == 390


def test_windows_without_events() -> None:
    """Three events, then one, then two windows with none; the fifth is not published."""
    hand = Hand(small_plan(empty_windows=2))
    for ts in (10, 30, 50, 80):
        hand.event(ts)
    closed = [Window("a", 60, 1), Window("a", 120, 0), Window("a", 180, 0)]
    assert hand.silence(400) == closed
