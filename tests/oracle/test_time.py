"""The oracle's clock on roll-ups, empty windows, idle advances and expiry, against timelines worked out by hand.

Times are in minutes. In the drawings, `[a b)^n` is a window with its events, closed at position n. Series are lanes of
one model; `*` is their roll-up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.oracle.clock import OTHER, ClosedWindow, PartitionTimeline, Series, Spec, Verdict
from tests.oracle.judge import matches
from tests.oracle.oracle import timeline_of
from tests.oracle.streams import MINUTE

ONE = Spec(MINUTE, MINUTE)


class Closed(NamedTuple):
    lane: str
    start: float  # minutes
    position: int
    n_late: int
    events: tuple[int, ...]  # offsets


class Play:
    """Feeds events (lane, minute) at offsets 0, 1, ...; `closed` and `verdicts` grow."""

    def __init__(self, *specs: Spec, lateness: float = 0, grace: float = 1e6, **options: Any) -> None:
        self.timeline: PartitionTimeline[int] = PartitionTimeline(
            specs or (ONE,), int(lateness * MINUTE), int(grace * MINUTE), 10**18, **options
        )
        self.closed: list[Closed] = []
        self.verdicts: list[Verdict] = []

    def events(self, *events: tuple[str, float]) -> Play:
        for lane, minute in events:
            offset = len(self.verdicts)
            series = self.timeline.counts_for(Series("m", "1", lane))
            verdict, windows = self.timeline.feed(offset, 0, series, round(minute * MINUTE), offset)
            self.verdicts.append(verdict)
            self.closed += map(_closed, windows)
        return self

    def silence(self, minutes: float) -> Play:
        self.closed += map(_closed, self.timeline.advance(len(self.verdicts), round(minutes * MINUTE)))
        return self

    def clock(self, lane: str) -> float:
        return self.timeline.clock(Series("m", "1", lane)) / MINUTE


def _closed(window: ClosedWindow[int]) -> Closed:
    return Closed(window.series.lane, window.start / MINUTE, window.closing_position, window.n_late, window.events)


# --- roll-ups ---------------------------------------------------------------------------------------------------------


def test_a_roll_up_has_the_events_of_its_members_in_order() -> None:
    """
    offset   0     1     2     3
    a        0           0.5   1.2
    b              0.3
    a       [0           2     )^4
    *       [0     1     2     )^4
    """
    play = Play(rollups=["lanes"]).events(("a", 0), ("b", 0.3), ("a", 0.5), ("a", 1.2))
    assert play.closed == [Closed("*", 0, 4, 0, (0, 1, 2)), Closed("a", 0, 4, 0, (0, 2))]


def test_a_lagging_lane_is_late_for_the_roll_up_alone() -> None:
    """b runs two minutes behind a: its own windows are whole, the roll-up's do not wait for it.

    offset   0     1     2     3     4     5
    a        0     1.1               3
    b                    0.2   0.9         1.5      2, 3: [0, 1) is sealed for * since offset 1
    a       [0    )^2
    *       [0    )^2
    a             [1                 )^5
    *             [1                 )^5  n_late 2
    b                   [2     3           )^6
    """
    play = Play(rollups=["lanes"]).events(("a", 0), ("a", 1.1), ("b", 0.2), ("b", 0.9), ("a", 3), ("b", 1.5))
    assert set(play.verdicts) == {Verdict.ACCEPTED}
    assert play.closed == [
        Closed("*", 0, 2, 0, (0,)),
        Closed("a", 0, 2, 0, (0,)),
        Closed("*", 1, 5, 2, (1,)),
        Closed("a", 1, 5, 0, (1,)),
        Closed("b", 0, 6, 0, (2, 3)),
    ]


def test_what_is_late_for_the_roll_up_moves_neither_its_clock_nor_its_p0() -> None:
    """grace 1; P0 of * is 5 and stays it. Another model moves P.

    offset   0      1      2 other   3       4 other
    a        0      5
    b                                0.5              late for *
    P        0      5      7         7       9
    clock *  0      5      6         6       8        5 + (9 - 5 - 1); with P0 = 7 it would be 6
    """
    play = Play(rollups=["lanes"], grace=1).events(("a", 0), ("a", 5))
    other = Series("other", "1", "x")
    play.timeline.feed(2, 0, other, 7 * MINUTE, 2)
    play.verdicts.append(Verdict.ACCEPTED)
    assert play.clock("*") == 6
    play.events(("b", 0.5))
    play.timeline.feed(4, 0, other, 9 * MINUTE, 4)
    assert (play.clock("*"), play.clock("a")) == (8, 8)


def test_what_is_late_for_a_member_is_late_for_its_roll_ups() -> None:
    """Even where the roll-up would have taken it, as its clock can be behind a member's. grace 2: a slept from 0 to
    P = 10, so its clock is 8; b begins at 8.5.

    offset   0     1 other  2       3 other   4
    a        0                                8.9       late for a, whose clock is 0 + (12 - 2) = 10
    b                       8.5                         P0 of * is 10 from here on: its clock is 8.5, then 8.5 + 0
    P        0     10       10      12        12
    """
    play = Play(rollups=["lanes"], grace=2).events(("a", 0))
    other = Series("other", "1", "x")
    play.timeline.feed(1, 0, other, 10 * MINUTE, 1)
    play.verdicts.append(Verdict.ACCEPTED)
    play.events(("b", 8.5))
    play.timeline.feed(3, 0, other, 12 * MINUTE, 3)
    play.verdicts.append(Verdict.ACCEPTED)
    assert (play.clock("a"), play.clock("*")) == (10, 8.5)
    play.events(("a", 8.9))
    assert play.verdicts[-1] is Verdict.LATE
    play.events(("b", 9.5))
    assert play.closed[-2:] == [Closed("*", 8, 6, 1, (2,)), Closed("b", 8, 6, 0, (2,))]


def test_versions_lanes_and_model_are_three_roll_ups() -> None:
    timeline: PartitionTimeline[int] = PartitionTimeline(
        [ONE], idle_grace=10**18, rollups=["lanes", "versions", "model"]
    )
    for offset, series in enumerate([Series("m", "1", "a"), Series("m", "1", "b"), Series("m", "2", "a")]):
        timeline.feed(offset, 10**18, series, 0, offset)
    _, closed = timeline.feed(3, 10**18, Series("m", "2", "b"), MINUTE, 3)
    assert {("/".join(window.series[1:]), window.events) for window in closed} == {
        ("*/*", (0, 1, 2)),
        ("2/*", (2,)),
        ("*/b", (1,)),
    }, "1/* and */a have reached 0 only"


def test_what_is_over_the_limit_has_no_roll_up() -> None:
    play = Play(rollups=["model"], max_series=1).events(("a", 0), ("b", 0), ("a", 1), ("b", 1))
    assert [(closed.lane, closed.events) for closed in play.closed] == [("*", (0,)), ("a", (0,)), ("__other__", (1,))]


# --- empty windows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most,starts", [(0, [0]), (1, [0, 1]), (3, [0, 1, 2, 3]), (9, [0, 1, 2, 3, 4])])
def test_so_many_windows_behind_one_with_events_may_be_empty(most: int, starts: list[int]) -> None:
    """[0 )[ )[ )[ )[ )[5 ..."""
    play = Play(empty_windows=most).events(("a", 0), ("a", 5.5))
    assert play.closed == [Closed("a", start, 2, 0, (0,) if start == 0 else ()) for start in starts]


def test_an_empty_window_closes_once_and_in_its_turn() -> None:
    """K = 2, lateness 0.5.

    offset   0     1     2       3 late   4
    minute   0     1.5   2.7     1.9      4.6
            [0    )^2
                  [1      )^4               1.9 is late? no: [1, 2) is sealed at 2.5, which 2.7 has reached: late
                         [2             )^5 n_late 1
                              [3 empty  )^5 n_late 0
    """
    play = Play(lateness=0.5, empty_windows=2).events(("a", 0), ("a", 1.5), ("a", 2.7), ("a", 1.9), ("a", 4.6))
    assert play.closed == [
        Closed("a", 0, 2, 0, (0,)),
        Closed("a", 1, 3, 0, (1,)),
        Closed("a", 2, 5, 1, (2,)),
        Closed("a", 3, 5, 0, ()),
    ]


def test_empty_windows_of_sliding_windows_begin_one_slide_apart() -> None:
    """2 minutes every minute, K = 1: [-1, 1) and [0, 2) hold the event, [1, 3) follows; [2, 4) does not exist."""
    play = Play(Spec(2 * MINUTE, MINUTE), empty_windows=1).events(("a", 0), ("a", 9))
    assert play.closed == [Closed("a", -1, 2, 0, (0,)), Closed("a", 0, 2, 0, (0,)), Closed("a", 1, 2, 0, ())]


def test_an_empty_window_may_be_the_one_that_tells_of_late_events() -> None:
    """K = 1, grace 0: b moves a. 0.5 comes late, when [0, 1) has closed; [1, 2) is empty and says so."""
    play = Play(empty_windows=1, grace=0).events(("a", 0), ("b", 1.5), ("a", 0.5), ("b", 2))
    of_a = [closed for closed in play.closed if closed.lane == "a"]
    assert of_a == [Closed("a", 0, 2, 0, (0,)), Closed("a", 1, 4, 1, ())]


# --- silence ----------------------------------------------------------------------------------------------------------


def test_silence_closes_what_is_due_at_its_position() -> None:
    """lateness 0.5; a has reached 0.2, b 1.1; after 1.3 minutes a is at 1.5, b at 2.4.

    offset   0     1     | 1.3   2 late  3
    a        0.2         |       0.9     2.4        [0, 1) of a is sealed
    b              1.1   |                          [1, 2) of b is sealed at 2.5, not at 2.4
    a       [0           )^2            )
    """
    play = Play(lateness=0.5).events(("a", 0.2), ("b", 1.1))
    assert play.timeline.until_due() == 1.3 * MINUTE
    play.silence(1.3)
    assert play.closed == [Closed("a", 0, 2, 0, (0,))]
    assert (play.clock("a"), play.clock("b")) == (1.5, 2.4)
    play.events(("a", 0.9), ("a", 2.4))
    assert play.verdicts[2:] == [Verdict.LATE, Verdict.ACCEPTED]
    assert play.clock("a") == 2.4
    assert play.timeline.until_due() == round(0.1 * MINUTE)


def test_silence_does_not_move_the_partitions_progress() -> None:
    """grace 1: after 10 minutes of silence P is still 0, so b's 3 moves a (at 10) nowhere: 0 + (3 - 0 - 1) = 2."""
    play = Play(grace=1).events(("a", 0)).silence(10).events(("b", 3))
    assert (play.clock("a"), play.clock("b")) == (10, 3)


