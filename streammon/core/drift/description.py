"""What a drift test is: a frozen description around a plain function on tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from torch import Tensor


class Cells(Enum):
    """Which counts a test compares."""

    FINE = "fine"  # ordered by value, as fine as the baseline has them; nominal distributions have none
    GROUPS = "groups"  # the baseline's quantile groups; of a nominal distribution every cell


class Result(NamedTuple):
    """One statistic of W windows x F features: each tensor is [W, F], float64 (`low_n`: bool). NaN: none here."""

    value: Tensor
    effect: Tensor | None = None
    p: Tensor | None = None
    low_n: Tensor | None = None


@dataclass(frozen=True, slots=True)
class DriftTest:
    """`compute(current, reference)` takes counts [W, F, K], whole numbers in float64: one result per statistic.

    A (window, feature) must depend on its own K counts alone, down to the last bit, and where either side is empty
    every number is NaN. Cells that are zero on both sides are padding and must not count.
    """

    statistics: tuple[str, ...]  # names behind the prefix: "psi" becomes "feature.psi"
    method: str  # definition; "{cells}" becomes fine | 10groups | classes, and the class of device is appended
    cells: Cells
    compute: Callable[[Tensor, Tensor], tuple[Result, ...]]
    symmetric: bool = False  # claims that swapping the sides leaves value and effect as they are, but for rounding
