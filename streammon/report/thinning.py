"""Fewer points than windows, without losing what the eye would see: the least and the greatest of every bucket."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def kept(times: NDArray[np.int64], columns: Sequence[NDArray[np.float64]], buckets: int) -> NDArray[np.int64]:
    """Rows to draw, in order: of each bucket of time and column the least, the greatest and the first NaN (a gap).

    `times` [W] ascends, `columns` are [W]. All rows where there are no more than two for a bucket. The first and the
    last row are always there.
    """
    rows = len(times)
    if rows <= 2 * buckets or not columns:
        return np.arange(rows)
    span = int(times[-1]) - int(times[0]) + 1
    bucket = (times - times[0]) * np.int64(buckets) // np.int64(span)
    starts = np.flatnonzero(np.append(True, bucket[1:] != bucket[:-1]))
    run = np.cumsum(np.isin(np.arange(rows), starts)) - 1  # [W] which of the buckets that hold rows
    chosen = [np.array([0, rows - 1])]
    for column in columns:
        least, greatest = np.fmin.reduceat(column, starts), np.fmax.reduceat(column, starts)
        for there in (column == least[run], column == greatest[run], np.isnan(column)):
            found = np.flatnonzero(there)
            chosen.append(found[np.unique(run[found], return_index=True)[1]])
    return np.unique(np.concatenate(chosen))


def with_gaps(times: NDArray[np.int64], step: int) -> NDArray[np.int64]:
    """`times` and, for each run of windows that are missing, the time of its first one: there lines break.

    >>> with_gaps(np.array([60, 120, 300]), 60).tolist()
    [60, 120, 180, 300]
    """
    return np.union1d(times, times[:-1][np.diff(times) > step] + step)
