"""Values of records as one buffer, grouped by partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streammon.core.ports import Origin, RecordBatch, Run


def record_batch(
    values: Sequence[bytes | None],
    partition: NDArray[np.int64],
    offset: NDArray[np.int64],
    timestamp: NDArray[np.int64],
    origin: Callable[[int], Origin],
) -> RecordBatch:
    """Records in the order in which they were read; `origin` takes that order's row numbers."""
    try:
        joined = b"".join(values)  # type: ignore[arg-type]  # a None raises TypeError, and is rare
        end = np.cumsum(np.fromiter(map(len, values), np.int64, len(values)))  # type: ignore[arg-type]  # the same
        start = np.concatenate(([0], end[:-1]))
    except TypeError:
        joined = b"".join(value or b"" for value in values)
        end = np.cumsum([len(value or b"") for value in values])
        start = np.concatenate(([0], end[:-1]))
        missing = np.array([value is None for value in values])
        start[missing] = end[missing] = -1
    buffer = np.frombuffer(joined or b"\0", np.uint8)  # frombuffer refuses an empty value
    return grouped(buffer, start, end, partition, offset, timestamp, origin)


def grouped(
    buffer: NDArray[np.uint8],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    partition: NDArray[np.int64],
    offset: NDArray[np.int64],
    timestamp: NDArray[np.int64],
    origin: Callable[[int], Origin],
) -> RecordBatch:
    """Rows of one partition side by side, so that there are as few runs as partitions. Order within each is kept."""
    bounds = _bounds(partition)
    if len(bounds) > 2 and len(bounds) - 1 > len(np.unique(partition)):
        order = np.argsort(partition, kind="stable")
        start, end, partition = start[order], end[order], partition[order]
        offset, timestamp = offset[order], timestamp[order]
        bounds = _bounds(partition)
        unordered = origin

        def origin(row: int) -> Origin:
            return unordered(int(order[row]))

    runs = tuple(Run(int(partition[low]), low, high) for low, high in pairwise(bounds))
    return RecordBatch(buffer, start, end, offset, timestamp, runs, origin)


def _bounds(partition: NDArray[np.int64]) -> list[int]:
    """Where another partition begins, the end included."""
    changes: list[int] = (np.flatnonzero(np.diff(partition)) + 1).tolist()
    return [0, *changes, len(partition)]
