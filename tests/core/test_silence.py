"""Silence on drawn timelines: windows without events, idle advances, series that go and come back.

A window is 60, lateness 10, grace 120, unless a test says otherwise. `z100` is a silence of 100.
"""

from __future__ import annotations

import pytest

from streammon.core.errors import Code
from streammon.core.outputs import BaselineState, Rollup, WindowSpec
from streammon.core.publish import metric_events
from streammon.core.timeline import LATE
from tests.core.batches import events
from tests.core.hand import MINUTE, Hand, Window, plan
from tests.core.test_snapshot import ACTIVE, BASELINES, restored
from tests.laws.harness import SUITE

FAR = 10**9

# --- empty windows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most,empty", [(0, []), (1, [60]), (3, [60, 120, 180]), (99, [60, 120, 180, 240])])
def test_so_many_windows_behind_one_with_events_may_be_empty(most: int, empty: list[int]) -> None:
    """ts     0                                             300  310
    windows  [0 n1 )[60 n0 )[120 n0)[180 n0)[240 n0)[300          closes them all
    """
    hand = Hand(plan(empty_windows=most))
    hand.event(0)
    assert hand.event(310) == [Window("a", 0, 1), *(Window("a", start, 0) for start in empty)]
    assert {header.closing_position for header in hand.headers} == {2}


def test_no_window_is_empty_beyond_the_limit_of_a_run() -> None:
    """K = 1. [0) has events, [60) follows it and is empty; [120) would follow an empty one, and does not exist."""
    hand = Hand(plan(empty_windows=1))
    hand.event(0)
    assert hand.event(190) == [Window("a", 0, 1), Window("a", 60, 0)]
    assert hand.event(260) == [Window("a", 180, 1)]


def test_an_empty_window_closes_in_its_own_time() -> None:
    """ts    0      70     100    130    160    190 by another series' progress; each closes its own window, once."""
    hand = Hand(plan(empty_windows=2, idle_grace=0))
    hand.event(0, "a")
    assert [hand.event(ts, "b")[0] for ts in (70,)] == [Window("a", 0, 1)]
    assert Window("a", 60, 0) not in hand.event(129, "b")
    assert Window("a", 60, 0) in hand.event(130, "b")
    assert Window("a", 120, 0) in hand.event(190, "b")
    assert all(window.model == "b" for window in hand.event(400, "b"))


def test_an_empty_window_has_what_needs_no_names() -> None:
    """n, counts and rates of 0, the rest flagged as empty; no stamps, no baseline, and the late events since."""
    hand = Hand(plan(empty_windows=1), BASELINES)
    hand.engine.activate(ACTIVE)
    values = {"model_version": "1", "features": [0.1, 0.2, 0.3], "data_hash": "d"}
    hand.event(0, "fraud0", **values)
    fed = hand.engine.feed(
        events(
            [
                {"ts": 70, "model_id": "fraud0", **values, "timestamp": 70},
                {"ts": 5, "model_id": "fraud0", **values, "timestamp": 70},
                {"ts": 200, "model_id": "fraud0", **values, "timestamp": 200},
                {"ts": 300, "model_id": "fraud0", **values, "timestamp": 300},
            ],
            first=1,
        )
    )
    found = [event for _, event, _ in metric_events(hand.engine.plan, fed.closed, SUITE)]
    assert [(event.start, event.n, event.n_late) for event in found] == [
        (0, 1, 0),
        (60, 1, 1),
        (120, 0, 0),
        (180, 1, 0),
    ]
    empty = found[2]
    assert (empty.baseline_id, empty.baseline_state) == (None, BaselineState.NO_BASELINE)
    assert (empty.data_hash, empty.git_commit, empty.mixed) == (None, None, False)
    assert {m.name for m in empty.measurements} >= {"traffic.count", "traffic.qps", "latency.p95"}
    for measurement in empty.measurements:
        assert measurement.feature is None
        assert (measurement.value, measurement.flag) in {(0.0, None), (None, "empty")}, measurement


