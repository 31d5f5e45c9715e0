"""Values and keys of records, each as one buffer, grouped by partition."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from streammon.core.ports import Origin, RecordBatch, Run, Slices


def record_batch(
    values: Sequence[bytes | None],
    keys: Sequence[bytes | None],
    partition: NDArray[np.int64],
    offset: NDArray[np.int64],
    timestamp: NDArray[np.int64],
    origin: Callable[[int], Origin],
    by_producer: Callable[[int], bool] | None = None,
) -> RecordBatch:
    """Records in the order in which they were read; `origin` and `by_producer` take that order's row numbers."""
    return grouped(_joined(values), _joined(keys), partition, offset, timestamp, origin, by_producer)


def grouped(
    values: Slices,
    keys: Slices | None,
    partition: NDArray[np.int64],
    offset: NDArray[np.int64],
    timestamp: NDArray[np.int64],
    origin: Callable[[int], Origin],
    by_producer: Callable[[int], bool] | None = None,
) -> RecordBatch:
    """Rows of one partition side by side, so that there are as few runs as partitions. Order within each is kept."""
    bounds = _bounds(partition)
    if len(bounds) > 2 and len(bounds) - 1 > len(np.unique(partition)):
        order = np.argsort(partition, kind="stable")
        values, keys = _ordered(values, order), None if keys is None else _ordered(keys, order)
        partition, offset, timestamp = partition[order], offset[order], timestamp[order]
        bounds = _bounds(partition)
        unordered, unordered_stamps = origin, by_producer

        def origin(row: int) -> Origin:
            return unordered(int(order[row]))

        if unordered_stamps is not None:

            def by_producer(row: int) -> bool:
                return unordered_stamps(int(order[row]))

    runs = tuple(Run(int(partition[low]), low, high) for low, high in pairwise(bounds))
    return RecordBatch(*values, offset, timestamp, runs, origin, keys, by_producer)


def _joined(strings: Sequence[bytes | None]) -> Slices:
    try:
        joined = b"".join(strings)  # type: ignore[arg-type]  # a None raises TypeError, and is rare
        end = np.cumsum(np.fromiter(map(len, strings), np.int64, len(strings)))  # type: ignore[arg-type]  # the same
        start = np.concatenate(([0], end[:-1]))
    except TypeError:
        joined = b"".join(string or b"" for string in strings)
        end = np.cumsum([len(string or b"") for string in strings])
        start = np.concatenate(([0], end[:-1]))
        missing = np.array([string is None for string in strings])
        start[missing] = end[missing] = -1
    return Slices(np.frombuffer(joined or b"\0", np.uint8), start, end)  # frombuffer refuses an empty value


def _ordered(strings: Slices, order: NDArray[np.intp]) -> Slices:
    return Slices(strings.buffer, strings.start[order], strings.end[order])


def _bounds(partition: NDArray[np.int64]) -> list[int]:
    """Where another partition begins, the end included."""
    changes: list[int] = (np.flatnonzero(np.diff(partition)) + 1).tolist()
    return [0, *changes, len(partition)]
