"""Null distributions against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy.stats import chi2, kstwobign

from streammon.core.drift.groups import Table
from streammon.core.drift.nulls import chi2_sf, kolmogorov_sf, two_sample_chi2
from tests.core.drift import oracle
from tests.core.drift.samples import Counts, full, pairs, tensor


def test_kolmogorov_is_scipys() -> None:
    """Within 1e-9, on both sides of the switch between the series, and in digits far down the tail."""
    around_one = [np.nextafter(1, 0), 1.0, np.nextafter(1, 2)]
    x = np.concatenate([np.linspace(0, 3, 30_001), around_one, np.geomspace(3, 30, 999)])
    ours, scipys = kolmogorov_sf(torch.from_numpy(x)).numpy(), kstwobign.sf(x)
    np.testing.assert_allclose(ours, scipys, rtol=0, atol=1e-13)
    tail = scipys > 1e-290
    np.testing.assert_allclose(ours[tail], scipys[tail], rtol=1e-9)


def test_kolmogorov_falls_from_one_to_zero() -> None:
    p = kolmogorov_sf(torch.cat([torch.linspace(0, 5, 100_001), torch.tensor([1e3, 1e200, torch.inf])]).double())
    assert p[0] == 1
    assert p[-1] == 0
    assert ((p >= 0) & (p <= 1)).all()
    assert (p.diff() <= 1e-15).all()


def test_kolmogorov_of_nan_is_nan() -> None:
    assert kolmogorov_sf(torch.tensor([torch.nan]).double()).isnan().all()


@pytest.mark.parametrize("groups", [*range(2, 21), 50, 100, 1_000])
def test_chi2_is_scipys(groups: int) -> None:
    """Within 1e-9, deep tails in digits too."""
    freedom = groups - 1
    x = np.concatenate([np.linspace(0, 4 * freedom, 4_001), np.geomspace(1e-9, 1, 200), np.geomspace(1, 1e9, 400)])
    ours = chi2_sf(torch.from_numpy(x), torch.full(x.shape, freedom).double()).numpy()
    np.testing.assert_allclose(ours, chi2.sf(x, freedom), rtol=0, atol=1e-9)
    tail = chi2.sf(x, freedom) > 1e-290
    np.testing.assert_allclose(ours[tail], chi2.sf(x, freedom)[tail], rtol=1e-8)


def test_one_group_has_nothing_to_reject() -> None:
    assert chi2_sf(torch.zeros(1).double(), torch.zeros(1).double()).item() == 1


@given(pairs().filter(full))
def test_two_sample_chi2_is_the_contingency_table(pair: tuple[Counts, Counts]) -> None:
    """p equals scipy's on the groups that are not empty in both, and is withheld where an expected count is under 5."""
    p, low_n = two_sample_chi2(Table.of(tensor(pair[0]), tensor(pair[1])))
    assert low_n.item() == (oracle.least_expected(*pair) < 5)
    if low_n:
        assert p.isnan()
    else:
        assert p.item() == pytest.approx(oracle.chi2_p(*pair), abs=1e-9)


def test_five_expected_is_enough() -> None:
    """Cochran's limit itself passes; one event less does not."""
    reference = tensor(np.array([50, 50]))
    for current, too_few in (([5, 5], False), ([4, 5], True)):
        p, low_n = two_sample_chi2(Table.of(tensor(np.array(current)), reference))
        assert low_n.item() == p.isnan().item() == too_few
