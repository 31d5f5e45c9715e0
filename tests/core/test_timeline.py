"""Clocks, sealing and late events, on drawn timelines. One mark is 10 units; a pane is 60, lateness 10, grace 120."""

from __future__ import annotations

import pytest

from streammon.core.errors import Code
from streammon.core.outputs import WindowSpec
from streammon.core.timeline import FARTHEST, LATE
from tests.core.hand import Hand, Window, plan


def test_a_window_closes_at_the_event_that_reaches_its_end_and_the_lateness() -> None:
    """ts      0         60    69 70
    events  a0        a60   |  |
    sealed                  no yes: [0, 60) closes with one event, at position 4; a70 belongs to the next
    """
    hand = Hand()
    assert hand.event(0) == []
    assert hand.event(60) == []
    assert hand.event(69) == []
    assert hand.event(70) == [Window("a", 0, 1)]
    assert hand.headers[0].closing_position == 4
    assert hand.event(130) == [Window("a", 60, 3)]


def test_an_event_is_late_if_and_only_if_its_pane_is_sealed() -> None:
    """order   0   69   59   70   59   60
    verdict ok  ok   ok   ok  late  ok      59 lies in [0, 60), which is sealed from clock 70 on
    """
    hand = Hand()
    for ts in (0, 69, 59):
        hand.event(ts)
        assert hand.verdict == Code.OK
    assert hand.event(70) == [Window("a", 0, 2)]
    hand.event(59)
    assert hand.verdict == LATE
    hand.event(60)
    assert hand.verdict == Code.OK
    assert hand.event(200) == [Window("a", 60, 3)]
    assert hand.headers[0].n_late == 1, "counted, but in no window"


def test_late_events_are_reported_once_by_the_next_window_of_each_size() -> None:
    """late     x x        x
    closes       [60)       [120)  and  [0, 120) of the long windows, which reports all three
    """
    hand = Hand(plan(WindowSpec(60, 60), WindowSpec(120, 120)))
    hand.event(0)
    hand.event(70)
    hand.event(1)
    hand.event(2)
    hand.event(125)
    hand.event(3)
    assert hand.event(130) == [Window("a", 60, 1), Window("a", 0, 2)]
    assert [header.n_late for header in hand.headers] == [3, 3]
    hand.event(200)
    assert [header.n_late for header in hand.headers] == [0]


def test_a_late_event_moves_no_clock() -> None:
    hand = Hand()
    hand.event(1000)
    before = hand.clock(), int(hand.engine.progress[0])
    hand.event(0)
    assert hand.verdict == LATE
    assert (hand.clock(), int(hand.engine.progress[0])) == before


def test_time_before_the_epoch_is_time_like_any_other() -> None:
    """ts     -121 -120   -61 -60  -51 -50
    pane   [-180) [-120      )[-60         )     panes are floors, not truncations
    """
    hand = Hand()
    hand.event(-121)
    assert hand.event(-120) == []
    assert hand.event(-61) == [Window("a", -180, 1)]
    assert hand.event(-60) == []
    assert hand.event(-51) == []
    assert hand.event(-50) == [Window("a", -120, 2)]
    assert hand.event(30) == [Window("a", -60, 3)]


def test_panes_begin_at_the_offset_of_their_windows() -> None:
    """Windows of 60 that begin at 20, 80, ...: 19 is the last moment of [-40, 20)."""
    hand = Hand(plan(WindowSpec(60, 60, 20)))
    hand.event(19)
    hand.event(20)
    assert hand.event(30) == [Window("a", -40, 1)]
    assert hand.event(90) == [Window("a", 20, 2)]


def test_a_silent_series_is_moved_by_the_partition_after_the_grace() -> None:
    """a   a0                       a59        a61       both are late
    b        b10 ...... b189 b190        b255
    P0 of a is 0; a's clock is 0 + (P - 0 - 120): 69 at P = 189, 70 at P = 190, where [0, 60) of a closes, and 135 at
    P = 255, so that [60, 120) is sealed although no window of a was due since
    """
    hand = Hand()
    hand.event(0, "a")
    hand.event(10, "b")
    assert hand.event(189, "b") == [Window("b", 0, 1)]
    assert hand.clock("a") == 69
    assert hand.event(190, "b") == [Window("a", 0, 1)]
    assert hand.headers[0].closing_position == 4
    hand.event(59, "a")
    assert hand.verdict == LATE
    hand.event(255, "b")
    hand.event(61, "a")
    assert hand.verdict == LATE


