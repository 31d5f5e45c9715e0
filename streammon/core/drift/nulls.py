"""Distributions of statistics without drift: what turns a statistic into a p-value."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from streammon.core.drift.groups import Table

LEAST_EXPECTED = 5.0  # Cochran's rule: below that the chi-square approximation of a group is poor
_TERMS = 4  # both series, on their own side of x = 1, leave out less than 1e-21


def kolmogorov_sf(x: Tensor) -> Tensor:
    """P(K > x) of Kolmogorov's distribution, float64 of any shape, x >= 0; NaN stays NaN.

    Two series for one function, each where it converges at once:

        x >= 1    2 sum_{k=1..} (-1)^(k-1) exp(-2 k^2 x^2)                           (alternating)
        x <  1    1 - sqrt(2 pi) / x sum_{k=1..} exp(-(2k - 1)^2 pi^2 / (8 x^2))     (theta)

    Kolmogorov 1933; Marsaglia, Tsang and Wang, Evaluating Kolmogorov's distribution, J. Stat. Software 8 (18), 2003.

    >>> kolmogorov_sf(torch.tensor([0.0, 1.3580986], dtype=torch.float64))
    tensor([1.0000, 0.0500], dtype=torch.float64)
    """
    large, small = x.clamp(min=1.0), x.clamp(min=0.02, max=1.0)  # at .02 the theta series is 0 already
    alternating, theta = torch.zeros_like(x), torch.zeros_like(x)
    for k in range(1, _TERMS + 1):
        alternating = alternating + 2 * (-1) ** (k - 1) * torch.exp(-2 * k**2 * large.square())
        theta = theta + torch.exp(-((2 * k - 1) ** 2) * math.pi**2 / (8 * small.square()))
    return torch.where(x >= 1, alternating, 1 - theta * math.sqrt(2 * math.pi) / small)


def chi2_sf(x: Tensor, freedom: Tensor) -> Tensor:
    """P(X > x) of the chi-square distribution; without a degree of freedom x is 0, and there is nothing to reject: 1.

    >>> chi2_sf(torch.tensor([16.918978, 0.0]).double(), torch.tensor([9.0, 0.0]).double())
    tensor([0.0500, 1.0000], dtype=torch.float64)
    """
    p: Tensor = torch.special.gammaincc(freedom / 2, x / 2)
    return p.masked_fill((freedom == 0) & (x == 0), 1.0)


def two_sample_chi2(table: Table) -> tuple[Tensor, Tensor]:
    """Pearson's test that both sides have one distribution: p [W, F], and bool [W, F] where n is too low for one.

    sum (c m - r n)^2 / (n m (c + r)) has G - 1 degrees of freedom: the contingency table's sum of
    (observed - expected)^2 / expected, both sides of a group in one term. p is NaN where n is too low (the expected
    current count n (c + r) / (n + m) of an occupied group is under 5) and where a side is empty.
    """
    n, m = table.n.unsqueeze(-1), table.m.unsqueeze(-1)
    both = table.current + table.reference
    statistic = table.total((table.current * m - table.reference * n).square() / (n * m * both))
    low_n = (table.occupied & (n * both < LEAST_EXPECTED * (n + m))).any(-1) & ~table.empty
    return chi2_sf(statistic, table.groups - 1).masked_fill(low_n, torch.nan), low_n