def test_a_roll_up_is_empty_when_all_its_members_are() -> None:
    """prod    0                 205         its [60) and [120) are empty
    canary          70                       its [120) is
    *       [0 )  [60)  [120 0)[180
    """
    hand = Hand(plan(rollups=(Rollup.LANES,), empty_windows=2))
    hand.event(0, lane="prod")
    hand.event(70, lane="canary")
    hand.event(205, lane="prod")
    found = [(header.series.lane, header.start, header.n) for header in hand.headers]
    assert found == [("prod", 0, 1), ("*", 60, 1), ("prod", 60, 0), ("*", 120, 0), ("prod", 120, 0)]


# --- idle advances ----------------------------------------------------------------------------------------------------


def test_silence_closes_windows_at_the_position_where_it_was_decided() -> None:
    """ts     0   30 | z39   z1             9 late
    clock         30 |  69   70
    windows  [0  30  |       )              closing position 2
    """
    hand = Hand()
    hand.event(0)
    hand.event(30)
    assert hand.engine.until_due() == 40
    assert hand.silence(39) == []
    assert hand.engine.until_due() == 1
    assert hand.silence(1) == [Window("a", 0, 2)]
    assert hand.headers[0].closing_position == hand.engine.position == 2
    assert hand.engine.until_due() is None
    assert hand.silence(10_000) == []
    hand.event(9)
    assert hand.verdict == LATE


def test_silence_moves_every_clock_and_nothing_else() -> None:
    """P stays where it was: what comes later from others moves a silent series no further than before.

    a   0  | z500                 clock 500
    b      |       610   621      a: 0 + (610 - 0 - 120) = 490 < 500; 501 at P = 621
    """
    hand = Hand()
    hand.event(0, "a")
    hand.silence(500)
    assert (hand.clock("a"), int(hand.engine.progress[0])) == (500, 0)
    hand.event(610, "b", timestamp=FAR)
    assert hand.clock("a") == 500
    hand.event(621, "b", timestamp=FAR)
    assert hand.clock("a") == 501


def test_silence_goes_on_from_where_the_partition_had_moved_a_series() -> None:
    """a   0          | z5        a was at 0 + (185 - 120) = 65 when the silence began, so it is at 70
    b      185        |
    """
    hand = Hand()
    hand.event(0, "a")
    hand.event(185, "b")
    assert hand.engine.until_due() == 5
    assert hand.silence(5) == [Window("a", 0, 1)]


def test_silence_closes_empty_windows_one_after_another() -> None:
    """K = 2: [0, 60), then two more, and then nothing waits."""
    hand = Hand(plan(empty_windows=2))
    hand.event(0)
    found, silences = [], []
    while (due := hand.engine.until_due()) is not None:
        silences.append(due)
        found += hand.silence(due)
    assert found == [Window("a", 0, 1), Window("a", 60, 0), Window("a", 120, 0)]
    assert silences == [70, 60, 60]


def test_silence_moves_roll_ups_by_their_own_clock() -> None:
    """prod 0, canary 40: after z30 canary and * are at 70, prod is at 30."""
    hand = Hand(plan(rollups=(Rollup.LANES,)))
    hand.event(0, lane="prod")
    hand.event(40, lane="canary")
    hand.silence(30)
    assert [(header.series.lane, header.n) for header in hand.headers] == [("*", 2), ("canary", 1)]


def test_silence_that_seals_a_pane_is_due_before_its_window_closes() -> None:
    """Windows of 120, panes of 60: 0 lies in [0, 60), which is sealed after 70; its windows close after 70 and 130."""
    hand = Hand(plan(WindowSpec(120, 60)))
    hand.event(30)
    assert hand.engine.until_due() == 40
    assert hand.silence(40) == [Window("a", -60, 1)]
    assert hand.engine.until_due() == 60


def test_an_engine_that_has_seen_nothing_waits_for_nothing() -> None:
    hand = Hand(plan(empty_windows=3))
    assert hand.engine.until_due() is None
    assert hand.silence(FAR) == []