def test_silence_closes_empty_windows_too_and_then_nothing_waits() -> None:
    play = Play(empty_windows=2).events(("a", 0)).silence(1)
    assert play.timeline.until_due() == MINUTE
    play.silence(1).silence(5)
    assert [(closed.start, closed.events) for closed in play.closed] == [(0, (0,)), (1, ()), (2, ())]
    assert play.timeline.until_due() is None


def test_silence_moves_roll_ups() -> None:
    play = Play(rollups=["lanes"]).events(("a", 0), ("b", 0.5)).silence(0.5)
    assert play.closed == [Closed("*", 0, 2, 0, (0, 1)), Closed("b", 0, 2, 0, (1,))]


def test_nothing_happens_before_the_first_record() -> None:
    assert Play().silence(100).closed == []


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_a_series_that_is_silent_for_long_gives_its_place_free() -> None:
    """One place, expiry 10, grace 1: at P = 10 there is room for somebody else, and a must count elsewhere.

    offset   0     1     2      3     4
    lane     a     b     b      c     a
    minute   0     5     10     10    10
    counts   a     *other*      c     *other*
    """
    play = Play(max_series=1, expire_after=10 * MINUTE, grace=1)
    seen = []
    for lane, minute in (("a", 0), ("b", 5), ("b", 10), ("c", 10), ("a", 10)):
        seen.append(play.timeline.counts_for(Series("m", "1", lane)).lane)
        play.events((lane, minute))
    assert seen == ["a", OTHER.lane, OTHER.lane, "c", OTHER.lane]


