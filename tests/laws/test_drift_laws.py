"""Laws of every drift test in `TESTS`, so that a newcomer is held to them from its first day, and of the suite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from streammon.core.drift import TESTS, DriftTest, Result
from streammon.core.measures import CellCounts, Column, Edges
from streammon.core.suite import LAUNCH, Suite
from tests.core.drift.samples import Counts, full, outcome, pairs, tensor

every_test = pytest.mark.parametrize("test", TESTS, ids=lambda test: test.statistics[0])


def counts(windows: int, features: int, cells: int, seed: int = 0) -> tuple[Counts, Counts]:
    """[windows, features, cells] of all sizes: some windows of a few events, some empty, some of a billion."""
    rng = np.random.default_rng(seed)
    totals = rng.choice([0, 1, 30, 1_000, 10**9], (windows, features), p=[0.1, 0.1, 0.2, 0.5, 0.1])
    shares = rng.dirichlet(np.full(cells, 0.5), (windows, features))
    return rng.multinomial(totals, shares), rng.multinomial(10_000, shares[..., ::-1])


def arrays(results: tuple[Result, ...] | list[Column]) -> Iterator[np.ndarray]:
    """Everything published of a test's results or a suite's columns."""
    for each in results:
        for array in (each.value, each.effect, each.p, each.low_n):
            if array is not None:
                yield np.asarray(array)


def bits(array: np.ndarray) -> bytes:
    """What two equal results share. All NaN are one: they are published as null."""
    return np.where(np.isnan(array), np.nan, array).tobytes()


def same(left: Iterator[np.ndarray], right: Iterator[np.ndarray]) -> bool:
    return [bits(array) for array in left] == [bits(array) for array in right]


# --- each test --------------------------------------------------------------------------------------------------------


@every_test
def test_shapes_and_types(test: DriftTest) -> None:
    """One result per statistic; [W, F] in float64, `low_n` in bool; p are probabilities."""
    results = test.compute(*(tensor(side) for side in counts(7, 3, 10)))
    assert len(results) == len(test.statistics)
    for value, effect, p, low_n in results:
        for array in (value, effect, p):
            assert array is None or (array.shape == (7, 3) and array.dtype == torch.float64)
        assert low_n is None or (low_n.shape == (7, 3) and low_n.dtype == torch.bool)
        assert p is None or bool((((p >= 0) & (p <= 1)) | p.isnan()).all())


@every_test
@given(pair=pairs().filter(full))
def test_a_value_is_a_number_where_there_is_something_to_compare(test: DriftTest, pair: tuple[Counts, Counts]) -> None:
    """However few or many the events; p is missing only with the flag that says why."""
    found = outcome(test, *pair)
    for name in test.statistics:
        assert np.isfinite(found[name])
        assert np.isfinite(found.get(f"{name}.effect", 0.0))
        assert np.isnan(found.get(f"{name}.p", 0.0)) == found.get(f"{name}.low_n", False)


@every_test
@pytest.mark.parametrize("current, reference", [(0, 1), (1, 0), (0, 0)])
def test_nothing_to_compare_gives_nan(test: DriftTest, current: int, reference: int) -> None:
    """No exception and no other flag, with 1 cell and with 10."""
    for cells in (1, 10):
        ones = np.ones(cells, dtype=np.int64)
        found = outcome(test, current * ones, reference * ones)
        assert not any(value for name, value in found.items() if name.endswith(".low_n"))
        assert all(np.isnan(value) for name, value in found.items() if not name.endswith(".low_n"))


@every_test
def test_a_window_does_not_see_its_neighbours(test: DriftTest) -> None:
    """Bit for bit the same alone among empty windows, at whatever place, and among others."""
    current, reference = (tensor(side) for side in counts(LAUNCH, 3, 10))
    together = [array.copy() for array in arrays(test.compute(current, reference))]
    for window in range(LAUNCH):
        place = (7 * window + 5) % LAUNCH
        alone = torch.zeros(2, *current.shape, dtype=torch.float64)
        alone[:, place] = torch.stack([current[window], reference[window]])
        for found, expected in zip(arrays(test.compute(alone[0], alone[1])), together, strict=True):
            assert bits(found[place]) == bits(expected[window])


@every_test
@given(seed=st.integers(0, 2**32 - 1))
def test_order_is_carried_through(test: DriftTest, seed: int) -> None:
    """Windows and features shuffled: the same bits, shuffled alike."""
    rng = np.random.default_rng(seed)
    windows, features = rng.permutation(9), rng.permutation(4)

    def shuffled(array: Counts | np.ndarray) -> np.ndarray:
        return array[windows][:, features]

    current, reference = counts(9, 4, 10, seed)
    straight = test.compute(tensor(current), tensor(reference))
    mixed = test.compute(tensor(shuffled(current)), tensor(shuffled(reference)))
    assert same(arrays(mixed), (shuffled(array) for array in arrays(straight)))


@every_test
def test_arguments_are_left_as_they_are(test: DriftTest) -> None:
    sides = [tensor(side) for side in counts(5, 2, 10)]
    before = [side.clone() for side in sides]
    test.compute(*sides)
    assert all(torch.equal(side, copy) for side, copy in zip(sides, before, strict=True))


@every_test
@given(pair=pairs().filter(full), cells=st.integers(1, 9))
def test_cells_that_are_empty_on_both_sides_do_not_count(
    test: DriftTest, pair: tuple[Counts, Counts], cells: int
) -> None:
    current, reference = (np.concatenate([side, np.zeros(cells, dtype=np.int64)]) for side in pair)
    assert outcome(test, current, reference) == pytest.approx(outcome(test, *pair), rel=1e-9, abs=1e-14, nan_ok=True)


@every_test
def test_symmetry_is_as_claimed(test: DriftTest) -> None:
    """Value and effect of both directions agree where the test says so, and only there."""

    def compared(current: Tensor, reference: Tensor) -> list[Tensor]:
        results = test.compute(current, reference)
        return [array for value, effect, *_ in results for array in (value, effect) if array is not None]

    current, reference = (tensor(side) for side in counts(50, 2, 10))
    agree = all(
        torch.allclose(there, back, rtol=1e-12, atol=1e-14, equal_nan=True)
        for there, back in zip(compared(current, reference), compared(reference, current), strict=True)
    )
    assert agree == test.symmetric


def test_no_two_tests_publish_one_name() -> None:
    names = [name for test in TESTS for name in test.statistics]
    assert len(names) == len(set(names))


# --- the suite: what is published never depends on what else closed ---------------------------------------------------


def distribution(windows: int, ordinal: bool = True, seed: int = 0) -> CellCounts:
    features, cells = (16, 258) if ordinal else (8, 101)
    current, reference = counts(windows, features, cells, seed)
    groups = np.broadcast_to((np.arange(cells, dtype=np.int32) * 10) // cells, current.shape)
    names = tuple(f"f{i}" for i in range(features))
    edges = Edges(np.zeros((1, features, cells - 1)), np.zeros(windows, np.int32)) if ordinal else None
    return CellCounts("feature." if ordinal else "class_", names, current, reference, groups, edges)


def part(whole: CellCounts, windows: slice | list[int]) -> CellCounts:
    return whole._replace(
        current=whole.current[windows], reference=whole.reference[windows], groups=whole.groups[windows]
    )


def published(columns: list[Column], windows: slice | list[int] = slice(None)) -> Iterator[np.ndarray]:
    return (array[windows] for array in arrays(columns))


@pytest.fixture(scope="module")
def suite() -> Suite:
    return Suite("cpu")


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("ordinal", [True, False])
def test_a_window_is_published_alike_alone_and_in_company(suite: Suite, ordinal: bool) -> None:
    """Law 7: alone, first, last, on either side of a launch's end, before and behind other distributions."""
    whole = distribution(2 * LAUNCH + 1, ordinal)
    [together] = suite.run([whole])
    for window in (0, 1, LAUNCH - 1, LAUNCH, 2 * LAUNCH):
        alone, expected = part(whole, [window]), list(published(together, [window]))
        others = distribution(window + 1, ordinal, seed=1)
        for batch, at in (([alone], 0), ([alone, others], 0), ([others, distribution(3, not ordinal), alone], 2)):
            assert same(published(suite.run(batch)[at]), iter(expected))


