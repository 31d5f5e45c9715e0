"""Builds a baseline from columns: a pure function, and the order of events does not change its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streammon.baselines.bins import cell_groups, fine_counts, fine_edges, quantile_groups
from streammon.baselines.content import CELLS, EDGES, content_hash, identify
from streammon.core.baseline import HUGE, SCORE_BINS, Baseline
from streammon.core.errors import UsageError

MIN_EVENTS = 100
"""Without any drift, 100 events against 100 exceed a PSI of a third in one window of twenty."""


def build(
    *,
    model_id: str,
    model_version: str,
    features: NDArray[np.float64],
    scores: NDArray[np.float64],
    classes: Mapping[str, int],
    created_at: int,
    feature_names: Sequence[str] = (),
    embedding: int = 0,
    data_hash: str | None = None,
    git_commit: str | None = None,
) -> Baseline:
    """The baseline of the n events that `scores` [n] belongs to (NaN: no score).

    `features` [m, F] has one row per event that recorded features, m <= n, NaN where a value is missing; names default
    to f0, f1, ... `classes` is the number of events by predicted class, `created_at` the greatest ts of the events in
    microseconds, `embedding` the dimension of their embeddings.
    """
    n, (rows, width) = len(scores), features.shape
    if n < MIN_EVENTS:
        raise UsageError(
            f"baseline of model {model_id!r}, version {model_version!r}: {n} events are too few, at least {MIN_EVENTS} "
            "are needed: take a longer range"
        )
    names = tuple(feature_names) or tuple(f"f{i}" for i in range(width))
    if len(names) != width:
        raise UsageError(f"features of model {model_id!r}: {len(names)} names for {width} values: name each once")
    if len(set(names)) != width:
        raise UsageError(f"features of model {model_id!r}: a name is used twice: name each feature differently")

    edges = np.full((width, EDGES), np.inf)
    bins = np.zeros(width, np.int32)
    counts = np.zeros((width, CELLS), np.int64)
    groups = np.zeros((width, CELLS), np.int32)
    missing = np.zeros(width, np.int64)
    finite = np.zeros(width, np.int64)
    mean, variance = np.zeros(width + 1), np.full(width + 1, np.nan)
    for f in range(width):
        values = _ordered(features[:, f])
        found = fine_edges(values)
        bins[f] = max(len(found) - 1, 0)
        edges[f, : len(found)] = found
        counts[f] = fine_counts(values, edges[f])
        groups[f] = cell_groups(counts[f], int(bins[f]))
        missing[f] = np.isnan(features[:, f]).sum()
        finite[f] = len(values)
        mean[f], variance[f] = _moments(values)
    mean[width], variance[width] = _moments(_ordered(scores))
    score_counts = _score_counts(scores)
    class_names = tuple(sorted(classes))

    baseline = Baseline(
        baseline_id="",
        model_id=model_id,
        model_version=model_version,
        data_hash=data_hash,
        git_commit=git_commit,
        created_at=int(created_at),
        content_hash="",
        n=n,
        feature_names=names,
        class_names=class_names,
        embedding=int(embedding),
        edges=edges,
        bins=bins,
        counts=counts,
        groups=groups,
        missing=missing,
        non_finite=rows - missing - finite,
        mean=mean,
        variance=variance,
        class_counts=np.array([*(classes[name] for name in class_names), 0], np.int64),
        score_counts=score_counts,
        score_groups=quantile_groups(score_counts),
    )
    content = content_hash(baseline)
    return replace(baseline, content_hash=content, baseline_id=identify(model_id, model_version, content))


def _ordered(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Finite values, none beyond HUGE, in ascending order: what is computed from them forgets the order of events."""
    return np.sort(values[np.abs(values) <= HUGE].astype(np.float64))


def _moments(ordered: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and variance (n - 1) of finite values in ascending order; 0 without values, NaN below two values.

    The mean is an anchor, so it is always finite.
    """
    n = len(ordered)
    if n == 0:
        return 0.0, np.nan
    mean = np.clip(ordered.sum() / n, ordered[0], ordered[-1])  # rounding would give a constant feature a variance
    squares = np.square(ordered - mean).sum()
    return float(mean), float(squares / (n - 1)) if n > 1 else np.nan


def _score_counts(scores: NDArray[np.float64]) -> NDArray[np.int64]:
    """[SCORE_BINS] scores in [0, 1] by bin."""
    inside = scores[(scores >= 0) & (scores <= 1)]
    cells = np.minimum((inside * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    return np.bincount(cells, minlength=SCORE_BINS).astype(np.int64)
