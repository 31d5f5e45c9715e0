"""Feature histograms: counts in the baseline's fine bins, with tails, missing and non-finite values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streammon.core.aggregates.base import Closed, Field, Placed, State, ratio
from streammon.core.baseline import FINE_BINS, HUGE, Layout
from streammon.core.compiled import bin_indices, kernel
from streammon.core.events import FEATURES
from streammon.core.measures import CellCounts, Column, Edges


class Histogram:
    name = "histogram"
    anchored = True

    def fields(self, layout: Layout) -> Sequence[Field]:
        if not layout.features:
            return ()
        width = len(layout.features)
        return (
            Field("rows", np.int64),  # events with features
            Field("counts", np.int32, (width, FINE_BINS + 2)),
            Field("below", np.float64, (width,)),  # sum of x - first edge over the underflow cell: exact tails for W1
            Field("above", np.float64, (width,)),  # sum of x - last edge over the overflow cell
            Field("missing", np.int64, (width,)),
            Field("non_finite", np.int64, (width,)),
        )

    def add(self, state: State, placed: Placed) -> None:
        _add(
            placed.batch.list_start,
            placed.batch.list_length,
            placed.batch.values,
            placed.rows,
            placed.slots,
            placed.reference,
            placed.references.edges,
            placed.references.bins,
            state["rows"],
            state["counts"],
            state["below"],
            state["above"],
            state["missing"],
            state["non_finite"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
        state, names = closed.state, closed.layout.features
        if not names:
            return [], []
        rows = np.broadcast_to(state["rows"][:, None], state["missing"].shape)
        columns = [
            Column("feature.missing_rate", ratio(state["missing"], rows), rows, names),
            Column("feature.non_finite_rate", ratio(state["non_finite"], rows), rows, names),
        ]
        if not closed.reference.all():  # windows of one call agree on having a baseline
            return columns, []
        counts = state["counts"].astype(np.int64)
        finite = counts.sum(axis=2)
        cell = np.arange(counts.shape[2])
        outside = (cell == 0) | (cell > closed.references.bins[closed.reference][:, :, None])
        out_of_range = np.where(outside, counts, 0).sum(axis=2)
        columns.append(Column("feature.out_of_range_rate", ratio(out_of_range, finite), finite, names))
        compared = CellCounts(
            "feature.",
            names,
            counts,
            closed.references.counts[closed.reference],
            closed.references.groups[closed.reference],
            Edges(closed.references.edges, closed.reference),
        )
        return columns, [compared]


@kernel
def _add(  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    list_start,
    list_length,
    values,
    rows,
    slots,
    reference,
    edges,
    bins,
    with_features,
    counts,
    below,
    above,
    missing,
    non_finite,
):
    width = counts.shape[1]
    bin_of = np.empty(width, np.int64)
    for j in range(len(rows)):
        i, slot = rows[j], slots[j]
        if list_length[i, FEATURES] == 0:
            continue
        with_features[slot] += 1
        row = reference[slot]
        start = list_start[i, FEATURES]
        features = values[start : start + width]
        bin_indices(edges[row], features, bin_of)
        for f in range(width):
            x, b = features[f], bin_of[f]
            if np.isnan(x):
                missing[slot, f] += 1
            elif abs(x) > HUGE:
                non_finite[slot, f] += 1
            elif bins[row, f] > 0:
                counts[slot, f, b + 1] += 1
                if b < 0:
                    below[slot, f] += x - edges[row, f, 0]
                elif b == bins[row, f]:
                    above[slot, f] += x - edges[row, f, b]
