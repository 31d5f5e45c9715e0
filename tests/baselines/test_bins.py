"""Fine bins and quantile groups, against slow loops, numpy.quantile and scipy.stats.ks_2samp."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from scipy import stats

from streammon.baselines.bins import cell_groups, fine_counts, fine_edges, ks_error, quantile_groups
from streammon.core.baseline import FINE_BINS, GROUPS
from tests.baselines.samples import HARD, Floats, samples

STEPS = np.arange(FINE_BINS + 1) / FINE_BINS


def finite(values: Floats) -> Floats:
    return np.sort(values[np.isfinite(values)])


def exact_ks(reference: Floats, current: Floats) -> float:
    with np.errstate(divide="ignore"):  # in scipy's p for one value against one, which nobody asked for
        return float(stats.ks_2samp(reference, current, method="asymp").statistic)


def binned_ks(edges: Floats, reference: Floats, current: Floats) -> float:
    """Greatest difference of the shares of values below each edge: what bins can know of KS."""
    below = [(values[:, None] < edges).mean(axis=0) for values in (reference, current)]
    return float(np.abs(below[0] - below[1]).max())


@given(samples)
@example(np.array(HARD))
@example(np.arange(255.0))
@example(np.arange(256.0))
@example(np.arange(257.0))
@settings(max_examples=300, deadline=None)
def test_edges_are_quantiles_and_the_float_after_each_repeated_one(values: Floats) -> None:
    """Strictly increasing, at most 256 bins, from the least value to the float after the greatest."""
    ordered = finite(values)
    edges = fine_edges(ordered)
    if len(ordered) == 0:
        assert len(edges) == 0
        return
    assert 2 <= len(edges) <= FINE_BINS + 1
    assert (edges[1:] > edges[:-1]).all()
    quantiles = Counter(np.quantile(ordered, STEPS[:-1], method="inverted_cdf").tolist())
    expected = {*quantiles, math.nextafter(ordered[-1], math.inf)}
    expected |= {math.nextafter(value, math.inf) for value, times in quantiles.items() if times > 1}
    assert edges.tolist() == sorted(expected)


@given(samples)
@settings(max_examples=200, deadline=None)
def test_an_atom_is_alone_in_its_bin(values: Floats) -> None:
    """A value that holds two quantile steps of the reference or more never shares its bin."""
    ordered = finite(values)
    edges = fine_edges(ordered)
    for value, times in Counter(ordered.tolist()).items():
        if times * FINE_BINS >= 2 * len(ordered):
            bin_ = int((edges <= value).sum()) - 1
            assert edges[bin_] == value
            assert edges[bin_ + 1] == math.nextafter(value, math.inf)


@given(samples)
@settings(max_examples=100, deadline=None)
def test_every_reference_value_lies_in_exactly_one_bin_and_is_counted_there(values: Floats) -> None:
    """Counts equal a slow loop, and nothing of the reference lies out of range."""
    ordered = finite(values)
    assume(len(ordered))
    edges = fine_edges(ordered)
    padded = np.pad(edges, (0, FINE_BINS + 1 - len(edges)), constant_values=np.inf)
    expected = [0] * (FINE_BINS + 2)
    pairs = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    for value in ordered.tolist():
        inside = [b for b, (low, high) in enumerate(pairs) if low <= value < high]
        assert len(inside) == 1
        expected[inside[0] + 1] += 1
    assert fine_counts(ordered, padded).tolist() == expected


def test_values_out_of_range_fall_into_the_end_cells() -> None:
    edges = fine_edges(np.arange(1.0, 11.0))
    counts = fine_counts(np.array([0.5, 1.0, 10.0, math.nextafter(10, 11), 99.0]), edges)
    assert counts[0] == 1
    assert counts[len(edges)] == 2
    assert counts.sum() == 5


@given(samples, samples)
@settings(max_examples=300, deadline=None)
def test_binned_ks_is_within_its_published_bound_of_the_exact_one(reference: Floats, current: Floats) -> None:
    """The bound is the greatest reference mass in a bin of several values, and that is at most two quantile steps."""
    reference, current = finite(reference), finite(current)
    assume(len(reference) and len(current))
    edges = fine_edges(reference)
    counts = np.histogram(reference, np.append(edges[:-1], np.inf))[0]
    bound = ks_error(edges, counts)
    inner = [c for low, high, c in zip(edges, edges[1:], counts, strict=False) if math.nextafter(low, math.inf) < high]
    assert bound == pytest.approx(max(inner, default=0) / len(reference), abs=1e-15)
    assert bound <= 2 / FINE_BINS + 1e-12
    exact = exact_ks(reference, current)
    assert exact - bound - 1e-12 <= binned_ks(edges, reference, current) <= exact + 1e-12


def test_ks_of_a_zero_inflated_feature_sees_that_the_zeros_went_away() -> None:
    """60 % exact zeros that become tiny positive numbers: plain quantile bins do not see it at all."""
    rng = np.random.default_rng(1)
    n = 20_000
    reference = np.where(rng.random(n) < 0.6, 0.0, rng.exponential(size=n))
    current = np.where(rng.random(n) < 0.6, 1e-9, rng.exponential(size=n))
    exact = exact_ks(reference, current)
    assert exact > 0.59
    plain = np.unique(np.quantile(reference, STEPS))
    assert binned_ks(plain, reference, current) < 0.03
    assert binned_ks(fine_edges(np.sort(reference)), reference, current) == pytest.approx(exact, abs=2 / FINE_BINS)


def slow_groups(counts: list[int]) -> list[int]:
    """Walk the bins; begin the next group after each one where the cumulative count passes further tenths."""
    total, cumulative, group, groups = sum(counts), 0, 0, []
    for b, count in enumerate(counts):
        groups.append(group)
        before, cumulative = cumulative, cumulative + count
        reached = any(before < i * total / GROUPS <= cumulative for i in range(1, GROUPS))
        if reached and any(counts[b + 1 :]):
            group += 1
    return groups


@given(samples)
@settings(max_examples=200, deadline=None)
def test_groups_are_runs_of_cells_cut_where_the_count_reaches_each_tenth(values: Floats) -> None:
    """Numbered from 0 without gaps; underflow goes with the first bin, overflow and padding with the last."""
    ordered = finite(values)
    edges = fine_edges(ordered)
    bins = max(len(edges) - 1, 0)
    counts = np.zeros(FINE_BINS + 2, np.int64)
    counts[: len(edges) + 1] = fine_counts(ordered, edges)
    groups = cell_groups(counts, bins).tolist()
    assert len(groups) == FINE_BINS + 2
    assert groups[0] == 0
    assert set(np.diff(groups).tolist()) <= {0, 1}
    assert groups[-1] < GROUPS
    if bins:
        assert groups[1 : bins + 1] == slow_groups(counts[1 : bins + 1].tolist())
        assert set(groups[bins + 1 :]) == {groups[bins]}
        mass = np.bincount(groups, weights=counts)
        assert (mass > 0).all()


@pytest.mark.parametrize("n", [10_000, 12_345])
def test_groups_of_continuous_data_hold_a_tenth_each(n: int) -> None:
    values = np.sort(np.random.default_rng(3).normal(size=n))
    edges = fine_edges(values)
    counts = fine_counts(values, edges)
    mass = np.bincount(cell_groups(counts, len(edges) - 1), weights=counts) / n
    assert len(mass) == GROUPS
    assert np.abs(mass - 0.1).max() < 1.5 / FINE_BINS


@pytest.mark.parametrize(
    "counts, groups",
    [
        ([], []),
        ([0, 0], [0, 0]),
        ([5], [0]),
        ([1] * 10, list(range(10))),
        ([1] * 20, [i // 2 for i in range(20)]),
        ([0, 0, 10, 0, 0], [0] * 5),
        ([60, 0, 40, 0], [0, 1, 1, 1]),
        ([3, 90, 7], [0, 0, 1]),
    ],
)
def test_groups_of_small_tables(counts: list[int], groups: list[int]) -> None:
    """Empty bins never make a group of their own."""
    assert quantile_groups(np.array(counts, np.int64)).tolist() == groups
