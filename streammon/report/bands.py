"""The band in which sampling alone keeps a measurement: by window, for its n and the reference's m.

Two kinds. Statistics that are 0 in the mean, or nearly, when nothing drifts (ks, psi, psi_excess, kl, js): from their
least value to the 99.9 % quantile of their two-sample null. Means and shares: the baseline's own, plus and minus
3 standard errors of the difference of two samples. Where an approximation does not hold there is no band (NaN).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BEYOND = 0.001  # share of windows without drift above the band
ERRORS = 3.0  # standard errors on either side of a mean or a share
LEAST_EXPECTED = 5.0  # events on either side of a share, as for chi-square: below, it is not near a normal
TIMES_CHI2 = {"psi": 1.0, "psi_excess": 1.0, "kl": 1 / 2, "js": 1 / 8}  # of (1/n + 1/m) chi-square, to first order


def drift_band(statistic: str, n: Floats, m: Floats, freedom: Floats) -> tuple[Floats, Floats]:
    """[W] lower and upper edge. `freedom` [W] is groups - 1, NaN where groups hold too little for the approximation."""
    errors = _reciprocal(n) + _reciprocal(m) + 0.0 * freedom
    if statistic == "ks":  # Kolmogorov's series, whose second term is 1e-13 here
        return 0 * errors, math.sqrt(math.log(2 / BEYOND) / 2) * np.sqrt(errors)
    upper = TIMES_CHI2[statistic] * errors * _quantiles(freedom)
    mean = errors * freedom if statistic == "psi_excess" else 0 * errors
    return -mean, upper - mean


def mean_band(mean: float, variance: float, n: Floats, m: float) -> tuple[Floats, Floats]:
    """[W] edges around the mean of a reference of m values."""
    half = ERRORS * np.sqrt(variance * (_reciprocal(n) + 1 / m))
    return mean - half, mean + half


def share_band(share: float, n: Floats, m: float) -> tuple[Floats, Floats]:
    """[W] edges around the share of a class among m events of the reference, within [0, 1]."""
    half = ERRORS * np.sqrt(share * (1 - share) * (_reciprocal(n) + 1 / m))
    half = np.where(n * min(share, 1 - share) >= LEAST_EXPECTED, half, np.nan)
    return np.clip(share - half, 0, 1), np.clip(share + half, 0, 1)


@cache
def chi2_quantile(freedom: int) -> float:
    """What a chi-square variable of so many degrees of freedom exceeds with probability BEYOND.

    >>> f"{chi2_quantile(9):.4f}"
    '27.8772'
    """
    low, high = 0.0, 20.0 + 3.0 * freedom + 10.0 * math.sqrt(freedom)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _chi2_sf(middle, freedom) > BEYOND else (low, middle)
    return high


def _chi2_sf(x: float, freedom: int) -> float:
    """P(X > x) in the finite sum that whole degrees of freedom have, Abramowitz and Stegun 26.4.4 and 26.4.5."""
    odd = freedom % 2
    total = math.erfc(math.sqrt(x / 2)) if odd else 0.0
    log_half = math.log(x / 2) if x > 0 else -math.inf
    for i in range((freedom - odd) // 2):
        power = i + odd / 2
        total += math.exp(-x / 2 + power * log_half - math.lgamma(power + 1)) if x > 0 or power else 1.0
    return total


def _quantiles(freedom: Floats) -> Floats:
    found = np.full(freedom.shape, np.nan)
    for value in np.unique(freedom[~np.isnan(freedom)]):
        found[freedom == value] = chi2_quantile(int(value)) if value >= 1 else np.nan
    return found


def _reciprocal(n: Floats) -> Floats:
    return np.asarray(np.divide(1.0, n, out=np.full(n.shape, np.nan), where=n > 0))
