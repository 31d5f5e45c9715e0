"""The limit on series: what is over it counts as one, nobody else notices, and memory stays where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from streammon.core import timeline
from streammon.core.baseline import Layout
from streammon.core.closing import Header
from streammon.core.engine import Engine
from streammon.core.errors import Code, UsageError
from streammon.core.events import MODEL_ID, TS, EventBatch
from streammon.core.judge import Judge
from streammon.core.outputs import OTHER, Rollup, Series, WindowSpec
from streammon.core.plan import ModelShape, Policy
from streammon.core.publish import metric_events
from streammon.core.rules import Threshold
from tests.core.batches import events
from tests.core.hand import MINUTE, Hand, Window, plan
from tests.core.test_snapshot import restored
from tests.laws.harness import SUITE

SHAPE = ModelShape("*", Layout(("age", "income")))
OVERFLOWING = Threshold(id="over", measurement="traffic.count", window=MINUTE.text, above=0.0, model="__other__")
ANY = replace(OVERFLOWING, id="any", model="*")


def test_events_of_series_beyond_the_limit_count_as_one() -> None:
    """order   a0  b0  c0  a1  d9  b2        | a70 closes a's window, e70 that of c and d, which are over the limit of 2
    series  a   b   *   a   *   b         |
    """
    hand = Hand(plan(max_series=2))
    for ts, model in ((0, "a"), (0, "b"), (0, "c"), (1, "a"), (9, "d"), (2, "b")):
        hand.event(ts, model)
        assert hand.verdict == Code.OK
    assert [series.model_id for series in hand.engine.series.names] == ["a", "b", "__other__"]
    assert hand.event(70, "a") == [Window("a", 0, 2)]
    assert hand.event(70, "e") == [Window("__other__", 0, 2)]
    assert hand.headers[0].series == OTHER
    assert hand.clock("b") == 2, "nobody else's clock was moved"


def test_what_is_over_the_limit_has_a_clock_of_its_own() -> None:
    """c and d share it: c70 seals d's pane, and d's next event in there is late."""
    hand = Hand(plan(max_series=1))
    for ts, model in ((0, "a"), (0, "c"), (5, "d"), (70, "c")):
        hand.event(ts, model)
    hand.event(6, "d")
    assert hand.verdict == timeline.LATE
    assert hand.event(130, "e") == [Window("__other__", 60, 1)]
    assert hand.headers[0].n_late == 1


def test_a_version_and_a_lane_are_series_like_a_model() -> None:
    hand = Hand(plan(max_series=2))
    hand.event(0, "a", model_version="1", lane="prod")
    hand.event(0, "a", model_version="2", lane="prod")
    hand.event(0, "a", model_version="2", lane="canary")
    assert hand.engine.series.names == [Series("a", "1", "prod"), Series("a", "2", "prod"), OTHER]


def test_what_is_over_the_limit_has_no_layout() -> None:
    """Not even where a pattern declares one for every model: features of any length are taken, and not aggregated."""
    hand = Hand(plan(max_series=1, models=(SHAPE,)))
    hand.event(0, "a", features=(1.0, 2.0))
    hand.event(0, "b", features=(1.0, 2.0, 3.0))
    assert hand.verdict == Code.OK
    fed = hand.engine.feed(events([{"ts": 70, "model_id": "c"}], hand.engine.position))
    [event] = [event for _, event, _ in metric_events(hand.engine.plan, fed.closed, SUITE)]
    assert event.series == OTHER
    assert not any(measurement.feature for measurement in event.measurements)
    assert {"traffic.count", "latency.p95"} <= {measurement.name for measurement in event.measurements}


@pytest.mark.parametrize(
    "bad,code",
    [
        ({"features": (1.0, 2.0, 3.0)}, Code.DIMENSION),
        ({"model_version": "v" * 16_385}, Code.RANGE),
        ({"lane": "é" * 8_193}, Code.RANGE),
        ({"data_hash": "d" * 1_025}, Code.RANGE),
        ({"git_commit": "c" * 1_025}, Code.RANGE),
        ({"timestamp": -1_000}, Code.FUTURE),
    ],
)
def test_a_bad_event_takes_no_place(bad: Mapping[str, Any], code: Code) -> None:
    """The limit of one is still free for the good event behind it."""
    hand = Hand(plan(max_series=1, models=(SHAPE,)))
    hand.event(0, "bad", **bad)
    assert hand.verdict == code
    assert len(hand.engine.series) == len(hand.engine.panes) == 0
    hand.event(0, "good")
    assert [series.model_id for series in hand.engine.series.names] == ["good"]


def test_a_bad_event_at_the_end_of_a_batch_loses_nobody() -> None:
    """good good bad-of-a-new-series in one batch: the two are counted, in every aggregate."""
    engine = Engine(plan(models=(SHAPE,)), 0, {})
    good = {"ts": 0, "model_id": "a", "latency_ms": 1.0}
    engine.feed(events([good, good, {"ts": 0, "model_id": "b", "features": (1.0,)}]))
    [state] = [engine.panes.state(pane) for pane in pane_ids(engine, 0)]
    assert (int(engine.panes.table.n.sum()), int(state["latency.n"])) == (2, 2)


def test_keys_and_stamps_of_the_greatest_length_are_good() -> None:
    hand = Hand()
    hand.event(0, "m" * 16_384, model_version="é" * 8_192, data_hash="d" * 1_024, git_commit="é" * 512)
    assert hand.verdict == Code.OK


def test_ten_thousand_new_models_do_not_leave_the_compiled_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is asked about a new series as often as there is room, once more, and never again."""
    engine = Engine(plan(max_series=100), 0, {})
    asked, meet = [], engine._meet

    def ask(batch: EventBatch, row: int) -> int:
        asked.append(row)
        return meet(batch, row)

    monkeypatch.setattr(engine, "_meet", ask)
    engine.feed(flood(0, 10_000, ts=0))
    assert asked == list(range(101))
    assert int(engine.panes.table.n.sum()) == 10_000


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 200)), max_size=60), st.integers(1, 6), st.integers(0, 60))
def test_a_restart_at_any_event_keeps_the_limit(drawn: list[tuple[int, int]], limit: int, cut: int) -> None:
    """Who is known and who is over the limit is the same after it, and so is everything that closes."""
    rows = [{"ts": ts, "model_id": f"m{model}"} for model, ts in drawn]
    one, two = (Engine(plan(max_series=limit), 0, {}) for _ in range(2))
    two.feed(events(rows[:cut]))
    two = restored(two)
    whole = [*one.feed(events(rows[:cut])).closed, *one.feed(events(rows[cut:], first=cut)).closed]
    after = two.feed(events(rows[cut:], first=cut)).closed
    headers = [header for header in flat(whole) if header.closing_position > cut]
    assert flat(after) == headers
    assert sorted(two.series.names) == sorted(one.series.names)
    assert len(one.series) <= limit + 1


