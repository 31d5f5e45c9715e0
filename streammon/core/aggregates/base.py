"""What an aggregate is, and the algebra that all of them share.

The state of an aggregate is a dict of arrays with one row per slot (a slot holds one pane). Which arrays, of which
type and shape, and how two rows merge, is *declared*: so zero, merge, snapshot and restore come free, and an
aggregate only writes `add` (a compiled loop over events) and `result`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from streammon.core import bottom_k
from streammon.core.baseline import Layout
from streammon.core.events import EventBatch
from streammon.core.measures import CellCounts, Column

State = Mapping[str, NDArray[Any]]
"""Arrays by field name, each [slots, *shape]."""


class Field(NamedTuple):
    """One array of an aggregate's state: dtype and shape of a row, how rows merge, what an empty row holds."""

    name: str
    dtype: DTypeLike
    shape: tuple[int, ...] = ()
    merge: Literal["sum", "min", "max", "bottom_k"] = "sum"  # bottom_k: int64 [k, 2], see core/bottom_k.py

    @property
    def zero(self) -> float | NDArray[np.int64]:
        """What an empty row holds; broadcast to `shape`."""
        return bottom_k.EMPTY if self.merge == "bottom_k" else {"sum": 0, "min": np.inf, "max": -np.inf}[self.merge]


class References(NamedTuple):
    """Baselines of one layout as stacked tables; row 0 is "no baseline". R rows, F features, C classes, E edges."""

    edges: NDArray[np.float64]  # [R, F, E] fine bins (core/baseline.py); unused where bins is 0
    bins: NDArray[np.int32]  # [R, F]; 0 without a baseline
    counts: NDArray[np.int64]  # [R, F, E + 1]
    groups: NDArray[np.int32]  # [R, F, E + 1]
    anchors: NDArray[
        np.float64
    ]  # [R, F + 1] means to which power sums are anchored, the score's last; 0 without a baseline
    class_counts: NDArray[np.int64]  # [R, C + 1]
    score_counts: NDArray[np.int64]  # [R, SCORE_BINS]
    score_groups: NDArray[np.int32]  # [R, SCORE_BINS]
    class_bytes: NDArray[np.uint8]  # names of the layout's classes, one behind the other
    class_start: NDArray[np.int64]  # [C] into class_bytes
    class_length: NDArray[np.int32]  # [C]
    class_hash: NDArray[np.uint64]  # [C] hash_text of the names


class Placed(NamedTuple):
    """What `add` sees: events, and the slots that they go to."""

    batch: EventBatch
    rows: NDArray[np.int64]  # [j] of the batch, in the order in which they are added
    slots: NDArray[np.int32]  # [j] of the state
    reference: NDArray[np.int32]  # [slots of the state] row of `references`
    references: References


class Closed(NamedTuple):
    """What `result` sees: W windows of one layout."""

    state: State  # arrays [W, *shape]
    reference: NDArray[np.int32]  # [W] row of `references`
    references: References
    n: NDArray[np.int64]  # [W] events
    seconds: NDArray[np.float64]  # [W] window sizes
    layout: Layout


class Aggregate(Protocol):
    """Mergeable statistics of a pane, the same under any batching: integer counts, or float64 sums in event order."""

    name: str
    anchored: bool  # state depends on the baseline, so panes of different baselines cannot be merged

    def fields(self, layout: Layout) -> Sequence[Field]:
        """The state's arrays; empty where the layout leaves nothing to aggregate."""

    def add(self, state: State, placed: Placed) -> None:
        """Add each event to its slot, in order, in place."""

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
        """Statistics of windows, and the distributions that the drift suite compares, where there is a baseline."""


def zero(fields: Sequence[Field], slots: int) -> dict[str, NDArray[Any]]:
    """State of empty slots. Sums take no memory before they are used: zeros are mapped, not written."""
    return {f.name: _empty(f, (slots, *f.shape)) for f in fields}


def _empty(field: Field, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.zeros(shape, field.dtype) if field.merge == "sum" else np.full(shape, field.zero, field.dtype)


def merge(fields: Sequence[Field], panes: State, window: NDArray[np.intp], windows: int) -> dict[str, NDArray[Any]]:
    """Rows of `panes` folded, in their order, into the window that `window` names for each. Leaves its inputs alone."""
    out = zero(fields, windows)
    for f in fields:
        _FOLD[f.merge](out[f.name], window, panes[f.name])
    return out


_FOLD: Mapping[str, Callable[[NDArray[Any], NDArray[np.intp], NDArray[Any]], None]] = {
    "sum": np.add.at,
    "min": np.minimum.at,
    "max": np.maximum.at,
    "bottom_k": bottom_k.fold,
}
"""fold(out, window, panes): fold panes[j] into out[window[j]], for j in order, in place."""


def column(name: str, value: NDArray[Any], n: NDArray[np.int64]) -> Column:
    """A statistic that is not per feature, from arrays [W]."""
    return Column(name, value.astype(np.float64)[:, None], n[:, None])


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """part / whole, NaN where whole is not positive."""
    known = whole > 0
    return np.where(known, part / np.where(known, whole, 1), np.nan)
