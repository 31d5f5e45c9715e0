"""Predictions: class counts, score histogram, entropy and top probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.core.aggregates.base import Closed, Field, References, State, column, ratio
from streammon.core.baseline import HUGE, SCORE_BINS, Layout
from streammon.core.compiled import kernel, same_bytes
from streammon.core.events import PREDICTION, PROBS, SCORE, EventBatch
from streammon.core.measures import Column, Distribution


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
            Field("entropy", np.float64),
            Field("top_probability", np.float64),
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
        _add_score(batch.floats, rows, slots, state["score_counts"], state["score_invalid"])
        if "class_counts" not in state:
            return
        _add_class(
            batch.buffer,
            batch.string_start,
            batch.string_length,
            rows,
            slots,
            references.class_bytes,
            references.class_start,
            references.class_length,
            state["class_counts"],
        )
        _add_probs(
            batch.list_start,
            batch.list_length,
            batch.values,
            rows,
            slots,
            state["with_probs"],
            state["entropy"],
            state["top_probability"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[Distribution]]:
        state, names = closed.state, closed.layout.classes
        columns = [column("prediction.score_invalid", state["score_invalid"], closed.n)]
        distributions = []
        compared = bool(closed.reference.all())  # windows of one call agree on having a baseline
        if compared:
            counts = state["score_counts"].astype(np.int64)[:, None, :]
            reference = closed.references.score_counts[closed.reference][:, None, :]
            groups = closed.references.score_groups[closed.reference][:, None, :]
            distributions.append(Distribution("prediction.score_", None, counts, reference, groups, ordinal=True))
        if not names:
            return columns, distributions
        counts, with_probs = state["class_counts"], state["with_probs"]
        predicted = counts.sum(axis=1)
        n = np.broadcast_to(predicted[:, None], (len(counts), len(names)))
        columns += [
            column("prediction.entropy", ratio(state["entropy"], with_probs), with_probs),
            column("prediction.top_probability", ratio(state["top_probability"], with_probs), with_probs),
            Column("prediction.class_share", ratio(counts[:, :-1], n), n, names),
            column("prediction.unseen_rate", ratio(counts[:, -1], predicted), predicted),
        ]
        if compared:
            reference = closed.references.class_counts[closed.reference][:, None, :]
            cells = np.broadcast_to(np.arange(counts.shape[1], dtype=np.int32), reference.shape)
            distributions.append(
                Distribution("prediction.class_", None, counts[:, None, :], reference, cells, ordinal=False)
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
def _add_class(buffer, string_start, string_length, rows, slots, names, name_start, name_length, counts):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    classes = len(name_start)
    for j in range(len(rows)):
        i = rows[j]
        length = string_length[i, PREDICTION]
        if length < 0:
            continue
        start = string_start[i, PREDICTION]
        found = classes
        for c in range(classes):
            if name_length[c] == length and same_bytes(names, name_start[c], buffer, start, length):
                found = c
                break
        counts[slots[j], found] += 1


@kernel
def _add_probs(list_start, list_length, values, rows, slots, with_probs, entropy, top_probability):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for j in range(len(rows)):
        i, slot = rows[j], slots[j]
        length = list_length[i, PROBS]
        if length == 0:
            continue
        start = list_start[i, PROBS]
        bits, top, finite = 0.0, -np.inf, True
        for k in range(start, start + length):
            p = values[k]
            if not abs(p) <= HUGE:
                finite = False
                break
            top = max(top, p)
            if p > 0:
                bits -= p * np.log(p)
        if finite:
            with_probs[slot] += 1
            entropy[slot] += bits
            top_probability[slot] += top
