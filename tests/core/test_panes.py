"""The store of panes: rows are reused, and grow, without a trace of what was there."""

from __future__ import annotations

import numpy as np
import pytest

from streammon.core.baseline import Layout
from streammon.core.panes import BARE, Panes, Store, merged
from streammon.core.timeline import NONE
from tests.core.batches import CLASSES, EMBEDDING, FEATURES, awkward
from tests.laws.harness import reference

NAMED = Layout(FEATURES, CLASSES, EMBEDDING)
BASELINE = reference()


def add(panes: Panes, pane: int, seed: int, events: int = 50) -> None:
    store, slot = panes.stores[panes.table.store[pane]], panes.table.slot[pane]
    store.add(awkward(seed, events), np.arange(events), np.full(events, slot, np.int32))
    panes.table.n[pane] += events


def content(panes: Panes, pane: int) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in panes.state(pane).items()}


@pytest.mark.parametrize("layout", [BARE, NAMED])
def test_a_row_that_is_used_again_is_clean(layout: Layout) -> None:
    """Counts, extremes, stamps and the number of events of the pane before leave nothing behind."""
    panes = Panes()
    untouched = content(panes, panes.open(0, layout, None))
    first = panes.open(1, layout, None)
    add(panes, first, seed=1)
    panes.set_stamp(first, 0, "d1")
    assert content(panes, first) != untouched
    panes.release(first)
    panes.free()
    second = panes.open(2, layout, None)
    assert second == first, "the row was not used again: this proves nothing"
    assert content(panes, second) == untouched
    table = panes.table
    assert (table.n[second], table.number[second]) == (0, 2)
    assert (table.stamps[second] == NONE).all()
    assert panes.stamp([second], 0) == (None, False)
    add(panes, second, seed=2)
    fresh = Panes()
    other = fresh.open(2, layout, None)
    add(fresh, other, seed=2)
    assert content(panes, second) == content(fresh, other)


def test_growth_moves_nothing() -> None:
    """200 panes, each with events of its own; then all still hold them."""
    panes = Panes()
    opened = []
    for k in range(200):
        opened.append(panes.open(k, NAMED if k % 3 else BARE, BASELINE if k % 3 == 1 else None))
        panes.set_stamp(opened[-1], 1, f"c{k}")
        add(panes, opened[-1], seed=k, events=5)
    assert len(set(opened)) == 200
    for k, pane in enumerate(opened):
        alone = Panes()
        other = alone.open(k, NAMED if k % 3 else BARE, BASELINE if k % 3 == 1 else None)
        add(alone, other, seed=k, events=5)
        assert content(panes, pane) == content(alone, other)
        assert panes.stamp([pane], 1) == (f"c{k}", False)
        assert panes.baselines[pane] == {BASELINE.baseline_id if k % 3 == 1 else None}


def test_models_of_one_layout_share_a_store() -> None:
    panes = Panes()
    for layout in (NAMED, BARE, NAMED, Layout(FEATURES, CLASSES, 3)):
        panes.open(0, layout, None)
    assert [store.layout for store in panes.stores] == [NAMED, BARE, Layout(FEATURES, CLASSES, 3)]


def test_a_baseline_has_one_row_by_its_content() -> None:
    store = Store(NAMED)
    other = reference("ranker0", seed=1)
    assert [store.row(baseline) for baseline in (BASELINE, other, BASELINE)] == [1, 2, 1]
    np.testing.assert_array_equal(store.references.edges[1], BASELINE.edges)
    np.testing.assert_array_equal(store.references.anchors[2], other.mean)
    assert not store.references.bins[0].any(), "row 0 is no baseline"


def test_windows_of_several_layouts_or_baselines_keep_what_does_not_depend_on_them() -> None:
    """One of two layouts: counts that need no names. One of two baselines: counts that have no anchor."""
    panes = Panes()
    bare, plain, based = panes.open(0, BARE, None), panes.open(1, NAMED, None), panes.open(2, NAMED, BASELINE)
    for pane in (bare, plain, based):
        add(panes, pane, seed=pane)
    of_two_layouts = merged(panes.stores, panes.table, [[bare, plain]], anchored=False, layout=BARE)
    assert sorted(of_two_layouts) == ["duplicates", "latency", "prediction", "traffic"]
    assert sorted(of_two_layouts["prediction"]) == ["score_counts", "score_invalid"]
    of_two_baselines = merged(panes.stores, panes.table, [[plain, based]], anchored=False, layout=NAMED)
    assert sorted(of_two_baselines) == ["duplicates", "latency", "prediction", "traffic"]
    of_one = merged(panes.stores, panes.table, [[based]], anchored=True, layout=NAMED)
    assert sorted(of_one) == ["duplicates", "histogram", "latency", "moments", "prediction", "traffic"]
    expected = panes.state(bare)["latency.n"] + panes.state(plain)["latency.n"]
    assert of_two_layouts["latency"]["n"].tolist() == [expected]


def test_several_stamps_in_panes_of_one_window_are_seen() -> None:
    panes = Panes()
    first, second, third = (panes.open(k, BARE, None) for k in range(3))
    panes.set_stamp(first, 0, "d1")
    panes.set_stamp(second, 0, "d1")
    panes.set_stamp(third, 0, "d2")
    assert panes.stamp([first, second], 0) == ("d1", False)
    assert panes.stamp([first, third], 0) == (None, True)
    assert panes.stamp([first], 1) == (None, False)