def test_one_event_can_close_windows_of_many_series() -> None:
    """Order: window end, then window, then series."""
    hand = Hand()
    for model, ts in (("c", 0), ("b", 70), ("a", 10)):
        hand.event(ts, model)
    assert hand.event(1000, "z") == [Window("a", 0, 1), Window("c", 0, 1), Window("b", 60, 1)]
    assert {header.closing_position for header in hand.headers} == {4}


def test_a_batch_20_hours_old_keeps_its_own_time() -> None:
    """live    l72000  l72060  ...                     (20 h = 72,000)
    batch           n0  n30   n61  n0  n70              nothing of it is late, its windows close by its own events
    """
    hand = Hand()
    hand.event(72_000, "live")
    hand.event(0, "nightly")
    assert hand.event(72_100, "live") == [Window("live", 72_000, 1)]
    for ts in (30, 61, 0):
        assert hand.event(ts, "nightly") == []
        assert hand.verdict == Code.OK
    assert hand.event(70, "nightly") == [Window("nightly", 0, 3)]
    assert hand.clock("nightly") == 70
    assert hand.event(72_250, "live") == [Window("live", 72_060, 1)]
    assert hand.clock("nightly") == 70 + (72_250 - 72_100 - 120), "then silent: it follows the partition's progress"


def test_a_nightly_job_beside_live_traffic_gets_all_its_windows() -> None:
    """live      72000   72020   72040   ...           20 h ahead, three events to each of the job's
    nightly          0           40           80      sliding windows of 180, one every 60, and no event of it is late
    """
    hand = Hand(plan(WindowSpec(180, 60), WindowSpec(60, 60)))
    nightly = range(0, 1_200, 40)
    found: dict[WindowSpec, dict[int, int]] = {WindowSpec(180, 60): {}, WindowSpec(60, 60): {}}
    for k, ts in enumerate([*nightly, 1_500]):
        for step in range(3):
            hand.event(72_000 + 20 * (3 * k + step), "live")
        hand.event(ts, "nightly")
        assert hand.verdict == Code.OK
        for header in hand.headers:
            if header.series.model_id == "nightly":
                assert header.start not in found[header.spec], "closed twice"
                found[header.spec][header.start] = header.n
    for spec, windows in found.items():
        starts = range(60 - spec.size, 1_200, 60)
        assert windows == {start: sum(start <= ts < start + spec.size for ts in nightly) for start in starts}


def test_one_event_a_year_ahead_closes_nothing() -> None:
    """Nor does one whose record is a year ahead, too, when the worker's clock has judged it; the next is judged alike.

    ts    0   30      1y (record of 30)   1y (record of 1y, by verdict)   59   70
    windows  [0  30                                                       59  )
    """
    year = 365 * 86_400
    hand = Hand(plan(WindowSpec(60, 60), WindowSpec(120, 60), empty_windows=2))
    for ts in (0, 30):
        hand.event(ts)
    for values in ([("timestamp", 30)], [("timestamp", year), ("code", int(Code.FUTURE))]):
        assert hand.event(year, "a", **dict(values)) == []
        assert hand.verdict == Code.FUTURE
        assert (hand.clock(), int(hand.engine.progress[0]), hand.engine.until_due()) == (30, 30, 40)
    hand.event(59)
    assert hand.verdict == Code.OK
    assert hand.event(70) == [Window("a", 0, 3), Window("a", -60, 3)]


def test_events_exactly_on_the_edges_of_sliding_windows() -> None:
    """Windows of 60, one every 30; panes of 30; lateness 10. An edge belongs to what begins there, as a microsecond
    before it does not, and a pane is sealed by the clock that reaches its end and the lateness.

    ts         29    30    59    60    |  69  70
    [-30, 30)  29                      |
    [0, 60)    29    30    59          |      )
    [30, 90)         30    59    60    |  69  70
    """
    hand = Hand(plan(WindowSpec(60, 30)))
    assert hand.event(29) == []
    assert hand.event(30) == []
    assert hand.event(59) == [Window("a", -30, 1)], "59 is beyond 30 + 10"
    assert hand.event(60) == []
    assert hand.event(69) == []
    hand.event(59)
    assert hand.verdict == Code.OK
    assert hand.event(70) == [Window("a", 0, 4)]
    hand.event(59)
    assert hand.verdict == LATE
    hand.event(60)
    assert hand.verdict == Code.OK
    assert hand.event(99) == []
    assert hand.event(100) == [Window("a", 30, 7)]


