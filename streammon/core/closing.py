"""Closed windows: what is known of each, and their panes merged, many windows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from streammon.core.aggregates.base import Closed
from streammon.core.outputs import BaselineState, Series, WindowSpec
from streammon.core.panes import BARE, Panes, merged
from streammon.core.plan import Policy

PANES_AT_ONCE = 4_096  # that are gathered to be merged; of many long windows, all panes would be the whole state again


class Header(NamedTuple):
    """What is known of a closed window besides its aggregates."""

    partition: int
    closing_position: int
    series: Series
    spec: WindowSpec
    start: int
    n: int
    n_late: int
    baseline_id: str | None
    baseline_state: BaselineState
    data_hash: str | None
    git_commit: str | None
    mixed: bool
    policy: Policy

    @property
    def order(self) -> tuple[int, int, int, WindowSpec, Series]:
        """Within a commit: by partition, closing position, window end, window spec, series."""
        return self.partition, self.closing_position, self.start + self.spec.size, self.spec, self.series


class ClosedGroup(NamedTuple):
    """Windows that closed together and hold the same aggregates, one row each."""

    headers: list[Header]
    aggregates: dict[str, Closed]  # by aggregate name


class Closing(NamedTuple):
    """A window that is due, with the ids of the blocks of panes that it is made of, in order; none if it is empty."""

    header: Header
    panes: list[int]


class _Kind(NamedTuple):
    """Windows of one kind hold the same aggregates."""

    store: int  # of all panes; -1 where they lie in several
    anchored: bool  # all panes are built on one baseline, or on none
    compared: bool  # they are built on a baseline


def grouped(panes: Panes, windows: Sequence[Closing]) -> list[ClosedGroup]:
    """Windows by kind, merged together."""
    kinds: dict[_Kind, list[Closing]] = {}
    for window in windows:
        kinds.setdefault(_kind(panes, window.panes), []).append(window)
    return [_merged(panes, kind, block) for kind, members in kinds.items() for block in _blocks(members)]


def _blocks(windows: Sequence[Closing]) -> Iterator[Sequence[Closing]]:
    """Runs of windows with PANES_AT_ONCE panes in all, at most; of one window, if it has more."""
    low = count = 0
    for high, window in enumerate(windows):
        count += len(window.panes)
        if count > PANES_AT_ONCE and high > low:
            yield windows[low:high]
            low, count = high, len(window.panes)
    yield windows[low:]


def _kind(panes: Panes, held: list[int]) -> _Kind:
    stores = {int(store) for store in panes.table.store[held]}
    rows = {int(row) for row in panes.table.baseline[held]}
    same = len(stores) == 1 and len(rows) == 1 and rows != {-1}
    return _Kind(stores.pop() if len(stores) == 1 else -1, same, same and rows != {0})


def _merged(panes: Panes, kind: _Kind, windows: Sequence[Closing]) -> ClosedGroup:
    store = panes.stores[kind.store] if kind.store >= 0 else None
    layout = store.layout if store else BARE
    references = store.references if store else panes.bare
    held = [window.panes for window in windows]
    headers = [window.header for window in windows]
    reference = np.array([panes.table.baseline[ids[0]] if kind.compared else 0 for ids in held], np.int32)
    n = np.array([header.n for header in headers])
    seconds = np.array([header.spec.size / 1e6 for header in headers])
    state = merged(panes.stores, panes.table, held, kind.anchored, layout)
    return ClosedGroup(
        headers, {name: Closed(fields, reference, references, n, seconds, layout) for name, fields in state.items()}
    )
