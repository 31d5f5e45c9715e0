"""How much memory the state of a partition takes at most, from the plan and what the aggregates declare.

    (series x (1 + roll-ups) + 1) x live panes of a series x bytes of a pane         one more series: `__other__`

Arrays grow by half, but memory that no pane has used yet is not taken from the system.
"""

from __future__ import annotations

from math import prod

import numpy as np

from streammon.core.aggregates import AGGREGATES
from streammon.core.baseline import Layout
from streammon.core.panes import empty_table
from streammon.core.plan import Plan


def pane_bytes(layout: Layout) -> int:
    """Bytes of one live pane of a series with this layout.

    >>> pane_bytes(Layout()) < pane_bytes(Layout(features=("age",)))
    True
    """
    fields = [field for aggregate in AGGREGATES for field in aggregate.fields(layout)]
    table = sum(array.nbytes for array in empty_table(1))
    return table + sum(np.dtype(field.dtype).itemsize * prod(field.shape) for field in fields)


def state_bytes(plan: Plan, layout: Layout, series: int | None = None) -> int:
    """Most bytes that the panes of one partition take with `series` series (the plan's limit) of this layout."""
    count = plan.max_series if series is None else series
    return (count * (1 + len(plan.rollups)) * pane_bytes(layout) + pane_bytes(Layout())) * plan.live_panes
