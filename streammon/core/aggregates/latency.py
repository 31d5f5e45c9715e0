"""Latency: a log-spaced histogram whose quantiles are within 1 % of the value, with exact mean and maximum.

Bins grow by 2 %: an order statistic x in [e, 1.02 e) reads as the harmonic mean of the edges, at most 0.99 % off (the
bound of DDSketch: Masson, Rim and Lee, VLDB 2019). Edges are made by multiplication, not by `pow`, so they are the
same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.core.aggregates.base import Closed, Field, Placed, State, column, ratio
from streammon.core.baseline import HUGE, Layout
from streammon.core.compiled import kernel
from streammon.core.events import LATENCY_MS
from streammon.core.measures import CellCounts, Column

LEAST, GREATEST, GROWTH = 1e-3, 1e7, 1.02  # milliseconds: 1 microsecond to 2.8 hours


def _edges() -> NDArray[np.float64]:
    edges = [LEAST]
    while edges[-1] < GREATEST:
        edges.append(edges[-1] * GROWTH)
    return np.array(edges)


EDGES = _edges()
BINS = len(EDGES) - 1
STEP = 64 - 12 - 6  # bits of a float64 below its first six of the fraction: between powers of two, 64 equal steps
_step_of_edge = EDGES.view(np.int64) >> STEP
FIRST_STEP = int(_step_of_edge[0])
_steps = (np.arange(FIRST_STEP, _step_of_edge[-1] + 1) << STEP).view(np.float64)
BIN_OF_STEP = np.maximum(np.searchsorted(EDGES, _steps, side="right") - 1, 0)
"""The bin in which each step begins. A step is shorter than a bin (1.6 % at most), so it ends there or in the next."""
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

    def add(self, state: State, placed: Placed) -> None:
        _add(
            placed.batch.floats,
            placed.batch.floats.view(np.int64),
            placed.rows,
            placed.slots,
            EDGES,
            BIN_OF_STEP,
            state["counts"],
            state["n"],
            state["invalid"],
            state["sum"],
            state["min"],
            state["max"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
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
def _add(floats, bits, rows, slots, edges, bin_of_step, counts, n, invalid, total, least, greatest):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for j in range(len(rows)):
        slot = slots[j]
        x = floats[rows[j], LATENCY_MS]
        if np.isnan(x):
            continue
        if not 0.0 <= x <= HUGE:
            invalid[slot] += 1
            continue
        if x < LEAST:
            cell = 0
        elif x >= edges[BINS]:
            cell = BINS + 1
        else:
            b = bin_of_step[(bits[rows[j], LATENCY_MS] >> STEP) - FIRST_STEP]
            cell = 1 + b + (edges[b + 1] <= x)
        counts[slot, cell] += 1
        n[slot] += 1
        total[slot] += x
        least[slot] = min(least[slot], x)
        greatest[slot] = max(greatest[slot], x)