def test_patterns_do_not_speak_of_what_is_over_the_limit() -> None:
    """A rule about it names it; its alert says what to do."""
    hand = Hand(plan(max_series=1))
    hand.event(0, "a")
    hand.event(0, "b")
    fed = hand.engine.feed(events([{"ts": 70, "model_id": "a"}, {"ts": 70, "model_id": "c"}], 2))
    judge, policy = Judge(), Policy((ANY, OVERFLOWING))
    alerts = [alert for _, event, _ in metric_events(hand.engine.plan, fed.closed, SUITE)
              for alert in judge.judge(event, policy)]  # fmt: skip
    assert [(alert.rule_id, alert.series.model_id) for alert in alerts] == [("any", "a"), ("over", "__other__")]
    assert "limits.series_per_partition" in alerts[1].summary
    assert "limits" not in alerts[0].summary


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="max_series: 0"):
        plan(max_series=0)


# --- nothing grows with events or with time ---------------------------------------------------------------------------


def test_a_million_events_of_ever_new_models_fill_nothing() -> None:
    """Keys, hashes, late events and windows without end: what engine and judge hold is as large at the end as soon."""
    policy = Policy((ANY, OVERFLOWING))
    engine, judge = Engine(plan(WindowSpec(60, 60), WindowSpec(300, 300), max_series=50), 0, {}), Judge()
    sizes = []
    for k in range(100):
        fed = engine.feed(flood(k * 10_000, 10_000, ts=40 * k))
        for _, event, _ in metric_events(engine.plan, fed.closed, SUITE):
            judge.judge(event, policy)
        judge.changes()
        sizes.append(held(engine) + held(judge))
    assert max(sizes[20:]) <= sizes[20] + 1_000, "it grows"  # panes of the moment come and go
    assert sizes[20] < 2_000_000


