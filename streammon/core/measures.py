"""Columns of measurements: the common result of aggregates and drift tests, [windows] or [windows, features]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core.outputs import Distribution, Measurement


class Edges(NamedTuple):
    """Between neighbouring cells: rows of a table, so that nothing is copied for windows that nobody asks about."""

    table: NDArray[np.float64]  # [R, F, K - 1]
    row: NDArray[np.int32]  # [W]


class CellCounts(NamedTuple):
    """Counts that drift tests compare with a reference: W windows, F features, K cells.

    Ordinal cells are in order of value, with edges between them and a map to quantile groups; nominal cells (classes)
    have labels and are compared as they are.
    """

    prefix: str  # "feature.", "prediction.score_", "prediction.class_"
    features: tuple[str, ...] | None
    current: NDArray[np.int64]  # [W, F, K]
    reference: NDArray[np.int64]  # [W, F, K]
    groups: NDArray[np.int32]  # [W, F, K] group of each cell, 0 .. GROUPS - 1 in runs; nominal: cell number
    edges: Edges | None = None  # None: nominal
    labels: tuple[str, ...] = ()  # [K] of nominal cells

    @property
    def ordinal(self) -> bool:
        return self.edges is not None

    def distribution(self, window: int, feature: int) -> Distribution:
        """Of one window and feature, by group."""
        ends = np.flatnonzero(np.diff(self.groups[window, feature]))  # the last cell of each group but the last
        starts = np.concatenate(([0], ends + 1))
        both = (self.current[window, feature], self.reference[window, feature])
        current, reference = (tuple(np.add.reduceat(counts, starts).tolist()) for counts in both)
        bounds = self.edges.table[self.edges.row[window], feature, ends].tolist() if self.edges else ()
        return Distribution(self.prefix.rstrip("._"), tuple(bounds), self.labels, current, reference)


class Distributions(NamedTuple):
    """The distributions behind the measurements of one window; each is worked out when an alert asks for it."""

    counts: Mapping[str, CellCounts] = {}  # by name of the measurement
    window: int = 0

    def behind(self, measurement: Measurement) -> Distribution | None:
        """What the measurement compares with the baseline; None where it compares nothing."""
        counts = self.counts.get(measurement.name)
        if counts is None:
            return None
        feature = 0 if counts.features is None else counts.features.index(measurement.feature or "")
        return counts.distribution(self.window, feature)


@dataclass(frozen=True, slots=True)
class Column:
    """One statistic of W windows: arrays are [W, F], with F = 1 and `features` None where it is not per feature.

    NaN in an optional array means "none here". A NaN value is published as null with a flag.
    """

    name: str
    value: NDArray[np.float64]
    n: NDArray[np.int64]
    features: tuple[str, ...] | None = None
    effect: NDArray[np.float64] | None = None
    p: NDArray[np.float64] | None = None
    reference_n: NDArray[np.int64] | None = None
    low_n: NDArray[np.bool_] | None = None
    method: str | None = None
