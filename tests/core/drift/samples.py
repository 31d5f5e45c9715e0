"""Counts for the drift tests, and the way one pair of vectors goes through a batched test."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from streammon.core.drift import DriftTest

Counts = NDArray[np.int64]

a_count = st.one_of(st.just(0), st.integers(0, 20), st.integers(0, 1_000), st.integers(0, 10**9))


def vectors(cells: int) -> st.SearchStrategy[Counts]:
    """Counts of `cells` cells: few, many, in one cell only, none at all."""
    one_cell = st.builds(
        lambda at, count: np.eye(cells, dtype=np.int64)[at] * count, st.integers(0, cells - 1), st.integers(1, 1_000)
    )
    return st.one_of(arrays(np.int64, cells, elements=a_count), one_cell)


def pairs(largest: int = 12) -> st.SearchStrategy[tuple[Counts, Counts]]:
    """(current, reference) with as many cells: independent, equal, proportional, or without a common cell."""

    def of(cells: int) -> st.SearchStrategy[tuple[Counts, Counts]]:
        independent = st.tuples(vectors(cells), vectors(cells))
        equal = vectors(cells).map(lambda counts: (counts, counts))
        proportional = vectors(cells).map(lambda counts: (counts, 3 * counts))
        disjoint = st.builds(lambda counts, own: (counts * own, counts * ~own), vectors(cells), arrays(np.bool_, cells))
        return st.one_of(independent, equal, proportional, disjoint)

    return st.integers(1, largest).flatmap(of)


def full(pair: tuple[Counts, Counts]) -> bool:
    """Whether both sides have something to compare."""
    return bool(pair[0].sum() and pair[1].sum())


def tensor(counts: Counts) -> Tensor:
    return torch.from_numpy(counts.astype(np.float64))


def outcome(test: DriftTest, current: Counts, reference: Counts) -> dict[str, float]:
    """All numbers that a test gives for one pair: {"psi": ..., "psi.p": ..., "psi.low_n": ...}."""
    found = {}
    results = test.compute(tensor(current[None, None]), tensor(reference[None, None]))
    for name, result in zip(test.statistics, results, strict=True):
        for field, values in result._asdict().items():
            if values is not None:
                found[name if field == "value" else f"{name}.{field}"] = values.item()
    return found
