"""Bands of sampling alone, against scipy and against drawn samples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import kolmogi
from scipy.stats import chi2

from streammon.report import bands


@given(st.integers(1, 400))
def test_the_chi_square_quantile_is_that_of_scipy(freedom: int) -> None:
    assert bands.chi2_quantile(freedom) == pytest.approx(chi2.isf(bands.BEYOND, freedom), rel=1e-10)


def test_the_band_of_ks_ends_at_the_quantile_of_kolmogorov() -> None:
    n, m = np.array([500.0, 100.0]), np.array([60_000.0, 300.0])
    low, high = bands.drift_band("ks", n, m, np.array([9.0, 9.0]))
    assert low.tolist() == [0.0, 0.0]
    np.testing.assert_allclose(high, kolmogi(bands.BEYOND) * np.sqrt((n + m) / (n * m)), rtol=1e-10)


@pytest.mark.parametrize("statistic", ["psi", "psi_excess", "kl", "js"])
def test_one_window_in_a_thousand_without_drift_is_above_the_band(statistic: str) -> None:
    rng, groups, n, m = np.random.default_rng(5), 8, 2_000, 20_000
    shares = rng.dirichlet(np.full(groups, 5.0))
    current, reference = (rng.multinomial(size, shares, 60_000) for size in (n, m))
    p, q = (current + 0.5) / (n + 0.5 * groups), (reference + 0.5) / (m + 0.5 * groups)
    middle = (p + q) / 2
    values = {
        "psi": ((p - q) * np.log(p / q)).sum(1),
        "kl": (p * np.log(p / q)).sum(1),
        "js": (p * np.log(p / middle) + q * np.log(q / middle)).sum(1) / 2,
    }
    values["psi_excess"] = values["psi"] - (groups - 1) * (1 / n + 1 / m)
    low, high = bands.drift_band(statistic, np.array([n * 1.0]), np.array([m * 1.0]), np.array([groups - 1.0]))
    beyond = float((values[statistic] > high).mean())
    assert bands.BEYOND / 2 < beyond < 2 * bands.BEYOND
    assert (values[statistic] >= low).all()


def test_means_of_the_reference_stay_within_three_standard_errors() -> None:
    rng, n, m = np.random.default_rng(6), 400, 5_000
    windows = rng.normal(7, 2, (20_000, n)).mean(1)
    baselines = 7 + rng.normal(0, 2 / math.sqrt(m), 20_000)
    low, high = bands.mean_band(0.0, 4.0, np.full(20_000, float(n)), m)
    outside = float(((windows - baselines < low) | (windows - baselines > high)).mean())
    assert outside == pytest.approx(0.0027, abs=0.0015)  # 3 sd of a normal


def test_shares_stay_within_three_standard_errors() -> None:
    rng, n, m, share = np.random.default_rng(7), 1_000, 50_000, 0.1
    found = rng.binomial(n, share, 20_000) / n
    low, high = bands.share_band(share, np.full(20_000, float(n)), m)
    assert float(((found < low) | (found > high)).mean()) == pytest.approx(0.0027, abs=0.002)


def test_there_is_no_band_where_the_approximation_does_not_hold() -> None:
    n = np.array([0.0, 40.0, 60.0])
    assert np.isnan(bands.share_band(0.1, n, 1_000)[0]).tolist() == [True, True, False]
    low, high = bands.drift_band("psi", np.array([0.0, 500.0]), np.array([100.0, 100.0]), np.array([9.0, np.nan]))
    assert np.isnan(low).all()
    assert np.isnan(high).all()
