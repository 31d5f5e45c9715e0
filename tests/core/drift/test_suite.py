"""The suite: which columns it gives for which distributions, and that they are the tests' own numbers."""

from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from streammon.core.drift import TESTS, Cells, DriftTest, Result
from streammon.core.measures import CellCounts, Column, Edges
from streammon.core.suite import LAUNCH, Suite
from tests.core.drift.samples import Counts, outcome

FEATURES, CELLS = 3, 24


def distribution(
    windows: int, seed: int = 0, ordinal: bool = True, features: int = FEATURES, events: int = 500
) -> CellCounts:
    """Counts of some events against four times as many; each (window, feature) has a map of its own to the groups."""
    rng = np.random.default_rng(seed)
    shape = (windows, features, CELLS)
    groups = np.sort(rng.integers(0, 10, shape), axis=-1) if ordinal else np.broadcast_to(np.arange(CELLS), shape)
    return CellCounts(
        prefix="feature." if ordinal else "prediction.class_",
        features=tuple(f"f{i}" for i in range(features)) if ordinal else None,
        current=rng.multinomial(events, rng.dirichlet(np.ones(CELLS), shape[:-1])),
        reference=rng.multinomial(4 * events, rng.dirichlet(np.ones(CELLS), shape[:-1])),
        groups=groups.astype(np.int32),
        edges=Edges(np.zeros((1, features, CELLS - 1)), np.zeros(windows, np.int32)) if ordinal else None,
    )


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite("cpu")


def grouped(counts: Counts, groups: Counts) -> Counts:
    return np.bincount(groups, weights=counts, minlength=10).astype(np.int64)


def numbers(column: Column, window: int, feature: int) -> dict[str, float]:
    name = column.name.removeprefix("feature.").removeprefix("prediction.class_")
    fields = {name: column.value, f"{name}.effect": column.effect, f"{name}.p": column.p, f"{name}.low_n": column.low_n}
    return {field: array[window, feature].item() for field, array in fields.items() if array is not None}


@pytest.mark.parametrize("events", [500, 10**11])
@pytest.mark.parametrize("ordinal", [True, False])
def test_columns_hold_what_the_tests_compute(suite: Suite, ordinal: bool, events: int) -> None:
    """Fine cells as they are, groups added up; window by window, more windows than one launch holds."""
    given = distribution(LAUNCH + 3, ordinal=ordinal, events=events)
    [columns] = suite.run([given])
    for window in (0, 1, LAUNCH - 1, LAUNCH, LAUNCH + 2):
        for feature in range(FEATURES):
            current, reference, groups = (a[window, feature] for a in (given.current, given.reference, given.groups))
            expected: dict[str, float] = {}
            for test in TESTS:
                if test.cells is Cells.GROUPS and ordinal:
                    expected |= outcome(test, grouped(current, groups), grouped(reference, groups))
                elif test.cells is Cells.GROUPS or ordinal:
                    expected |= outcome(test, current, reference)
            found: dict[str, float] = {}
            for column in columns:
                found |= numbers(column, window, feature)
            assert found == pytest.approx(expected, rel=1e-13, abs=1e-15, nan_ok=True)


def test_names_methods_and_counts(suite: Suite) -> None:
    given = distribution(2)
    [columns] = suite.run([given])
    assert {column.name: column.method for column in columns} == {
        "feature.ks": "ks.fine.kolmogorov.cpu",
        "feature.psi": "psi.10groups.smooth.cpu",
        "feature.psi_excess": "psi.10groups.smooth.cpu",
        "feature.kl": "kl_current_reference.10groups.smooth.cpu",
        "feature.js": "js.10groups.smooth.cpu",
    }
    for column in columns:
        assert column.features == ("f0", "f1", "f2")
        assert column.reference_n is not None
        assert (column.n == 500).all()
        assert (column.reference_n == 2_000).all()
        assert column.n.dtype == column.reference_n.dtype == np.int64


def test_classes_have_no_order_and_so_no_ks(suite: Suite) -> None:
    [columns] = suite.run([distribution(2, ordinal=False)])
    assert [column.name for column in columns] == [
        "prediction.class_psi",
        "prediction.class_psi_excess",
        "prediction.class_kl",
        "prediction.class_js",
    ]
    assert columns[0].method == "psi.classes.smooth.cpu"


def test_answers_come_in_the_order_of_the_questions(suite: Suite) -> None:
    """Shapes mixed, the same shape twice, no windows and no features among them."""
    given = [
        distribution(4, seed=1),
        distribution(2, seed=2, ordinal=False),
        distribution(0, seed=3),
        distribution(3, seed=4),
        distribution(3, seed=5, features=0),
        distribution(5, seed=6, ordinal=False),
    ]
    for columns, each in zip(suite.run(given), given, strict=True):
        [alone] = suite.run([each])
        assert [column.name for column in columns] == [column.name for column in alone]
        for column, expected in zip(columns, alone, strict=True):
            assert column.value.shape == column.n.shape == each.current.shape[:2]
            np.testing.assert_array_equal(column.value, expected.value)


@pytest.mark.parametrize("windows", [1, LAUNCH, LAUNCH + 1])
def test_every_launch_has_the_same_shape(suite: Suite, monkeypatch: pytest.MonkeyPatch, windows: int) -> None:
    """However many windows close: a kernel chosen by shape is always the same one."""
    shapes = []

    def spy(current: Tensor, reference: Tensor) -> tuple[Result]:
        shapes.extend([current.shape, reference.shape])
        return (Result(current.sum(-1)),)

    monkeypatch.setattr("streammon.core.suite.TESTS", (DriftTest(("spy",), "spy.{cells}", Cells.FINE, spy),))
    [[column]] = suite.run([distribution(windows)])
    assert set(shapes) == {(LAUNCH, FEATURES, CELLS)}
    np.testing.assert_array_equal(column.value, np.full((windows, FEATURES), 500))


def test_nothing_gives_nothing(suite: Suite) -> None:
    assert suite.run([]) == []
