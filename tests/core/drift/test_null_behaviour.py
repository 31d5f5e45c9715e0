"""Without drift: what the statistics are on average, and how often p falls below 5 %. Seeded simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from streammon.core.drift import Result
from streammon.core.drift.ks import KS
from streammon.core.drift.psi import PSI
from tests.core.drift.samples import Counts, tensor

WINDOWS = 4_000


def windows(n: int, m: int, cells: int) -> tuple[Counts, Counts]:
    """[WINDOWS, 1, cells] counts of n and of m events, both drawn from one distribution."""
    rng = np.random.default_rng(n + cells)
    even = np.full(cells, 1 / cells)
    return rng.multinomial(n, even, (WINDOWS, 1)), rng.multinomial(m, even, (WINDOWS, 1))


def psi_of(n: int, m: int) -> tuple[Result, ...]:
    current, reference = windows(n, m, 10)
    return PSI.compute(tensor(current), tensor(reference))


def rejections(p: np.ndarray) -> int:
    assert np.isfinite(p).all()
    return int((p < 0.05).sum())


@pytest.mark.parametrize("n, m", [(1_000, 1_000), (2_000, 10_000)])
def test_psi_has_the_mean_that_its_excess_takes_off(n: int, m: int) -> None:
    """Within three standard errors of (G - 1) (1/n + 1/m): .0180 for 1,000 against 1,000."""
    value, excess = (result.value.numpy() for result in psi_of(n, m))
    error = value.std(ddof=1) / np.sqrt(WINDOWS)
    assert value.mean() == pytest.approx(9 * (1 / n + 1 / m), abs=3 * error)
    assert excess.mean() == pytest.approx(0, abs=3 * error)


@pytest.mark.parametrize("n, m", [(200, 10_000), (1_000, 1_000)])
def test_psi_p_rejects_five_in_a_hundred(n: int, m: int) -> None:
    p = psi_of(n, m)[0].p
    assert p is not None
    low, high = binom.interval(0.999, WINDOWS, 0.05)
    assert low <= rejections(p.numpy()) <= high


@pytest.mark.parametrize("n, m", [(200, 10_000), (1_000, 10_000)])
def test_ks_p_rejects_five_in_a_hundred_or_a_little_less(n: int, m: int) -> None:
    """On 256 cells the asymptotic p is conservative: about 4 % at n = 200. Never more than 5 %, never under 3 %."""
    current, reference = windows(n, m, 256)
    p = KS.compute(tensor(current), tensor(reference))[0].p
    assert p is not None
    assert binom.ppf(0.0005, WINDOWS, 0.03) <= rejections(p.numpy()) <= binom.ppf(0.9995, WINDOWS, 0.05)
