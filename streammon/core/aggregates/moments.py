"""Moments of features and score: power sums anchored at the baseline's mean, in float64.

Anchoring keeps the variance of values far from zero (float64 sums of x^2 at mean 1e6 and sd 1 lose it; of (x -
anchor)^2 they do not). Without a baseline the anchor is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streammon.core.aggregates.base import Closed, Field, Placed, State, ratio
from streammon.core.baseline import HUGE, Layout
from streammon.core.compiled import kernel
from streammon.core.events import FEATURES, SCORE
from streammon.core.measures import CellCounts, Column


class Moments:
    name = "moments"
    anchored = True

    def fields(self, layout: Layout) -> Sequence[Field]:
        width = len(layout.features) + 1  # the score is the last
        return (
            Field("n", np.int64, (width,)),
            Field("sum", np.float64, (width,)),
            Field("sum_squares", np.float64, (width,)),
        )

    def add(self, state: State, placed: Placed) -> None:
        _add(
            placed.batch.floats,
            placed.batch.list_start,
            placed.batch.list_length,
            placed.batch.values,
            placed.rows,
            placed.slots,
            placed.reference,
            placed.references.anchors,
            state["n"],
            state["sum"],
            state["sum_squares"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
        n, total = closed.state["n"], closed.state["sum"]
        anchors = closed.references.anchors[closed.reference]
        shift = ratio(total, n)  # of the mean from the anchor
        mean = anchors + shift
        squares = np.maximum(closed.state["sum_squares"] - total * shift, 0.0)
        variance = np.where(n > 1, ratio(squares, n - 1), np.nan)
        score = [
            Column("prediction.score_mean", mean[:, -1:], n[:, -1:]),
            Column("prediction.score_sd", np.sqrt(variance[:, -1:]), n[:, -1:]),
        ]
        names = closed.layout.features
        if not names:
            return score, []
        features = [
            Column("feature.mean", mean[:, :-1], n[:, :-1], names),
            Column("feature.variance", variance[:, :-1], n[:, :-1], names),
            Column("feature.sd", np.sqrt(variance[:, :-1]), n[:, :-1], names),
        ]
        return score + features, []


@kernel
def _add(floats, list_start, list_length, values, rows, slots, reference, anchors, n, total, squares):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    score = n.shape[1] - 1
    for j in range(len(rows)):
        i, slot = rows[j], slots[j]
        row = reference[slot]
        x = floats[i, SCORE]
        if abs(x) <= HUGE:  # false for NaN
            d = x - anchors[row, score]
            n[slot, score] += 1
            total[slot, score] += d
            squares[slot, score] += d * d
        # Arrays of one dimension and no branches: only so is the loop vectorised, and takes a seventh of the time.
        start, width = list_start[i, FEATURES], min(list_length[i, FEATURES], score)
        features, anchor = values[start : start + width], anchors[row]
        n_, total_, squares_ = n[slot], total[slot], squares[slot]
        for f in range(width):
            finite = abs(features[f]) <= HUGE
            d = features[f] - anchor[f] if finite else 0.0
            n_[f] += finite
            total_[f] += d
            squares_[f] += d * d