@settings(max_examples=10)
@given(st.permutations(range(LAUNCH + 8)), st.integers(0, LAUNCH + 8))
def test_any_order_and_any_split_publish_the_same(suite: Suite, order: list[int], cut: int) -> None:
    """Windows shuffled, and handed over in two runs."""
    whole = distribution(LAUNCH + 8)
    [straight] = suite.run([whole])
    for windows in (order[:cut], order[cut:]):
        [shuffled] = suite.run([part(whole, windows)])
        assert same(published(shuffled), published(straight, windows))


@pytest.mark.parametrize("ordinal", [True, False])
@pytest.mark.usefixtures("restored_threads")
def test_threads_change_nothing(suite: Suite, ordinal: bool) -> None:
    whole = distribution(LAUNCH, ordinal)
    runs = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        runs.append(suite.run([whole])[0])
    assert same(published(runs[0]), published(runs[1]))
    assert same(published(runs[0]), published(runs[2]))


def test_the_suite_leaves_its_input_alone(suite: Suite) -> None:
    """Read-only arrays will do."""
    whole = distribution(4)
    for array in (whole.current, whole.reference, whole.groups):
        array.flags.writeable = False
    copy = whole.current.copy()
    suite.run([whole])
    np.testing.assert_array_equal(whole.current, copy)


def test_an_empty_window_or_reference_is_published_without_numbers(suite: Suite) -> None:
    whole = distribution(3)
    whole.current[0], whole.reference[1] = 0, 0
    [columns] = suite.run([whole])
    for column in columns:
        for array in (column.value, column.effect, column.p):
            assert array is None or np.isnan(array[:2]).all()
        assert column.low_n is None or not column.low_n[:2].any()
        assert (column.n[0] == 0).all()
        assert column.reference_n is not None
        assert (column.reference_n[1] == 0).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_publishes_what_the_processor_does() -> None:
    """But for the last digits; alone and in company bit for bit."""
    whole = distribution(LAUNCH + 1)
    cuda, cpu = Suite("cuda"), Suite("cpu")
    [there], [here] = cuda.run([whole]), cpu.run([whole])
    for found, expected in zip(published(there), published(here), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert all(column.method is not None and column.method.endswith(".cuda") for column in there)
    for window in range(LAUNCH + 1):
        assert same(published(cuda.run([part(whole, [window])])[0]), published(there, [window]))
