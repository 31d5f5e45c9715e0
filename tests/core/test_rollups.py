"""Roll-ups on drawn timelines: all lanes of a version, all versions in a lane, all of a model.

A window is 60, lateness 10, grace 120. In the drawings `prod` and `canary` are lanes of one version, `*` their roll-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from streammon.core.errors import Code
from streammon.core.outputs import BaselineState, Rollup, Series, WindowSpec
from streammon.core.plan import Scope
from streammon.core.publish import metric_events
from streammon.core.timeline import LATE
from tests.core.batches import events
from tests.core.hand import MINUTE, Hand, idle, plan
from tests.core.test_snapshot import ACTIVE, BASELINES
from tests.laws.harness import SUITE

LANES = (Rollup.LANES,)


def lanes(hand: Hand, ts: int, lane: str, **values: Any) -> list[tuple[str, int, int]]:
    """Feed an event of a lane; returns lane, start and n of the windows that it closes."""
    hand.event(ts, lane=lane, **values)
    return [(header.series.lane, header.start, header.n) for header in hand.headers]


def test_a_roll_up_has_what_its_members_have() -> None:
    """prod    0     30    70
    canary     20    40             slower: its own window is still open
    *        [0 20 30 40   )        closes with prod's, whose clock is its own
    """
    hand = Hand(plan(rollups=LANES))
    for ts, lane in ((0, "prod"), (20, "canary"), (30, "prod"), (40, "canary")):
        assert lanes(hand, ts, lane) == []
    assert lanes(hand, 70, "prod") == [("*", 0, 4), ("prod", 0, 2)]
    assert {header.closing_position for header in hand.headers} == {5}
    assert lanes(hand, 70, "canary") == [("canary", 0, 2)]


def test_a_lagging_lane_is_late_for_the_roll_up_alone() -> None:
    """prod    0     70                130
    canary              0    59               70
    canary             [0    59               )  is whole
    *        [0      )  late late                  its next window says so: 2
    """
    hand = Hand(plan(rollups=LANES))
    lanes(hand, 0, "prod")
    assert lanes(hand, 70, "prod") == [("*", 0, 1), ("prod", 0, 1)]
    for ts in (0, 59):
        assert lanes(hand, ts, "canary") == []
        assert hand.verdict == Code.OK
    assert lanes(hand, 130, "prod") == [("*", 60, 1), ("prod", 60, 1)]
    assert [header.n_late for header in hand.headers] == [2, 0]
    assert lanes(hand, 70, "canary") == [("canary", 0, 2)]
    assert hand.headers[0].n_late == 0


def test_what_is_late_for_a_member_is_late_for_its_roll_up() -> None:
    """prod    0     70  |  5 late       130
    *        [0     )   |               )  n_late 1
    """
    hand = Hand(plan(rollups=LANES))
    for ts in (0, 70, 5):
        lanes(hand, ts, "prod")
    assert hand.verdict == LATE
    assert lanes(hand, 130, "prod") == [("*", 60, 1), ("prod", 60, 1)]
    assert [header.n_late for header in hand.headers] == [1, 1]


def test_a_member_that_is_late_is_late_even_where_the_roll_up_would_take_it() -> None:
    """other            300            420
    prod       0                               185 late: prod's clock is 0 + 420 - 120 = 300
    canary                    185              late for *, too, whose clock is 185 + max(0, 420 - 300 - 120) = 185
    """
    hand = Hand(plan(rollups=LANES))
    lanes(hand, 0, "prod")
    hand.event(300, "other")
    lanes(hand, 185, "canary")
    hand.event(420, "other")
    assert (hand.clock(lane="prod"), hand.clock(lane="*")) == (300, 185)
    lanes(hand, 185, "prod")
    assert hand.verdict == LATE
    assert lanes(hand, 250, "canary") == [("*", 180, 1), ("canary", 180, 1)]
    assert [header.n_late for header in hand.headers] == [1, 0]


def test_what_is_late_for_the_roll_up_does_not_move_its_clock() -> None:
    """other                      460           520
    prod       0    300                               P0 of * stays 300: at 460 it is at 300 + (460 - 300 - 120)
    canary                  10          12            both late for *, not for canary
    *                             340           400   had 12 counted, P0 were 460 and the clock still at 340
    """
    hand = Hand(plan(rollups=LANES))
    lanes(hand, 0, "prod")
    lanes(hand, 300, "prod")
    lanes(hand, 10, "canary")
    assert hand.verdict == Code.OK
    hand.event(460, "other")
    assert hand.clock(lane="*") == 340
    lanes(hand, 12, "canary")
    assert hand.verdict == Code.OK
    hand.event(520, "other")
    assert (hand.clock(lane="*"), hand.clock(lane="canary")) == (400, 50)


def test_what_members_take_later_does_not_enter() -> None:
    """One window of two panes. * has sealed [0, 60) when canary brings 40 to it, and [60, 120) is still open.

    prod    0     70          130
    canary            40                        in its own window of 120, not in that of *
    *      [0     70          )   n 2, one late
    """
    hand = Hand(plan(WindowSpec(120, 120), WindowSpec(60, 60), rollups=LANES))
    for ts, lane in ((0, "prod"), (70, "prod"), (40, "canary")):
        lanes(hand, ts, lane)
    assert hand.verdict == Code.OK
    assert lanes(hand, 130, "prod") == [("*", 60, 1), ("prod", 60, 1), ("*", 0, 2), ("prod", 0, 2)]
    assert [header.n_late for header in hand.headers] == [1, 0, 1, 0]
    assert lanes(hand, 130, "canary") == [("canary", 0, 1), ("canary", 0, 1)]


def test_what_members_take_later_in_the_same_batch_does_not_enter() -> None:
    """prod 0 (1), canary 10 (8), prod 70 seals [0, 60) of *, canary 40 (4), canary 70: latencies name the events."""
    drawn = ((0, "prod", 1.0), (10, "canary", 8.0), (70, "prod", 2.0), (40, "canary", 4.0), (70, "canary", 16.0))
    rows = [{"ts": ts, "model_id": "a", "lane": lane, "latency_ms": latency} for ts, lane, latency in drawn]
    closed = Hand(plan(rollups=LANES)).engine.feed(events(rows)).closed
    sums = {(header.series.lane, header.n): float(group.aggregates["latency"].state["sum"][w])
            for group in closed for w, header in enumerate(group.headers)}  # fmt: skip
    assert sums == {("*", 2): 9.0, ("prod", 1): 1.0, ("canary", 2): 12.0}


def test_a_silent_roll_up_follows_the_partition() -> None:
    """Nothing of the model comes any more. P0 and own of * are 5, so at P = 190 it is at 70, and so are its members."""
    hand = Hand(plan(rollups=LANES))
    lanes(hand, 0, "prod")
    lanes(hand, 5, "canary")
    assert hand.event(189, "other") == []
    hand.event(190, "other")
    assert [(header.series.lane, header.n) for header in hand.headers] == [("*", 2), ("canary", 1), ("prod", 1)]


def test_three_roll_ups_of_four_series() -> None:
    """Versions 1 and 2, lanes prod and canary; one event each at 0, the last one closes all that it belongs to."""
    hand = Hand(plan(rollups=tuple(Rollup)))
    for version in "12":
        for lane in ("prod", "canary"):
            hand.event(0, model_version=version, lane=lane)
    hand.event(70, model_version="2", lane="canary")
    assert [(*header.series[1:], header.n) for header in hand.headers] == [
        ("*", "*", 4),
        ("*", "canary", 2),
        ("2", "*", 2),
        ("2", "canary", 1),
    ]


def test_what_is_over_the_limit_on_series_is_in_no_roll_up() -> None:
    hand = Hand(plan(rollups=LANES, max_series=1))
    for ts, lane in ((0, "prod"), (1, "canary"), (70, "canary")):
        lanes(hand, ts, lane)
    assert [(header.series.lane, header.n) for header in hand.headers] == [("__other__", 1)]
    assert lanes(hand, 70, "prod") == [("*", 0, 1), ("prod", 0, 1)]
    assert hand.headers[0].n_late == 0


def test_a_window_of_roll_ups_only() -> None:
    """Its scope says `[*]`: the members have no such window, but their panes are there for it."""
    long = WindowSpec(120, 120)
    hand = Hand(plan(MINUTE, long, rollups=LANES, scopes=(Scope(long, lane="[*]"), Scope(MINUTE, lane="prod"))))
    for ts, lane in ((0, "prod"), (1, "canary"), (65, "canary")):
        lanes(hand, ts, lane)
    lanes(hand, 130, "prod")
    assert [(h.series.lane, h.spec.size, h.start, h.n) for h in hand.headers] == [("prod", 60, 0, 1), ("*", 120, 0, 3)]


def test_members_are_merged_in_the_order_of_their_keys() -> None:
    """1e16 + 1 + 1 is not 1 + 1 + 1e16: whoever comes first, the sum is a's, then b's, then z's."""
    sums = set()
    for order in ("abz", "zba", "bza"):
        hand = Hand(plan(rollups=LANES))
        for lane in order:
            lanes(hand, 0, lane, latency_ms=1e16 if lane == "a" else 1.0)
        fed = hand.engine.feed(events([{"ts": 70, "model_id": "a", "lane": "q"}], first=3))
        [sum_] = [group.aggregates["latency"].state["sum"][0] for group in fed.closed]
        sums.add(float(sum_))
    assert sums == {1e16}, "1e16 + 1 is 1e16 again, twice"
    assert 1.0 + 1.0 + 1e16 != 1e16


