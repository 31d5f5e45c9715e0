"""Laws of every aggregate in AGGREGATES, on events full of awkward values. A new one is covered by its line there.

State is compared byte by byte where the law is exact. Elsewhere float sums may differ by 1e-12 of the sum of the
magnitudes of what was added, since those of opposite sign cancel.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streammon.core.aggregates import AGGREGATES
from streammon.core.aggregates.base import Aggregate, Closed, Field, Placed, References, State, merge, zero
from streammon.core.baseline import Baseline, Layout
from streammon.core.events import EventBatch
from streammon.core.panes import Panes, stack
from tests.core.batches import CLASSES, EMBEDDING, FEATURES, awkward
from tests.laws.harness import reference

BASELINE = reference()
NAMED = Layout(FEATURES, CLASSES, EMBEDDING)
TOLERANCE = 1e-12


class Case(NamedTuple):
    """An aggregate under one layout; slots are built on `row` of the references, 0 is "no baseline"."""

    aggregate: Aggregate
    layout: Layout
    baseline: Baseline | None

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(self.aggregate.fields(self.layout))

    @property
    def references(self) -> References:
        return stack(self.layout, [None, self.baseline])

    def added(self, batch: EventBatch, slots: NDArray[np.int32], count: int) -> dict[str, NDArray[Any]]:
        """State of `count` slots after event i was added to slots[i]; negative: to none."""
        state = zero(self.fields, count)
        self.add(state, batch, np.flatnonzero(slots >= 0), slots[slots >= 0])
        return state

    def add(self, state: State, batch: EventBatch, rows: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        count = len(next(iter(state.values())))
        row = np.full(count, 0 if self.baseline is None else 1, np.int32)
        self.aggregate.add(state, Placed(batch, rows, slots.astype(np.int32), row, self.references))

    def closed(self, state: State, n: NDArray[np.int64]) -> Closed:
        row = np.full(len(n), 0 if self.baseline is None else 1, np.int32)
        return Closed(state, row, self.references, n, np.full(len(n), 60.0), self.layout)


def cases() -> Iterator[Any]:
    """Every aggregate that keeps state: without names, with names, with a baseline."""
    variants = {"bare": (Layout(), None), "named": (NAMED, None), "baseline": (NAMED, BASELINE)}
    for aggregate in AGGREGATES:
        for name, (layout, baseline) in variants.items():
            if aggregate.fields(layout):
                yield pytest.param(Case(aggregate, layout, baseline), id=f"{aggregate.name}-{name}")


class Drawn(NamedTuple):
    """Events, and the pane of each."""

    batch: EventBatch
    pane: NDArray[np.int32]
    panes: int


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    seed, n, panes = draw(st.integers(0, 2**16)), draw(st.integers(0, 60)), draw(st.integers(1, 5))
    return Drawn(awkward(seed, n), np.random.default_rng(seed).integers(0, panes, n).astype(np.int32), panes)


every_case = pytest.mark.parametrize("case", list(cases()))
few = settings(max_examples=25)


def same_bytes(a: State, b: State) -> bool:
    return a.keys() == b.keys() and all(
        a[name].dtype == b[name].dtype and a[name].shape == b[name].shape and a[name].tobytes() == b[name].tobytes()
        for name in a
    )


def assert_close(case: Case, a: State, b: State, magnitude: State) -> None:
    """Integers and extremes are equal; sums of floats within 1e-12 of the `magnitude` of what was added."""
    for f in case.fields:
        if np.issubdtype(f.dtype, np.integer) or f.merge != "sum":
            np.testing.assert_array_equal(a[f.name], b[f.name], err_msg=f.name)
        else:
            allowed = TOLERANCE * magnitude[f.name]
            assert (np.abs(a[f.name] - b[f.name]) <= allowed).all(), f.name


def magnitudes(panes: State) -> dict[str, NDArray[Any]]:
    """Of each field, the sum of the absolute values of all panes, as one row."""
    return {name: np.abs(array).sum(axis=0, keepdims=True) for name, array in panes.items()}


def joined(*states: State) -> dict[str, NDArray[Any]]:
    """Panes of several states, one behind the other."""
    return {name: np.concatenate([state[name] for state in states]) for name in states[0]}


def one(case: Case, panes: State) -> dict[str, NDArray[Any]]:
    """All panes merged into one window."""
    count = len(next(iter(panes.values())))
    return merge(case.fields, panes, np.zeros(count, np.intp), 1)


@every_case
@few
@given(events=drawn())
def test_zero_is_the_identity_of_merge(case: Case, events: Drawn) -> None:
    """Empty panes before, between and behind others change nothing, to the last bit; nor does merging a pane alone."""
    panes = case.added(events.batch, events.pane, events.panes)
    alone = merge(case.fields, panes, np.arange(events.panes), events.panes)
    assert same_bytes(alone, panes)
    empty = zero(case.fields, events.panes)
    between = {
        name: np.stack((empty[name], panes[name], empty[name]), axis=1).reshape(-1, *panes[name].shape[1:])
        for name in panes
    }
    assert same_bytes(one(case, between), one(case, panes))


@every_case
@few
@given(events=drawn())
def test_merge_leaves_its_inputs_alone(case: Case, events: Drawn) -> None:
    panes = case.added(events.batch, events.pane, events.panes)
    before = {name: array.copy() for name, array in panes.items()}
    result = one(case, panes)
    for array in result.values():
        array[...] = 77  # nor does it share memory with them
    assert same_bytes(panes, before)


@every_case
@few
@given(events=drawn(), cut=st.integers(0, 5))
def test_merge_is_associative(case: Case, events: Drawn, cut: int) -> None:
    """(a b) c = a (b c), exactly for integers, wherever the panes are cut."""
    panes = case.added(events.batch, events.pane, events.panes)
    left = {name: array[:cut] for name, array in panes.items()}
    right = {name: array[cut:] for name, array in panes.items()}
    assert_close(case, one(case, joined(one(case, left), right)), one(case, panes), magnitudes(panes))
    assert_close(case, one(case, joined(left, one(case, right))), one(case, panes), magnitudes(panes))


@every_case
@few
@given(events=drawn())
def test_panes_merged_are_one_pane_of_all_events(case: Case, events: Drawn) -> None:
    panes = case.added(events.batch, events.pane, events.panes)
    whole = case.added(events.batch, np.zeros_like(events.pane), 1)
    single = case.added(events.batch, np.arange(len(events.batch), dtype=np.int32), max(1, len(events.batch)))
    assert_close(case, one(case, panes), whole, magnitudes(single))


@every_case
@few
@given(events=drawn(), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_batching_of_add_gives_the_same_bytes(case: Case, events: Drawn, cuts: list[int]) -> None:
    """Events added whole, in pieces, or from slices of their batch: the same state."""
    whole = case.added(events.batch, events.pane, events.panes)
    pieces, slices = zero(case.fields, events.panes), zero(case.fields, events.panes)
    bounds = sorted({0, len(events.batch), *(min(cut, len(events.batch)) for cut in cuts)})
    for low, high in pairwise(bounds):
        case.add(pieces, events.batch, np.arange(low, high), events.pane[low:high])
        case.add(slices, events.batch.rows(low, high), np.arange(high - low), events.pane[low:high])
    assert same_bytes(pieces, whole)
    assert same_bytes(slices, whole)


@every_case
@few
@given(events=drawn())
def test_slots_do_not_influence_each_other(case: Case, events: Drawn) -> None:
    """A pane is what it would be if it were alone, to the last bit."""
    panes = case.added(events.batch, events.pane, events.panes)
    for pane in range(events.panes):
        alone = case.added(events.batch, np.where(events.pane == pane, pane, -1), events.panes)
        empty = zero(case.fields, events.panes)
        for f in case.fields:
            expected = empty[f.name]
            expected[pane] = panes[f.name][pane]
            assert alone[f.name].tobytes() == expected.tobytes(), f.name


@every_case
@few
@given(events=drawn())
def test_windows_do_not_influence_each_other(case: Case, events: Drawn) -> None:
    """A window's results are the same whatever else closed with it."""
    panes = case.added(events.batch, events.pane, events.panes)
    n = np.bincount(events.pane, minlength=events.panes)
    columns, distributions = case.aggregate.result(case.closed(panes, n))
    for w in range(events.panes):
        row = {name: array[w : w + 1] for name, array in panes.items()}
        alone, of_alone = case.aggregate.result(case.closed(row, n[w : w + 1]))
        for column, single in zip(columns, alone, strict=True):
            assert column.name == single.name
            assert column.value[w].tobytes() == single.value[0].tobytes(), column.name
            assert column.n[w].tobytes() == single.n[0].tobytes(), column.name
        for distribution, single_distribution in zip(distributions, of_alone, strict=True):
            assert distribution.current[w].tobytes() == single_distribution.current[0].tobytes()