def test_a_series_that_comes_back_goes_on_where_it_was() -> None:
    """P = 20 moved its clock to 0 + (20 - 1) = 19: 18.5 is late, 19 is not, and [0, 1) is not published again."""
    play = Play(max_series=2, expire_after=10 * MINUTE, grace=1)
    play.events(("a", 0), ("b", 20), ("a", 18.5), ("a", 0.5), ("a", 19), ("a", 20))
    assert [verdict is Verdict.LATE for verdict in play.verdicts] == [False, False, True, True, False, False]
    assert [closed for closed in play.closed if closed.lane == "a"] == [
        Closed("a", 0, 2, 0, (0,)),
        Closed("a", 19, 6, 2, (4,)),
    ]


def test_a_series_that_holds_something_keeps_its_place() -> None:
    """Expiry 2, lateness 5: at P = 3 the pane [0, 1) of a is open, so a keeps its place; at P = 6 it is sealed."""
    play = Play(max_series=1, expire_after=2 * MINUTE, lateness=5, grace=0).events(("a", 0), ("b", 3))
    assert play.timeline.places == {Series("m", "1", "a")}
    play.events(("b", 6))
    assert play.timeline.places == set()


# --- patterns ---------------------------------------------------------------------------------------------------------


def test_windows_for_some_series_only() -> None:
    """A scope names what a window is for; roll-ups only where it says so."""
    one, two, three = (MINUTE, MINUTE, 0), (2 * MINUTE, 2 * MINUTE, 0), (3 * MINUTE, 3 * MINUTE, 0)
    scopes = [{"window": two, "lane": "[*]"}, {"window": two, "model": "x*"}, {"window": three, "lane": "a"}]
    timeline = timeline_of({"windows": [one, two, three], "rollups": ["lanes"], "scopes": scopes})
    timeline.feed(0, 0, Series("m", "1", "a"), 0, None)
    timeline.feed(1, 0, Series("x", "1", "b"), 0, None)
    found = {(series.model_id, series.lane): [spec.size // MINUTE for spec in state.specs]
             for series, state in timeline.series.items()}  # fmt: skip
    assert found == {("m", "a"): [1, 3], ("m", "*"): [1, 2], ("x", "b"): [1, 2], ("x", "*"): [1, 2]}
    assert timeline.pane_width == MINUTE


def test_patterns_and_roll_ups() -> None:
    assert matches(("m", "1", "a"), "*", "*", "*")
    assert not matches(("m", "1", "*"), "*", "*", "*")
    assert matches(("m", "1", "*"), "*", "*", "[*]")
    assert not matches(("m", "*", "*"), "*", "*", "[*]")
    assert not matches(("m", "1", "a"), "*", "*", "[*]")
    assert not matches(tuple(OTHER), "*", "*", "*")
    assert matches(tuple(OTHER), "__other__", "*", "*")