@given(st.data())
def test_live_panes_are_bounded_by_the_plan(data: DataObject) -> None:
    """Whatever the timestamps: out of order, jumps, 20 h back, silence. The formula of the README is never exceeded."""
    tumbling: list[list[tuple[int, ...]]] = [
        [(60, 60)],
        [(60, 60), (300, 300)],
        [(60, 60), (90, 90)],
        [(100, 100), (130, 130), (10, 10)],
    ]
    sliding: list[list[tuple[int, ...]]] = [
        [(300, 60)],
        [(640, 10)],
        [(60, 60), (600, 300), (330, 30)],
        [(70, 50, 20), (90, 30)],
    ]
    sizes = data.draw(st.sampled_from(tumbling + sliding))
    the_plan = plan(
        *(WindowSpec(*size) for size in sizes),
        allowed_lateness=data.draw(st.sampled_from([0, 1, 59, 60, 61, 400])),
        idle_grace=data.draw(st.sampled_from([0, 120])),
        max_series=3,
        rollups=data.draw(st.sampled_from([(), (Rollup.LANES, Rollup.MODEL)])),
    )
    engine, now = Engine(the_plan, 0, {}), 0
    moves = st.sampled_from([0, 1, 30, 59, 60, 61, 1_000])
    backs = st.sampled_from([0, 0, 0, 1, 59, 60, 61, 300, 72_000])
    steps = data.draw(st.lists(st.tuples(st.integers(0, 5), moves, backs), max_size=80))
    for series, move, back in steps:
        now += move
        engine.feed(events([{"ts": now - back, "timestamp": now, "model_id": f"m{series}"}], engine.position))
        assert max(map(len, engine.series.held)) <= the_plan.live_panes
        named = {
            pane for number in range(len(engine.series)) for pane in pane_ids(engine, number)
        }  # some under two names
        assert len(engine.panes) == len(named) <= (3 * (1 + len(the_plan.rollups)) + 1) * the_plan.live_panes


def test_the_bound_on_live_panes_is_reached() -> None:
    """Windows of 120 and 60, lateness 60: clock 179 holds [0, 60) of the long window, [60, 120) and [120, 180)."""
    hand = Hand(plan(WindowSpec(120, 120), WindowSpec(60, 60), allowed_lateness=60))
    for ts in (0, 60, 120, 179):
        hand.event(ts)
    assert len(hand.engine.panes) == hand.engine.plan.live_panes == 3


# --- helpers ----------------------------------------------------------------------------------------------------------


def pane_ids(engine: Engine, number: int) -> list[int]:
    """Of what a series holds."""
    return [held.pane for held in engine.series.held[number].values()]


def flood(first: int, n: int, ts: int) -> EventBatch:
    """n events at one time, each of a model that nobody has seen."""
    batch = events([{"ts": ts, "model_id": "00000000", "data_hash": "d", "lane": "x"}] * n, first)
    batch.string_start[:, MODEL_ID] = len(batch.buffer) + 8 * np.arange(n)
    ids = "".join(f"{k:08d}" for k in range(first, first + n)).encode()
    batch.ints[::7, TS] -= 50  # out of order, and some of it late
    return replace(batch, buffer=np.concatenate((batch.buffer, np.frombuffer(ids, np.uint8))))


def flat(groups: list[Any]) -> list[Header]:
    return sorted((header for group in groups for header in group.headers), key=lambda header: header.order)


def held(thing: Any, seen: set[int] | None = None) -> int:
    """Bytes of the arrays and texts, and eight for each place in a container, that can be reached from here."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type):
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return thing.nbytes
    if isinstance(thing, str | bytes):
        return len(thing)
    if isinstance(thing, Mapping):
        return sum(16 + held(key, seen) + held(value, seen) for key, value in thing.items())
    if isinstance(thing, list | tuple | set | frozenset):
        return sum(8 + held(item, seen) for item in thing)
    return sum(held(value, seen) for value in vars(thing).values()) if hasattr(thing, "__dict__") else 0