@every_case
def test_an_empty_window_has_no_numbers(case: Case) -> None:
    """Rates and quantiles of nothing are NaN, counts are 0, nothing is raised; the columns are those of any window."""
    empty, distributions = case.aggregate.result(case.closed(zero(case.fields, 2), np.zeros(2, np.int64)))
    for column in empty:
        shape = (2, len(column.features) if column.features else 1)
        assert (column.value.shape, column.n.shape) == (shape, shape), column.name
        assert (column.n == 0).all(), column.name
        assert (np.isnan(column.value) | (column.value == 0)).all(), column.name
    assert not any(distribution.current.any() for distribution in distributions)
    full = case.added(awkward(1, 40), np.zeros(40, np.int32), 1)
    columns, _ = case.aggregate.result(case.closed(full, np.array([40])))
    assert [(c.name, c.features) for c in columns] == [(c.name, c.features) for c in empty]


class Recorder(dict[str, Any]):
    """A state that remembers which fields were asked for."""

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return super().__getitem__(name)


@every_case
def test_declared_fields_are_those_in_use(case: Case) -> None:
    """`add` fills every declared field and no other; snapshots hold exactly those, in types that the changelog has."""
    names = {f.name for f in case.fields}
    state = Recorder(zero(case.fields, 1))
    assert state.keys() == names
    case.add(state, awkward(0, 300), np.arange(300), np.zeros(300, np.int32))
    assert state.asked == names
    empty = zero(case.fields, 1)
    filled = {name for name, array in state.items() if array.tobytes() != empty[name].tobytes()}
    assert filled == names or case.baseline is None  # without one, there may be no bins to fill
    panes = Panes()
    held = panes.state(panes.open(0, case.layout, case.baseline))
    assert {name for name in held if name.startswith(f"{case.aggregate.name}.")} == {
        f"{case.aggregate.name}.{name}" for name in names
    }
    for f in case.fields:
        array = held[f"{case.aggregate.name}.{f.name}"]
        assert array.dtype.name in {"int32", "int64", "float64"}
        assert (array.dtype, array.shape) == (np.dtype(f.dtype), f.shape)
        assert (array == f.zero).all()


def test_an_aggregate_has_a_name_of_its_own() -> None:
    assert len({aggregate.name for aggregate in AGGREGATES}) == len(AGGREGATES)
