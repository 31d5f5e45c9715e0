"""Kullback-Leibler divergence from the reference."""

from __future__ import annotations

from torch import Tensor

from streammon.core.drift.description import Cells, DriftTest, Result
from streammon.core.drift.groups import Table


def kl(current: Tensor, reference: Tensor) -> tuple[Result]:
    """KL(current ‖ reference) = sum p ln (p / q) over the smoothed shares, nats; rounding below 0 is cut off.

    Not symmetric, and tools differ in the direction: this one is large where the current data have what the reference
    lacks. Kullback and Leibler, On information and sufficiency, Ann. Math. Stat. 22 (1), 1951.
    """
    table = Table.of(current, reference)
    p, q = table.shares()
    return (Result(table.total(p * (p / q).log()).clamp(min=0.0)),)


KL = DriftTest(("kl",), "kl_current_reference.{cells}.smooth", Cells.GROUPS, kl)