def test_silence_is_remembered_by_a_restart() -> None:
    """The advance is in the clocks that a snapshot holds: what was sealed by it stays sealed."""
    hand = Hand(plan(empty_windows=1))
    hand.event(0)
    hand.silence(100)
    hand.engine = restored(hand.engine)
    assert (hand.clock(), hand.engine.until_due()) == (100, 30)
    hand.event(59)
    assert hand.verdict == LATE
    assert hand.silence(30) == [Window("a", 60, 0)]


# --- series that go and come back -------------------------------------------------------------------------------------


def test_a_silent_series_gives_its_place_to_another() -> None:
    """One place, expiry 500.   a0   b499 counts for __other__   b500: at P = 500, a's place is free   c501 has it"""
    hand = Hand(plan(max_series=1, expire_after=500))
    hand.event(0, "a", timestamp=FAR)
    for ts, model in ((499, "b"), (500, "b"), (501, "c")):
        hand.event(ts, model, timestamp=FAR)
    closed = hand.silence(1_000)
    assert closed == [Window("__other__", 480, 2), Window("c", 480, 1)]


def test_a_series_that_comes_back_publishes_no_window_twice() -> None:
    """a    0                     380 late?  no, 381 is: its clock was moved to 500 - 120 = 380, mark 370
    b              500
    a      [0 )                               [360, 420) is sealed at 430, so 381 is good, and [0, 60) stays closed
    """
    hand = Hand(plan(max_series=2, expire_after=300))
    hand.event(0, "a", timestamp=FAR)
    assert hand.event(500, "b", timestamp=FAR) == [Window("a", 0, 1)]
    for ts in (0, 59, 300, 359):
        assert hand.event(ts, "a", timestamp=FAR) == []
        assert hand.verdict == LATE
    assert hand.event(381, "a", timestamp=FAR) == []
    assert hand.verdict == Code.OK
    assert hand.event(430, "a", timestamp=FAR) == [Window("a", 360, 1)]
    assert hand.headers[0].n_late == 4


def test_a_series_that_came_back_has_its_empty_windows_as_if_it_had_never_left() -> None:
    """K = 1: [60, 120) closed while it was there; [120, 180) would be the second in a row, and is not made up later."""
    hand = Hand(plan(max_series=2, expire_after=300, empty_windows=1))
    hand.event(0, "a", timestamp=FAR)
    assert hand.event(500, "b", timestamp=FAR) == [Window("a", 0, 1), Window("a", 60, 0)]
    hand.event(440, "a", timestamp=FAR)
    closed = hand.event(560, "a", timestamp=FAR)
    assert closed == [Window("a", 420, 1), Window("a", 480, 0)]


def test_silence_advances_the_clocks_of_those_that_are_gone_too() -> None:
    """a is gone, at 380 by b's 500; z100 brings it to 480: [360, 420) of it is sealed when it comes back."""
    hand = Hand(plan(MINUTE, max_series=2, expire_after=300))
    hand.event(0, "a", timestamp=FAR)
    hand.event(500, "b", timestamp=FAR)
    hand.silence(100)
    hand.event(419, "a", timestamp=FAR)
    assert hand.verdict == LATE
    hand.event(420, "a", timestamp=FAR)
    assert hand.verdict == Code.OK


def test_who_is_gone_is_gone_after_a_restart_and_still_known() -> None:
    hand = Hand(plan(max_series=1, expire_after=300))
    hand.event(0, "a", timestamp=FAR)
    hand.event(500, "b", timestamp=FAR)
    hand.engine = restored(hand.engine)
    hand.event(0, "a", timestamp=FAR)
    assert hand.verdict == LATE, "there is a place for it, and its clock says that [0, 60) is sealed"
    hand.event(500, "c", timestamp=FAR)
    assert hand.event(570, "c", timestamp=FAR) == [Window("c", 480, 1)]
