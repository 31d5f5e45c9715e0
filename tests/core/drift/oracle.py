"""References for the drift tests: scipy and numpy on one pair of count vectors. Imports nothing from streammon."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy, ks_2samp, kstwobign

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]


def occupied(current: Counts, reference: Counts) -> tuple[Counts, Counts]:
    """Both without the groups that are empty in both."""
    kept = (current > 0) | (reference > 0)
    return current[kept], reference[kept]


def shares(current: Counts, reference: Counts, smoothing: float = 0.5) -> tuple[Shares, Shares]:
    c, r = occupied(current, reference)
    return (c + smoothing) / (c + smoothing).sum(), (r + smoothing) / (r + smoothing).sum()


def psi(p: Shares, q: Shares) -> float:
    return float(np.sum((p - q) * np.log(p / q)))


def psi_null_mean(current: Counts, reference: Counts) -> float:
    groups = len(occupied(current, reference)[0])
    return float((groups - 1) * (1 / current.sum() + 1 / reference.sum()))


def kl(p: Shares, q: Shares) -> float:
    return float(entropy(p, q))


def js_distance(p: Shares, q: Shares) -> float:
    return float(jensenshannon(p, q))


def chi2_p(current: Counts, reference: Counts) -> float:
    return float(chi2_contingency(np.stack(occupied(current, reference)), correction=False).pvalue)


def least_expected(current: Counts, reference: Counts) -> float:
    """Least expected current count of the groups that are not empty in both."""
    c, r = occupied(current, reference)
    n, m = int(c.sum()), int(r.sum())
    return min(n * int(both) / (n + m) for both in c + r)


def ks_of_samples(current: Counts, reference: Counts) -> float:
    """D of the samples in which the value i occurs as often as cell i counts."""
    values = np.arange(len(current))
    return float(ks_2samp(np.repeat(values, current), np.repeat(values, reference), method="asymp").statistic)


def ks_of_counts(current: Counts, reference: Counts) -> float:
    return float(np.max(np.abs(np.cumsum(current) / current.sum() - np.cumsum(reference) / reference.sum())))


def kolmogorov_p(distance: float, n: int, m: int) -> float:
    return float(kstwobign.sf(np.sqrt(n / (n + m) * m) * distance))