def test_a_clock_never_goes_back() -> None:
    """a   a0             a125  a125   a60
    b       b300
    clock   180            180         late: [60, 120) is sealed from 130 on, though a's own time is 125
    """
    hand = Hand()
    hand.event(0, "a")
    assert hand.event(300, "b") == [Window("a", 0, 1)]
    assert hand.clock("a") == 180
    hand.event(125, "a")
    assert hand.verdict == Code.OK, "[120, 180) is sealed at 190"
    assert hand.clock("a") == 180
    hand.event(60, "a")
    assert hand.verdict == LATE


def test_an_event_of_its_own_ends_the_silence_of_a_series() -> None:
    """a   a0         a130                P0 of a is 200 from its second event on, so it follows P from 320 on
    b      b200            b330
    """
    hand = Hand()
    hand.event(0, "a")
    hand.event(200, "b")
    assert hand.clock("a") == 80
    hand.event(130, "a")
    assert hand.clock("a") == 130
    hand.event(330, "b")
    assert hand.clock("a") == 130 + (330 - 200 - 120)


def test_an_event_from_the_future_moves_no_clock() -> None:
    """A record of time 0 may carry a ts of 300, the skew; 301 is a dead letter."""
    hand = Hand()
    hand.event(0)
    hand.event(301, timestamp=0)
    assert hand.verdict == Code.FUTURE
    assert hand.clock() == 0
    assert hand.event(300, timestamp=0) == [Window("a", 0, 1)]
    assert hand.verdict == Code.OK


def test_a_bad_record_moves_nothing_but_the_position() -> None:
    hand = Hand()
    hand.event(0)
    hand.event(500, code=Code.TRUNCATED)
    assert (hand.verdict, hand.clock(), hand.engine.position) == (Code.TRUNCATED, 0, 2)


@pytest.mark.parametrize("ts", [FARTHEST, -FARTHEST, (1 << 63) - 1, -(1 << 63)])
def test_a_time_beyond_all_calendars_is_out_of_range(ts: int) -> None:
    hand = Hand()
    hand.event(ts, timestamp=(1 << 62))
    assert hand.verdict in {Code.RANGE, Code.FUTURE}
    assert hand.event(0) == []
    assert hand.clock() == 0


def test_an_event_accepted_after_the_clock_passed_its_window_closes_it_at_once() -> None:
    """a   a0          a125
    b       b310                a's clock is 190 at P = 310: [120, 180) of a is sealed before a has an event in it
    """
    hand = Hand()
    hand.event(0, "a")
    hand.event(310, "b")
    hand.event(125, "a")
    assert hand.verdict == LATE
    assert hand.event(180, "a") == []
    assert hand.verdict == Code.OK


def test_a_window_without_events_does_not_exist() -> None:
    hand = Hand()
    hand.event(0)
    assert hand.event(700) == [Window("a", 0, 1)]
    assert hand.event(800) == [Window("a", 660, 1)]


def test_sliding_and_tumbling_windows_share_panes() -> None:
    """pane      [0, 30) [30, 60) [60, 90)
    sliding   [-30, 30), [0, 60), [30, 90), ...       60 long, one every 30
    tumbling  [0, 90)
    """
    sliding, tumbling = WindowSpec(60, 30), WindowSpec(90, 90)
    hand = Hand(plan(sliding, tumbling))
    hand.event(0)
    hand.event(35)
    assert hand.event(40) == [Window("a", -30, 1)]
    hand.event(65)
    assert hand.event(70) == [Window("a", 0, 3)]
    assert hand.event(100) == [Window("a", 30, 4), Window("a", 0, 5)]
    assert [header.spec for header in hand.headers] == [sliding, tumbling]


def test_the_hashes_of_a_window_are_those_that_all_its_events_agree_on() -> None:
    """None does not disagree with anybody; two values do."""
    hand = Hand()
    hand.event(0, data_hash="d1", git_commit=None)
    hand.event(1, data_hash=None, git_commit="c1")
    hand.event(2, data_hash="d1", git_commit="c2")
    hand.event(70, data_hash="")
    header = hand.headers[0]
    assert (header.data_hash, header.git_commit, header.mixed) == ("d1", None, True)
    hand.event(130)
    header = hand.headers[0]
    assert (header.data_hash, header.git_commit, header.mixed) == ("", None, False)
