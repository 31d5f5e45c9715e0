"""Collects the events of one model version, batch by batch, into the columns that a baseline is built from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from streammon.baselines.build import build
from streammon.core.baseline import Baseline
from streammon.core.errors import Code, UsageError
from streammon.core.events import (
    DATA_HASH,
    EMBEDDING,
    FEATURES,
    GIT_COMMIT,
    MODEL_ID,
    MODEL_VERSION,
    PREDICTION,
    SCORE,
    TS,
    EventBatch,
)

_NAMED = 5  # models or versions that an error message names


class Collector:
    """Takes batches, keeps the rows of one model, then builds. Holds one float64 per feature and event.

    A null version reads as "". Without `version` the model must have one only.
    """

    def __init__(self, model_id: str, version: str | None = None, feature_names: Sequence[str] = ()) -> None:
        self._model_id = model_id
        self._version = version
        self._feature_names = tuple(feature_names)
        self._seen = 0
        self._created_at: int | None = None
        self._scores: list[NDArray[np.float64]] = []  # [k] each
        self._features: list[NDArray[np.float64]] = []  # [k, F] each
        self._models: Counter[str] = Counter()  # other models, until an event of ours is found
        self._versions: Counter[str] = Counter()
        self._feature_lengths: Counter[int] = Counter()
        self._embedding_lengths: Counter[int] = Counter()
        self._classes: Counter[str] = Counter()
        self._data_hashes: set[str | None] = set()
        self._git_commits: set[str | None] = set()

    @property
    def n(self) -> int:
        """Events kept so far."""
        return sum(map(len, self._scores))

    def add(self, batch: EventBatch) -> None:
        """Keep the batch's rows of the model (and version). Copies what it keeps."""
        rows = np.flatnonzero(batch.code == Code.OK)
        self._seen += len(rows)
        ours = rows[_equal(batch, rows, MODEL_ID, self._model_id)]
        if len(ours) == 0:
            if not self._versions and len(self._models) <= _NAMED:
                self._models.update({name or "": count for name, count in _tally(batch, rows, MODEL_ID).items()})
            return
        self._versions.update({name or "": count for name, count in _tally(batch, ours, MODEL_VERSION).items()})
        if self._version is not None:
            keep = _equal(batch, ours, MODEL_VERSION, self._version)
            if self._version == "":
                keep |= batch.string_length[ours, MODEL_VERSION] < 0
            ours = ours[keep]
            if len(ours) == 0:
                return
        self._keep(batch, ours)

    def _keep(self, batch: EventBatch, rows: NDArray[np.int64]) -> None:
        greatest = int(batch.ints[rows, TS].max())
        self._created_at = greatest if self._created_at is None else max(self._created_at, greatest)
        self._scores.append(batch.floats[rows, SCORE])
        self._data_hashes |= _tally(batch, rows, DATA_HASH).keys()
        self._git_commits |= _tally(batch, rows, GIT_COMMIT).keys()
        self._classes.update({k: v for k, v in _tally(batch, rows, PREDICTION).items() if k is not None})
        self._embedding_lengths.update(_lengths(batch, rows, EMBEDDING))
        lengths = _lengths(batch, rows, FEATURES)
        self._feature_lengths.update(lengths)
        if lengths and len(self._feature_lengths) == 1:  # several: refused in the end
            (width,) = lengths
            recorded = rows[batch.list_length[rows, FEATURES] > 0]
            self._features.append(sliding_window_view(batch.values, width)[batch.list_start[recorded, FEATURES]])

    def build(self) -> Baseline:
        """The baseline of what was collected."""
        version = self._only_version()
        features = _only_length(self._feature_lengths, f"features of model {self._model_id!r}, version {version!r}")
        embedding = _only_length(self._embedding_lengths, f"embedding of model {self._model_id!r}, version {version!r}")
        width = features or len(self._feature_names)
        return build(
            model_id=self._model_id,
            model_version=version,
            features=np.concatenate([np.empty((0, width)), *self._features]),
            scores=np.concatenate([np.empty(0), *self._scores]),
            classes=self._classes,
            created_at=self._created_at or 0,
            feature_names=self._feature_names,
            embedding=embedding,
            data_hash=_if_only(self._data_hashes),
            git_commit=_if_only(self._git_commits),
        )

    def _only_version(self) -> str:
        if not self._versions:
            there = f"; there are {_some(self._models)}" if self._models else ""
            raise UsageError(
                f"no event of model {self._model_id!r} among {self._seen} events{there}: check --model and the range"
            )
        if self._version is None:
            if len(self._versions) > 1:
                raise UsageError(
                    f"model {self._model_id!r} has {len(self._versions)} versions here, {_some(self._versions)}: "
                    "choose one with --version"
                )
            return next(iter(self._versions))
        if self._version not in self._versions:
            raise UsageError(
                f"no event of version {self._version!r} of model {self._model_id!r}; there are "
                f"{_some(self._versions)}: check --version and the range"
            )
        return self._version


def _windows(batch: EventBatch, rows: NDArray[np.int64], column: int, length: int) -> NDArray[np.uint8]:
    """[rows, length] the bytes of strings that all have this length, > 0."""
    found: NDArray[np.uint8] = sliding_window_view(batch.buffer, length)[batch.string_start[rows, column]]
    return found


def _equal(batch: EventBatch, rows: NDArray[np.int64], column: int, text: str) -> NDArray[np.bool_]:
    """[rows] whether the string in a column is `text`."""
    wanted = np.frombuffer(text.encode(), np.uint8)
    equal = batch.string_length[rows, column] == len(wanted)
    if len(wanted) and equal.any():
        equal[equal] = (_windows(batch, rows[equal], column, len(wanted)) == wanted).all(axis=1)
    return np.asarray(equal)


def _tally(batch: EventBatch, rows: NDArray[np.int64], column: int) -> dict[str | None, int]:
    """How often each string of a column occurs, None for null."""
    lengths = batch.string_length[rows, column]
    counts: dict[str | None, int] = {}
    for length in np.unique(lengths).tolist():
        group = rows[lengths == length]
        if length <= 0:
            counts[None if length < 0 else ""] = len(group)
            continue
        cells = _windows(batch, group, column, length)
        if (cells == cells[0]).all():  # most columns hold one string: no need to sort
            counts[batch.text(int(group[0]), column)] = len(group)
            continue
        packed = cells.view(f"S{length}").ravel()  # of one length, so trailing NULs do not matter
        _, first, times = np.unique(packed, return_index=True, return_counts=True)
        counts |= {batch.text(int(group[i]), column): int(k) for i, k in zip(first, times, strict=True)}
    return counts


def _lengths(batch: EventBatch, rows: NDArray[np.int64], column: int) -> dict[int, int]:
    """How often each length of a list occurs; length 0 (not recorded) left out."""
    lengths, times = np.unique(batch.list_length[rows, column], return_counts=True)
    return {int(length): int(k) for length, k in zip(lengths, times, strict=True) if length > 0}


def _only_length(lengths: Counter[int], what: str) -> int:
    if len(lengths) > 1:
        found = ", ".join(f"{length} ({times} events)" for length, times in sorted(lengths.items())[:_NAMED])
        raise UsageError(f"{what}: lists of different lengths, {found}: choose a range with one length")
    return next(iter(lengths), 0)


def _if_only(values: set[str | None]) -> str | None:
    """The value that all events agree on; None where they do not."""
    return next(iter(values)) if len(values) == 1 else None


def _some(names: Iterable[str]) -> str:
    """A few names, in order, for a message."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(map(repr, ordered[:_NAMED])) + more
