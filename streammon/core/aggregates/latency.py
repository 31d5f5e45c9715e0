"""Latency: a log-spaced histogram whose quantiles are within 1 % of the value, with exact mean and maximum.

Bins grow by 2 %: an order statistic x in [e, 1.02 e) reads as the harmonic mean of the edges, at most 0.99 % off (the
bound of DDSketch: Masson, Rim and Lee, VLDB 2019). Edges are made by multiplication, not by `pow`, so they are the
same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.core.aggregates.base import Closed, Field, References, State, column, ratio
from streammon.core.baseline import Layout
from streammon.core.compiled import bin_index, kernel
from streammon.core.events import LATENCY_MS, EventBatch
from streammon.core.measures import Column, Distribution

LEAST, GREATEST, GROWTH = 1e-3, 1e7, 1.02  # milliseconds: 1 microsecond to 2.8 hours


def _edges() -> NDArray[np.float64]:
    edges = [LEAST]
    while edges[-1] < GREATEST:
        edges.append(edges[-1] * GROWTH)
    return np.array(edges)


EDGES = _edges()
BINS = len(EDGES) - 1
REPRESENTATIVE = np.concatenate(([0.0], 2 * EDGES[:-1] * EDGES[1:] / (EDGES[:-1] + EDGES[1:]), [np.inf]))
"""Of each cell: below LEAST, the bins, above GREATEST. Results are clipped to the exact minimum and maximum."""


class Latency:
    name = "latency"
    anchored = False

    def fields(self, layout: Layout) -> Sequence[Field]:
        return (
            Field("counts", np.int32, (BINS + 2,)),
            Field("n", np.int64),
            Field("invalid", np.int64),
            Field("sum", np.float64),
            Field("min", np.float64, merge="min"),
            Field("max", np.float64, merge="max"),
        )

    def add(
        self,
        state: State,
        batch: EventBatch,
        rows: NDArray[np.int64],
        slots: NDArray[np.int32],
        reference: NDArray[np.int32],
        references: References,
    ) -> None:
        _add(
            batch.floats,
            rows,
            slots,
            EDGES,
            state["counts"],
            state["n"],
            state["invalid"],
            state["sum"],
            state["min"],
            state["max"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[Distribution]]:
        state, n = closed.state, closed.state["n"]
        cumulative = np.cumsum(state["counts"], axis=1, dtype=np.int64)
        columns = []
        for q in (50, 95, 99):
            rank = np.floor(q / 100 * np.maximum(n - 1, 0)).astype(np.int64)
            cell = np.argmax(cumulative > rank[:, None], axis=1)
            value = np.clip(REPRESENTATIVE[cell], state["min"], state["max"])
            columns.append(column(f"latency.p{q}", np.where(n > 0, value, np.nan), n))
        columns.append(column("latency.mean", ratio(state["sum"], n), n))
        columns.append(column("latency.max", np.where(n > 0, state["max"], np.nan), n))
        columns.append(column("latency.invalid", state["invalid"], closed.n))
        return columns, []


@kernel
def _add(floats, rows, slots, edges, counts, n, invalid, total, least, greatest):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for j in range(len(rows)):
        slot = slots[j]
        x = floats[rows[j], LATENCY_MS]
        if np.isnan(x):
            continue
        if x < 0 or np.isinf(x):
            invalid[slot] += 1
            continue
        counts[slot, 1 + bin_index(edges, BINS, x)] += 1
        n[slot] += 1
        total[slot] += x
        least[slot] = min(least[slot], x)
        greatest[slot] = max(greatest[slot], x)
