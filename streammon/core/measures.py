"""Columns of measurements: the common result of aggregates and drift tests, [windows] or [windows, features]."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Distribution(NamedTuple):
    """Counts that drift tests compare with a reference: W windows, F features, K cells.

    `ordinal` cells are in order of value, with a map to quantile groups; nominal cells (classes) are compared as they
    are.
    """

    prefix: str  # "feature.", "prediction.score_", "prediction.class_"
    features: tuple[str, ...] | None
    current: NDArray[np.int64]  # [W, F, K]
    reference: NDArray[np.int64]  # [W, F, K]
    groups: NDArray[np.int32]  # [W, F, K] group of each cell, 0 .. GROUPS - 1; nominal: cell number
    ordinal: bool


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
