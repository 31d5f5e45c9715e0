"""A baseline: the frozen reference of one model version, as plain arrays.

Layout of fine bins. Feature f has `bins[f]` half-open bins [edges[f, b], edges[f, b + 1]), b = 0 .. bins[f] - 1,
between two out-of-range cells. A value that repeats (an atom) has a bin [v, nextafter(v)) of its own. The last edge
is the float after the greatest reference value, so that value lies inside. Rows are padded with +inf.

Cells, in this order, K = E + 1 of them where E is the width of `edges`: 0 underflow, 1 .. bins fine bins,
`bins + 1` overflow, then padding. Missing and non-finite values are no cells.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

FINE_BINS = 256
GROUPS = 10
SCORE_BINS = 100  # equal width on [0, 1]; a score of 1 belongs to the last
HUGE = 1e100  # a greater magnitude counts as non-finite: its square would poison sums


@dataclass(frozen=True, slots=True)
class Layout:
    """Names and shapes of a model's state: from baseline or settings, never from events. Empty: not aggregated."""

    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    embedding: int = 0  # dimension

    @property
    def digest(self) -> str:
        """Tells layouts apart in the changelog: BLAKE2b, 8 bytes, in hex."""
        return _digest(self)


@cache
def _digest(layout: Layout) -> str:
    names = json.dumps([layout.features, layout.classes, layout.embedding])
    return blake2b(names.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Baseline:
    """Reference statistics of (model_id, model_version) over `n` events, all lanes together."""

    baseline_id: str
    model_id: str
    model_version: str
    data_hash: str | None
    git_commit: str | None
    created_at: int  # microseconds: greatest ts in the reference, so that the same data give the same bytes
    content_hash: str  # BLAKE2b of the arrays and of the other fields
    n: int
    feature_names: tuple[str, ...]  # F
    class_names: tuple[str, ...]  # C
    embedding: int  # dimension
    edges: NDArray[np.float64]  # [F, E], E = FINE_BINS + 1
    bins: NDArray[np.int32]  # [F]
    counts: NDArray[np.int64]  # [F, E + 1] reference counts by cell
    groups: NDArray[np.int32]  # [F, E + 1] the quantile group (0 .. GROUPS - 1) of each cell
    missing: NDArray[np.int64]  # [F]
    non_finite: NDArray[np.int64]  # [F]
    mean: NDArray[np.float64]  # [F + 1] of finite values; the last is the score. Anchors of the power sums
    variance: NDArray[np.float64]  # [F + 1] with n - 1
    class_counts: NDArray[np.int64]  # [C + 1] the last: unseen, 0 in a reference
    score_counts: NDArray[np.int64]  # [SCORE_BINS]
    score_groups: NDArray[np.int32]  # [SCORE_BINS]

    @property
    def layout(self) -> Layout:
        return Layout(self.feature_names, self.class_names, self.embedding)
