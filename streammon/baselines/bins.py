"""How reference values become fine bins, and fine bins quantile groups (the layout is in core/baseline.py).

Why at most FINE_BINS bins. There are FINE_BINS candidate edges, the i/256 quantiles for i = 0 .. 255. A value that is a
candidate once gives one edge; one that is a candidate more often (an **atom**: it fills a whole quantile step) gives
two, itself and the next float. So candidates give at most FINE_BINS edges, and the end behind the greatest value is one
more.

How exact KS on these bins is. Both distribution functions are known at every edge. Between two edges the reference
rises by the mass of the bin, so that mass bounds the error, except in a bin that is a single value, where nothing lies
between. It is at most 2/256: a bin begins at a candidate, which may repeat over almost a whole step without being an
atom, and ends before the next candidate.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streammon.core.baseline import FINE_BINS, GROUPS


def fine_edges(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    """Strictly increasing edges, at most FINE_BINS + 1, of finite values in ascending order; none of no values.

    Quantiles are order statistics (numpy's `inverted_cdf`), so that every inner edge is a value or the float after one.

    >>> fine_edges(np.array([0.0, 0.0, 7.0])).tolist()  # two atoms and the gap between them
    [0.0, 5e-324, 7.0, 7.000000000000001]
    """
    if len(ordered) == 0:
        return np.empty(0)
    step = np.arange(FINE_BINS)
    candidates = ordered[np.maximum((step * len(ordered) - 1) // FINE_BINS, 0)]
    atoms = candidates[1:][candidates[1:] == candidates[:-1]]
    with np.errstate(over="ignore", under="ignore"):  # inf follows the greatest float, and no number reaches it
        after = np.nextafter(np.append(atoms, ordered[-1]), np.inf)
    edges: NDArray[np.float64] = np.unique(np.concatenate([candidates, after])) + 0.0  # -0.0 becomes 0.0
    assert 2 <= len(edges) <= FINE_BINS + 1
    return edges


def fine_counts(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """[E + 1] finite values by cell: underflow, bins, overflow, padding. `edges` [E] may be padded with inf."""
    cells = np.searchsorted(edges, values, side="right")
    return np.bincount(cells, minlength=len(edges) + 1).astype(np.int64)


def quantile_groups(counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """[B] the group, 0 .. GROUPS - 1, of each of B bins.

    Groups are runs of bins, cut behind the bin where the cumulative count first reaches i/GROUPS of all. Every
    group holds reference values, so heavy bins may leave fewer than GROUPS groups.

    >>> quantile_groups(np.array([0, 70, 0, 12, 8, 10, 0]))
    array([0, 0, 1, 1, 2, 3, 3], dtype=int32)
    """
    occupied = np.flatnonzero(counts)
    if len(occupied) == 0:
        return np.zeros(len(counts), np.int32)
    total = counts.sum()
    step = (np.cumsum(counts) - counts) * GROUPS // total  # cuts that lie at or below the beginning of each bin
    last = occupied[-1]
    step[last:] = step[last]  # empty bins at the end would be a group without a reference
    return np.unique(step, return_inverse=True)[1].astype(np.int32)


def cell_groups(counts: NDArray[np.int64], bins: int) -> NDArray[np.int32]:
    """[E + 1] the group of each cell of a feature: underflow as the first bin, overflow and padding as the last."""
    if bins == 0:
        return np.zeros(len(counts), np.int32)
    groups = quantile_groups(counts[1 : bins + 1])
    return np.pad(groups, (1, len(counts) - bins - 1), mode="edge")


def single_values(edges: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[B] whether a bin between consecutive `edges` [B + 1] holds one value only."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.nextafter(edges[:-1], np.inf) == edges[1:])


def ks_error(edges: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Bound of |KS on bins - KS on values|: the greatest share of the reference in a bin of several values.

    `edges` [B + 1] and `counts` [B] of the bins alone; NaN without values.
    """
    total = counts.sum()
    return float(np.max(counts * ~single_values(edges), initial=0) / total) if total else np.nan
