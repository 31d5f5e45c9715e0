"""What a baseline consists of, array by array: its content hash, and the check that its parts fit together.

Compiled kernels index with these arrays and check no bounds, so whatever comes from a file passes `problem` first.
"""

from __future__ import annotations

import json
from dataclasses import fields
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core.baseline import FINE_BINS, GROUPS, SCORE_BINS, Baseline

EDGES = FINE_BINS + 1
CELLS = EDGES + 1


class ArrayType(NamedTuple):
    """Dtype and shape of one array of a baseline."""

    dtype: np.dtype[np.generic]
    shape: tuple[int, ...]


def array_types(features: int, classes: int) -> dict[str, ArrayType]:
    """The arrays of a baseline of `features` features and `classes` classes, by field name."""
    f8, i8, i4 = (np.dtype(t) for t in (np.float64, np.int64, np.int32))
    return {
        "edges": ArrayType(f8, (features, EDGES)),
        "bins": ArrayType(i4, (features,)),
        "counts": ArrayType(i8, (features, CELLS)),
        "groups": ArrayType(i4, (features, CELLS)),
        "missing": ArrayType(i8, (features,)),
        "non_finite": ArrayType(i8, (features,)),
        "mean": ArrayType(f8, (features + 1,)),
        "variance": ArrayType(f8, (features + 1,)),
        "class_counts": ArrayType(i8, (classes + 1,)),
        "score_counts": ArrayType(i8, (SCORE_BINS,)),
        "score_groups": ArrayType(i4, (SCORE_BINS,)),
    }


ARRAYS = tuple(array_types(0, 0))
DERIVED = ("baseline_id", "content_hash")
SCALARS = tuple(f.name for f in fields(Baseline) if f.name not in (*ARRAYS, *DERIVED))


def arrays_of(baseline: Baseline) -> dict[str, NDArray[np.generic]]:
    """The arrays by field name, contiguous and little-endian, so that their bytes are the same everywhere."""
    found = {name: np.asarray(getattr(baseline, name)) for name in ARRAYS}
    return {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in found.items()}


def content_hash(baseline: Baseline) -> str:
    """BLAKE2b, 16 bytes in hex, over all but `baseline_id` and `content_hash`, each part behind its length."""
    scalars = {name: getattr(baseline, name) for name in SCALARS}
    parts = [json.dumps(scalars, sort_keys=True, separators=(",", ":")).encode()]
    for name, array in arrays_of(baseline).items():
        parts += [json.dumps([name, array.dtype.str, array.shape]).encode(), array.tobytes()]
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def identify(model_id: str, model_version: str, content: str) -> str:
    """The baseline's id: readable, and different for different content.

    >>> identify("fraud", "3", "0123456789abcdef0123456789abcdef")
    'fraud@3#0123456789ab'
    """
    return f"{model_id}@{model_version}#{content[:12]}"


def problem(baseline: Baseline) -> str | None:
    """What is wrong with a baseline, in words; None where everything fits."""
    names, classes = baseline.feature_names, baseline.class_names
    if len(set(names)) != len(names):
        return "feature names repeat"
    if list(classes) != sorted(set(classes)):
        return "class names are not sorted, or repeat"
    if baseline.n < 0 or baseline.embedding < 0:
        return "n or embedding is negative"
    for name, (dtype, shape) in array_types(len(names), len(classes)).items():
        array = getattr(baseline, name)
        if (array.dtype, array.shape) != (dtype, shape):
            return f"{name} is {array.dtype} {list(array.shape)} and not {dtype} {list(shape)}"
    for feature, name in enumerate(names):
        found = _feature_problem(baseline, feature)
        if found:
            return f"feature {name}: {found}"
    tallies = (baseline.missing, baseline.non_finite, baseline.class_counts, baseline.score_counts)
    if any((tally < 0).any() for tally in tallies):
        return "a count is negative"
    if not _contiguous(baseline.score_groups):
        return "score groups out of range or out of order"
    if not np.isfinite(baseline.mean).all():  # power sums are anchored at it
        return "a mean is not finite"
    return None


def _feature_problem(baseline: Baseline, feature: int) -> str | None:
    bins, edges, counts = int(baseline.bins[feature]), baseline.edges[feature], baseline.counts[feature]
    if not 0 <= bins <= FINE_BINS:
        return f"{bins} bins and not 0 to {FINE_BINS}"
    used = edges[: bins + 1] if bins else edges[:0]
    # The last edge alone may be inf: where the reference holds the greatest float there is.
    if not (np.isfinite(used[:-1]).all() and (used[1:] > used[:-1]).all() and (edges[len(used) :] == np.inf).all()):
        return "edges are not strictly increasing, or not padded with inf"
    if (counts < 0).any() or counts[0] or counts[bins + 1 :].any():
        return "counts are negative, or outside the bins"
    if not _contiguous(baseline.groups[feature]):
        return "groups out of range or out of order"
    return None


def _contiguous(groups: NDArray[np.int32]) -> bool:
    """Whether groups are runs numbered 0, 1, ... with at most GROUPS of them."""
    return bool(groups[0] == 0 and groups[-1] < GROUPS and np.isin(np.diff(groups), (0, 1)).all())
