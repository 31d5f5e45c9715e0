"""Predictions: class counts, score histogram, entropy and top probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streammon.core.aggregates.base import Closed, Field, Placed, State, column, ratio
from streammon.core.baseline import SCORE_BINS, Layout
from streammon.core.compiled import SEED, hash_bytes, kernel, same_bytes
from streammon.core.events import PREDICTION, PROBS, SCORE
from streammon.core.measures import CellCounts, Column, Edges

UNSEEN = "unseen"  # label of the predictions that are no class of the baseline

# In decimals: a score that is one of them but for rounding may lie on either side.
_SCORE_EDGES = np.arange(1, SCORE_BINS)[None, None] / SCORE_BINS


class Prediction:
    name = "prediction"
    anchored = False

    def fields(self, layout: Layout) -> Sequence[Field]:
        score = (Field("score_counts", np.int32, (SCORE_BINS,)), Field("score_invalid", np.int64))
        if not layout.classes:
            return score
        return (
            *score,
            Field("class_counts", np.int64, (len(layout.classes) + 1,)),  # the last: unseen
            Field("with_probs", np.int64),
            Field("probs_invalid", np.int64),
            Field("entropy", np.float64),
            Field("top_probability", np.float64),
        )

    def add(self, state: State, placed: Placed) -> None:
        _add_score(placed.batch.floats, placed.rows, placed.slots, state["score_counts"], state["score_invalid"])
        if "class_counts" not in state:
            return
        _add_class(
            placed.batch.buffer,
            placed.batch.string_start,
            placed.batch.string_length,
            placed.rows,
            placed.slots,
            placed.references.class_bytes,
            placed.references.class_start,
            placed.references.class_length,
            placed.references.class_hash,
            state["class_counts"],
        )
        _add_probs(
            placed.batch.list_start,
            placed.batch.list_length,
            placed.batch.values,
            placed.rows,
            placed.slots,
            state["with_probs"],
            state["probs_invalid"],
            state["entropy"],
            state["top_probability"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
        state, names = closed.state, closed.layout.classes
        columns = [column("prediction.score_invalid", state["score_invalid"], closed.n)]
        distributions = []
        compared = bool(closed.reference.all())  # windows of one call agree on having a baseline
        if compared:
            counts = state["score_counts"].astype(np.int64)[:, None, :]
            reference = closed.references.score_counts[closed.reference][:, None, :]
            groups = closed.references.score_groups[closed.reference][:, None, :]
            edges = Edges(_SCORE_EDGES, np.zeros_like(closed.reference))
            distributions.append(CellCounts("prediction.score_", None, counts, reference, groups, edges))
        if not names:
            return columns, distributions
        counts, with_probs = state["class_counts"], state["with_probs"]
        predicted = counts.sum(axis=1)
        n = np.broadcast_to(predicted[:, None], (len(counts), len(names)))
        columns += [
            column("prediction.entropy", ratio(state["entropy"], with_probs), with_probs),
            column("prediction.top_probability", ratio(state["top_probability"], with_probs), with_probs),
            column("prediction.probs_invalid", state["probs_invalid"], closed.n),
            Column("prediction.class_share", ratio(counts[:, :-1], n), n, names),
            column("prediction.unseen_rate", ratio(counts[:, -1], predicted), predicted),
        ]
        if compared:
            reference = closed.references.class_counts[closed.reference][:, None, :]
            cells = np.broadcast_to(np.arange(counts.shape[1], dtype=np.int32), reference.shape)
            distributions.append(
                CellCounts("prediction.class_", None, counts[:, None, :], reference, cells, labels=(*names, UNSEEN))
            )
        return columns, distributions


@kernel
def _add_score(floats, rows, slots, counts, invalid):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for j in range(len(rows)):
        slot = slots[j]
        x = floats[rows[j], SCORE]
        if np.isnan(x):
            continue
        if 0.0 <= x <= 1.0:
            counts[slot, min(int(x * SCORE_BINS), SCORE_BINS - 1)] += 1
        else:
            invalid[slot] += 1


@kernel
def _add_class(buffer, string_start, string_length, rows, slots, names, name_start, name_length, hashes, counts):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    classes = len(name_start)
    for j in range(len(rows)):
        i = rows[j]
        length = string_length[i, PREDICTION]
        if length < 0:
            continue
        start = string_start[i, PREDICTION]
        h = hash_bytes(buffer, start, length, SEED)
        found = classes
        for c in range(classes):  # to the end, without branches: there may be a thousand classes
            found = c if hashes[c] == h else found
        if found < classes and not (
            name_length[found] == length and same_bytes(names, name_start[found], buffer, start, length)
        ):
            found = classes
        counts[slots[j], found] += 1


@kernel
def _add_probs(list_start, list_length, values, rows, slots, with_probs, invalid, entropy, top_probability):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for j in range(len(rows)):
        i, slot = rows[j], slots[j]
        length = list_length[i, PROBS]
        if length == 0:
            continue
        start = list_start[i, PROBS]
        top, valid = 0.0, True
        for k in range(start, start + length):
            valid &= 0.0 <= values[k] <= 1.0  # false for NaN
            top = values[k] if values[k] > top else top
        if not valid:
            invalid[slot] += 1
            continue
        bits = 0.0
        for k in range(start, start + length):
            if values[k] > 0.0:
                bits -= values[k] * np.log(values[k])
        with_probs[slot] += 1
        entropy[slot] += bits
        top_probability[slot] += top