def test_a_roll_up_over_baselines_says_what_it_is_compared_with() -> None:
    """All lanes of a version: its baseline. All versions: one with and one without span two, and are not tested."""
    hand = Hand(plan(rollups=(Rollup.LANES, Rollup.VERSIONS)), BASELINES)
    hand.engine.activate(ACTIVE)
    for version, lane in (("1", "prod"), ("1", "canary"), ("2", "prod")):
        hand.event(0, "fraud0", model_version=version, lane=lane, features=[0.1, 0.2, 0.3])
    ends = [{"ts": 70, "model_id": "fraud0", "model_version": "1", "lane": "prod", "features": [0.1, 0.2, 0.3]}]
    fed = hand.engine.feed(events(ends, first=3))
    found = {event.series[1:]: event for _, event, _ in metric_events(hand.engine.plan, fed.closed, SUITE)}
    assert found["1", "*"].baseline_state is BaselineState.OK
    assert found["1", "*"].n == 2
    assert "feature.psi" in {measurement.name for measurement in found["1", "*"].measurements}
    assert found["*", "prod"].baseline_state is BaselineState.SPANS_TWO
    assert found["*", "prod"].n == 2
    assert "feature.psi" not in {measurement.name for measurement in found["*", "prod"].measurements}


def test_the_counts_of_a_roll_up_are_the_sums_of_its_members() -> None:
    rng = np.random.default_rng(0)
    rows = [
        {"ts": k // 4, "model_id": "m", "lane": str(rng.integers(5)), "http_status": int(rng.choice([200, 404, 500]))}
        for k in range(240)
    ]
    hand = Hand(plan(rollups=LANES, allowed_lateness=0))
    closed = hand.engine.feed(events(rows)).closed + hand.engine.decide(idle(240, 200))
    counts = {header.series: {name: int(array[w]) for name, array in group.aggregates["traffic"].state.items()}
              for group in closed for w, header in enumerate(group.headers)}  # fmt: skip
    whole = counts.pop(Series("m", "", "*"))
    assert len(counts) == 5
    assert whole == {name: sum(each[name] for each in counts.values()) for name in whole}
    assert whole["errors_5xx"] > 0
