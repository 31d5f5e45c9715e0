"""Counts by group, exact sums and smoothed shares."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streammon.core.drift.groups import Table, by_group, fold
from tests.core.drift import oracle
from tests.core.drift.samples import Counts, a_count, full, pairs, tensor


@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 30))
def test_groups_add_up_their_cells(data: st.DataObject, windows: int, features: int, cells: int) -> None:
    """Each (window, feature) by its own map, as numpy does it."""
    shape = (windows, features, cells)
    counts = data.draw(arrays(np.int64, shape, elements=a_count))
    group = data.draw(arrays(np.int64, shape, elements=st.integers(0, 9)))
    expected = np.zeros((windows, features, 10), dtype=np.int64)
    for index, count in np.ndenumerate(counts):
        expected[index[0], index[1], group[index]] += count
    np.testing.assert_array_equal(by_group(torch.from_numpy(counts), torch.from_numpy(group), 10).numpy(), expected)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=70))
def test_fold_is_the_sum(terms: list[float]) -> None:
    rounding = 8 * math.ulp(1) * sum(map(abs, terms))
    assert fold(torch.tensor(terms, dtype=torch.float64)).item() == pytest.approx(math.fsum(terms), rel=0, abs=rounding)


def test_fold_of_a_row_does_not_see_other_rows() -> None:
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(500, 37)))
    for i in range(0, 500, 50):
        assert fold(rows[i : i + 1]).item() == fold(rows)[i].item() == fold(rows.T.contiguous().T)[i].item()


@given(pairs().filter(full))
def test_shares_are_those_of_the_definition(pair: tuple[Counts, Counts]) -> None:
    table = Table.of(tensor(pair[0]), tensor(pair[1]))
    assert (table.n.item(), table.m.item()) == (pair[0].sum(), pair[1].sum())
    expected = oracle.shares(*pair)
    assert table.groups.item() == len(expected[0])
    for found, share in zip(table.shares(), expected, strict=True):
        np.testing.assert_allclose(found[table.occupied], share, rtol=1e-14)
        assert table.total(found).item() == pytest.approx(1, rel=1e-14)


def test_huge_counts_keep_their_digits() -> None:
    """2^50 events: the share is the correctly rounded one."""
    current = np.array([2**50, 1])
    p, _ = Table.of(tensor(current), tensor(current)).shares()
    assert p[1].item() == float((1 + Fraction(1, 2)) / (2**50 + 1 + 1))


@pytest.mark.parametrize("current, reference", [([0, 0], [3, 4]), ([3, 4], [0, 0]), ([0, 0], [0, 0])])
def test_a_total_over_nothing_is_nan(current: list[int], reference: list[int]) -> None:
    """Whatever the terms, also where no group is occupied at all."""
    table = Table.of(tensor(np.array(current)), tensor(np.array(reference)))
    assert table.total(torch.ones(2).double()).isnan()
