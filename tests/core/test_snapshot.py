"""A snapshot, through the bytes of the changelog, is the engine: the same things, and the same windows from then on."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.adapters.changelog_codec import decode_changelog, encode_changelog
from streammon.adapters.memory import MemoryBroker, MemorySource
from streammon.core import snapshot
from streammon.core.baseline import Baseline, Layout
from streammon.core.closing import ClosedGroup
from streammon.core.engine import Engine
from streammon.core.errors import UsageError
from streammon.core.events import EventBatch
from streammon.core.outputs import Rollup, WindowSpec
from streammon.core.plan import ModelShape, Plan, Scope
from streammon.core.ports import ChangelogRecords
from streammon.core.state import FORMAT, ActiveBaseline, HeaderState, State
from streammon.core.timeline import LATE, P
from tests.core.batches import CLASSES, EMBEDDING, FEATURES, events
from tests.core.hand import Hand, plan
from tests.laws.harness import DECODER, log_of, plan_of, reference
from tests.oracle.streams import random_stream

BASELINE = reference()
BASELINES = {BASELINE.baseline_id: BASELINE}
ACTIVE = ActiveBaseline(
    BASELINE.baseline_id, BASELINE.model_id, BASELINE.model_version, BASELINE.content_hash, effective_from=None
)


def header_of(engine: Engine) -> HeaderState:
    return HeaderState(
        position=engine.position, generation=1, keys=0, format=FORMAT, plan_hash=engine.plan.hash, policy_hash="",
        progress=int(engine.progress[P]), journal_sequence=0, active_baselines=tuple(engine.active),
        counters=snapshot.counters(engine),
    )  # fmt: skip


def captured(engine: Engine) -> ChangelogRecords:
    """All that a snapshot writes, as keys and bytes."""
    records: ChangelogRecords = {}
    states: list[State] = [*snapshot.clocks(engine), *snapshot.panes(engine)]
    for state in states:
        records |= encode_changelog(state)
    return records | encode_changelog(header_of(engine))


def restored(engine: Engine, baselines: dict[str, Baseline] | None = None, the_plan: Plan | None = None) -> Engine:
    values = [(key, value) for key, value in captured(engine).items() if value is not None]
    Random(0).shuffle(values)  # a compacted topic keeps no order
    states = decode_changelog(dict(values))
    known = BASELINES if baselines is None else baselines
    [header] = states.headers.values()
    return snapshot.restore(the_plan or engine.plan, engine.partition, known, header, states.clocks, states.panes)


def decoded(seed: int) -> EventBatch:
    """Partition 0 of a random stream, as events."""
    source = MemorySource(MemoryBroker("t", {0: log_of(random_stream(seed))[0]}), [])
    source.seek({0: 0})
    records = source.poll(0)
    assert records is not None
    return DECODER.decode(records)


def said(groups: list[ClosedGroup]) -> list[tuple[Any, ...]]:
    """Closed windows to the last bit, whatever the grouping."""
    rows = []
    for group in groups:
        for w, header in enumerate(group.headers):
            state = {
                (name, field): array[w].tobytes()
                for name, closed in group.aggregates.items()
                for field, array in closed.state.items()
            }
            rows.append((header.order, header, state))
    return sorted(rows, key=lambda row: row[0])


@settings(max_examples=40)
@given(seed=st.integers(0, 200), part=st.floats(0, 1), with_baseline=st.booleans())
def test_a_restored_engine_is_the_one_that_was_captured(seed: int, part: float, with_baseline: bool) -> None:
    """At any event of a stream: captured again it gives the same bytes, and it goes on as if nothing had happened."""
    stream, batch = random_stream(seed), decoded(seed)
    engine = Engine(plan_of(stream.config, stream.topic), 0, BASELINES)
    if with_baseline:
        engine.activate(ACTIVE)
    cut = int(part * len(batch))
    engine.feed(batch.rows(0, cut))
    again = restored(engine)
    assert captured(again) == captured(engine)
    ours, theirs = engine.feed(batch.rows(cut, len(batch))), again.feed(batch.rows(cut, len(batch)))
    assert said(theirs.closed) == said(ours.closed)
    np.testing.assert_array_equal(theirs.verdict, ours.verdict)
    assert captured(again) == captured(engine)


def test_panes_are_merged_in_the_order_of_their_numbers() -> None:
    """One window of three panes, whose sums 1e16, 1, 1 depend on the order, and which are opened in another one."""
    sums = []
    for order in ((0, 60, 120), (120, 60, 0), (60, 120, 0)):
        hand = Hand(plan(WindowSpec(180, 180), WindowSpec(60, 60), allowed_lateness=200))
        for ts in order:
            hand.event(ts, latency_ms=1e16 if ts == 0 else 1.0)
        whole = hand.engine.feed(events([{"ts": 380, "model_id": "a"}], first=3))
        sums += [state["latency", "sum"] for _, header, state in said(whole.closed) if header.spec.size == 180]
    assert len(sums) == 3
    assert len(set(sums)) == 1, "the sum depends on the order in which panes were opened"


def test_a_pane_that_holds_several_hashes_still_does() -> None:
    """d1, d2 | d1: the pane was mixed before the restart, and stays so."""
    hand = Hand()
    hand.event(0, data_hash="d1", git_commit="c1")
    hand.event(1, data_hash="d2", git_commit=None)
    hand.engine = restored(hand.engine)
    hand.event(2, data_hash="d1", git_commit="c1")
    hand.event(70)
    header = hand.headers[0]
    assert (header.data_hash, header.git_commit, header.mixed) == (None, "c1", True)


def test_the_clock_of_a_silent_series_is_kept() -> None:
    """a is silent and moved to 180 by the partition: 119 is still late after the restart, and late events count."""
    hand = Hand(plan(WindowSpec(60, 60), WindowSpec(120, 120)))
    hand.event(0, "a")
    hand.event(300, "b")
    hand.event(1, "a")
    hand.engine = restored(hand.engine)
    assert hand.clock("a") == 180
    hand.event(119, "a")
    assert hand.verdict == 255
    hand.event(180, "a")
    hand.event(250, "a")
    assert [header.n_late for header in hand.headers] == [2, 2], "[180, 240) and [120, 240)"


def test_a_baseline_that_came_to_a_model_without_declared_features_survives() -> None:
    """pane  [0, 60)            [60, 120)
    events   5, then the baseline is activated, effective from 60; 65        | restart
    The first pane has no features, the second has: both are restored as they were.
    """
    hand = Hand(baselines=BASELINES)
    hand.event(5, "fraud0", model_version="1")
    hand.engine.activate(ACTIVE._replace(effective_from=60))
    hand.event(65, "fraud0", model_version="1", features=[0.1, 0.2, 0.3])
    again = restored(hand.engine)
    assert captured(again) == captured(hand.engine)
    ends = events([{"ts": ts, "model_id": "fraud0", "model_version": "1"} for ts in (75, 135)], first=2)
    assert said(again.feed(ends).closed) == said(hand.engine.feed(ends).closed)


def test_dimensions_that_do_not_match_are_still_a_mismatch() -> None:
    """Two baselines of one version with other features: the second is refused for its windows, also after a restart."""
    other = replace(reference(seed=1), feature_names=("a", "b", "c"), baseline_id="other", content_hash="other")
    known = BASELINES | {"other": other}
    hand = Hand(baselines=known)
    hand.engine.activate(ACTIVE)
    hand.event(0, "fraud0", model_version="1")
    hand.engine.activate(ACTIVE._replace(baseline_id="other", content_hash="other", effective_from=60))
    hand.event(60, "fraud0", model_version="1")
    again = restored(hand.engine, known)
    assert captured(again) == captured(hand.engine)
    ends = events([{"ts": 135, "model_id": "fraud0", "model_version": "1"}], first=2)
    headers = [header for group in again.feed(ends).closed for header in group.headers]
    assert [str(header.baseline_state) for header in headers] == ["ok", "baseline_mismatch"]


def test_late_events_are_reported_once_across_a_restart() -> None:
    """late   x        |  x
    closes      [60)   |    [120)     one each; the long window, which closes last, reports both
    """
    hand = Hand(plan(WindowSpec(60, 60), WindowSpec(180, 180)))
    for ts in (0, 70, 1, 130):
        hand.event(ts)
    assert [header.n_late for header in hand.headers] == [1]
    hand.engine = restored(hand.engine)
    hand.event(2)
    hand.event(190)
    assert [(header.spec.size, header.n_late) for header in hand.headers] == [(60, 1), (180, 2)]


def test_declared_dimensions_are_restored() -> None:
    hand = Hand(plan(models=(ModelShape("*", Layout(FEATURES, CLASSES, EMBEDDING)),)))
    hand.event(0, features=[1.0, 2.0, 3.0])
    again = restored(hand.engine)
    verdict = again.feed(events([{"ts": 1, "model_id": "a", "features": [1.0]}], first=1)).verdict
    assert verdict.tolist() == [8], "DIMENSION"


def test_state_of_another_plan_is_refused() -> None:
    hand = Hand()
    hand.event(0)
    other = plan(allowed_lateness=11)
    with pytest.raises(UsageError, match=f"partition 0 of inference-events.*another plan.*{other.hash}"):
        restored(hand.engine, the_plan=other)


def test_state_of_another_format_is_refused() -> None:
    engine = Hand().engine
    header = replace(header_of(engine), format=FORMAT + 1)
    with pytest.raises(UsageError, match=f"format {FORMAT + 1}.*reads format {FORMAT}"):
        snapshot.restore(engine.plan, 0, {}, header, [], [])


@pytest.mark.parametrize(
    "known,problem",
    [({}, "do not hold it"), ({BASELINE.baseline_id: replace(BASELINE, content_hash="x")}, "with another content")],
)
def test_state_on_a_baseline_that_is_not_at_hand_is_refused(known: dict[str, Baseline], problem: str) -> None:
    engine = Hand(baselines=BASELINES).engine
    engine.activate(ACTIVE)
    with pytest.raises(UsageError, match=f"{BASELINE.baseline_id} is active for partition 0 .*{problem}"):
        restored(engine, known)


def test_an_empty_engine_has_nothing_but_a_header() -> None:
    assert [json.loads(json.dumps(key.kind)) for key in captured(Hand().engine)] == ["header"]


# --- what a restart must not change -----------------------------------------------------------------------------------


def test_those_who_are_not_even_remembered_stay_sealed_across_a_restart() -> None:
    """Two places, twenty remembered: the first of 26 models is forgotten, and what it publishes again is late."""
    the_plan = plan(max_series=2, expire_after=1_000)
    for restarts in (False, True):
        hand = Hand(the_plan)
        for number in range(26):
            for model in ("live", f"m{number}"):
                hand.event(2_000 * number, model)
        assert hand.engine.series.floor > 0
        if restarts:
            hand.engine = restored(hand.engine)
        hand.event(5, "m0")
        assert hand.verdict == LATE


def test_a_rollups_pane_keeps_its_names_across_a_restart() -> None:
    """Two models with as many features of other names; only the second has events."""
    shapes = (ModelShape("a", Layout(("x", "y"))), ModelShape("b", Layout(("u", "v"))))
    hand = Hand(plan(WindowSpec(60, 60), WindowSpec(120, 60), models=shapes, rollups=(Rollup.LANES,)))
    hand.event(0, "b", features=[1.0, 2.0])
    hand.event(75, "b", features=[1.0, 2.0])
    before = {state.series: state.layout for state in snapshot.panes(hand.engine)}
    assert set(before.values()) == {Layout(("u", "v")).digest}
    assert {state.series: state.layout for state in snapshot.panes(restored(hand.engine))} == before


def test_a_place_that_nothing_counts_is_given_free_where_it_was_without_a_restart() -> None:
    """Windows are for model a only; x takes a place and never holds a pane."""
    the_plan = plan(max_series=2, expire_after=1_000, scopes=(Scope(WindowSpec(60, 60), model="a"),))
    found = []
    for restarts in (False, True):
        hand = Hand(the_plan)
        for ts, model in ((0, "x"), (0, "a"), (1_500, "a")):
            hand.event(ts, model)
        if restarts:
            hand.engine = restored(hand.engine)
        hand.event(1_600, "c")
        found.append(list(hand.engine.series.names))
    assert found[0] == found[1]
    assert {series.model_id for series in found[0]} == {"a", "c"}
