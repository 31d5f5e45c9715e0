"""Panes: where the state of open and sealed panes lives, and of blocks merged from them.

One store per layout (names of features and classes, embedding dimension): models that share a layout share arrays. A
pane is a row (slot) of its store; rows are reused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.core.aggregates import AGGREGATES
from streammon.core.aggregates.base import Placed, References, State, merge, zero
from streammon.core.baseline import FINE_BINS, SCORE_BINS, Baseline, Layout
from streammon.core.compiled import hash_text
from streammon.core.events import EventBatch
from streammon.core.timeline import NONE, ONE, SEVERAL, PaneTable

BARE = Layout()
"""The layout of what needs no names; aggregates whose state is the same under it merge across layouts."""


class Store:
    """State of the panes of one layout, and the baselines of that layout as tables."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.baselines: list[Baseline | None] = [None]  # by row of `references`; row 0 is "no baseline"
        self.references = stack(layout, self.baselines)
        self.fields = {aggregate.name: aggregate.fields(layout) for aggregate in AGGREGATES}
        self.state = {name: zero(fields, 0) for name, fields in self.fields.items()}
        self.reference = np.zeros(0, np.int32)  # [slots] row of `references`
        self._free: list[int] = []

    def row(self, baseline: Baseline) -> int:
        """The row of a baseline in `references`, added at need."""
        for row, known in enumerate(self.baselines):
            if known is not None and known.content_hash == baseline.content_hash:
                return row
        self.baselines.append(baseline)
        self.references = stack(self.layout, self.baselines)
        return len(self.baselines) - 1

    def take(self, reference: int) -> int:
        """An empty slot."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self.reference[slot] = reference
        return slot

    def release(self, slot: int) -> None:
        """Empty a slot for reuse."""
        for name, fields in self.fields.items():
            for f in fields:
                self.state[name][f.name][slot] = f.zero
        self._free.append(slot)

    @property
    def nbytes(self) -> int:
        """Of the arrays, free slots included; baselines are not."""
        arrays = [array for state in self.state.values() for array in state.values()]
        return self.reference.nbytes + sum(array.nbytes for array in arrays)

    def add(self, batch: EventBatch, rows: NDArray[np.int64], slots: NDArray[np.int32]) -> None:
        """Add event rows to slots, in order."""
        placed = Placed(batch, rows, slots, self.reference, self.references)
        for aggregate in AGGREGATES:
            if self.fields[aggregate.name]:
                aggregate.add(self.state[aggregate.name], placed)

    def _grow(self) -> None:
        old = len(self.reference)
        more = max(old // 2, 16)
        for name, fields in self.fields.items():
            for f in fields:  # one at a time: of the greatest, old and new are there at once
                room = zero((f,), old + more)[f.name]
                room[:old] = self.state[name][f.name]
                self.state[name][f.name] = room
        self.reference = np.concatenate((self.reference, np.zeros(more, np.int32)))
        self._free = list(range(old + more - 1, old - 1, -1))


class Panes:
    """Live panes by id, and the stores that hold their aggregates."""

    def __init__(self) -> None:
        self.stores: list[Store] = []
        self.bare = stack(BARE, [None])
        self.table = empty_table(0)
        self.baselines: list[frozenset[str | None]] = []  # by id: of its baselines; None: some had none
        self._stamps: list[list[str | None]] = []  # by id: the first data_hash and git_commit that are not null
        self._free: list[int] = []
        self._released: list[int] = []  # but not free yet
        self._unmerged: dict[int, Sequence[int]] = {}  # combined panes, and of which

    def open(self, number: int, layout: Layout, baseline: Baseline | None) -> int:
        """A new empty pane; returns its id."""
        kind = self._store(layout)
        row = 0 if baseline is None else self.stores[kind].row(baseline)
        return self._take(number, kind, row, frozenset((_id(baseline),)))

    def combine(self, parts: Sequence[Sequence[int]]) -> list[int]:
        """New panes, each of others, in their order; those stay as they are. Aggregates follow with `merge`."""
        made = [self._room_for(ids) for ids in parts]
        self._unmerged.update(zip(made, parts, strict=True))
        return made

    def merge(self) -> None:
        """Merge the aggregates of panes that were combined, those of which others are made first."""
        depth: dict[int, int] = {}
        for pane, parts in self._unmerged.items():  # in the order in which they were combined
            depth[pane] = max((depth[part] + 1 for part in parts if part in depth), default=0)
        jobs: dict[tuple[int, int, bool], list[int]] = {}
        for pane, level in depth.items():
            key = level, int(self.table.store[pane]), bool(self.table.baseline[pane] >= 0)
            jobs.setdefault(key, []).append(pane)
        for (_, kind, anchored), panes in sorted(jobs.items()):
            store = self.stores[kind]
            state = merged(self.stores, self.table, [self._unmerged[pane] for pane in panes], anchored, store.layout)
            slots = self.table.slot[panes]
            for name, fields in state.items():
                for field, array in fields.items():
                    store.state[name][field][slots] = array
        self._unmerged = {}

    def restore(self, number: int, layout: Layout, baselines: Sequence[Baseline | None], anchored: bool, n: int) -> int:
        """A pane or block as it was captured, but for its aggregates and stamps."""
        kind = self._store(layout)
        first = baselines[0]
        row = -1 if not anchored else 0 if first is None else self.stores[kind].row(first)
        pane = self._take(number, kind, row, frozenset(map(_id, baselines)))
        self.table.n[pane] = n
        return pane

    def _room_for(self, parts: Sequence[int]) -> int:
        table = self.table
        stores = {int(store) for store in table.store[parts]}
        rows = {int(row) for row in table.baseline[parts]}
        kind = stores.pop() if len(stores) == 1 else self._store(BARE)
        anchored = not stores and len(rows) == 1
        baselines = frozenset().union(*(self.baselines[pane] for pane in parts))
        stamps = [self.stamp(parts, k) for k in range(2)]
        n = int(table.n[parts].sum())
        pane = self._take(int(table.number[parts[0]]), kind, rows.pop() if anchored else -1, baselines)
        self.table.n[pane] = n
        for k, (text, is_mixed) in enumerate(stamps):
            if text is not None:
                self.set_stamp(pane, k, text)
            if is_mixed:
                self.table.stamps[pane, k] = SEVERAL
        return pane

    def _take(self, number: int, kind: int, row: int, baselines: frozenset[str | None]) -> int:
        if not self._free:
            old = len(self.table.n)
            more = max(old, 16)
            held: tuple[Any, ...] = self.table
            fresh: tuple[Any, ...] = empty_table(more)
            self.table = PaneTable(*(np.concatenate(pair) for pair in zip(held, fresh, strict=True)))
            self._stamps += [[None, None] for _ in range(more)]
            self.baselines += [frozenset()] * more
            self._free = list(range(old + more - 1, old - 1, -1))
        pane = self._free.pop()
        table = self.table
        table.number[pane], table.n[pane] = number, 0
        table.store[pane], table.baseline[pane] = kind, row
        table.slot[pane] = self.stores[kind].take(max(row, 0))
        table.stamps[pane] = NONE
        self._stamps[pane] = [None, None]
        self.baselines[pane] = baselines
        return pane

    def set_stamp(self, pane: int, k: int, text: str) -> None:
        """The first data_hash (k = 0) or git_commit (k = 1) of a pane."""
        self.table.stamp[pane, k] = hash_text(text)
        self.table.stamps[pane, k] = ONE
        self._stamps[pane][k] = text

    def release(self, pane: int) -> None:
        """Forget a pane; what is merged of it can still be, until `free`."""
        self._released.append(pane)

    def free(self) -> None:
        """Reuse what has been released."""
        for pane in self._released:
            self.stores[self.table.store[pane]].release(int(self.table.slot[pane]))
            self.table.n[pane] = 0
            self._stamps[pane] = [None, None]
        self._free += self._released
        self._released = []

    def __len__(self) -> int:
        """Live panes."""
        return len(self.table.n) - len(self._free)

    @property
    def nbytes(self) -> int:
        """Of the arrays, rows that are free included."""
        return sum(array.nbytes for array in self.table) + sum(store.nbytes for store in self.stores)

    def layout(self, pane: int) -> Layout:
        store: Store = self.stores[self.table.store[pane]]
        return store.layout

    def stamp(self, panes: Sequence[int], k: int) -> tuple[str | None, bool]:
        """The data_hash (k = 0) or git_commit (k = 1) of the panes' events; (None, True) where there are several."""
        values = {text for pane in panes if (text := self._stamps[pane][k]) is not None}
        if len(values) > 1 or (self.table.stamps[panes, k] == SEVERAL).any():
            return None, True
        return next(iter(values), None), False

    def state(self, pane: int) -> dict[str, NDArray[Any]]:
        """Views of a pane's arrays, by "aggregate.field"."""
        store, slot = self.stores[self.table.store[pane]], self.table.slot[pane]
        return {
            f"{name}.{field}": array[slot, ...]
            for name, fields in store.state.items()
            for field, array in fields.items()
        }

    def _store(self, layout: Layout) -> int:
        for kind, store in enumerate(self.stores):
            if store.layout == layout:
                return kind
        self.stores.append(Store(layout))
        return len(self.stores) - 1


def _id(baseline: Baseline | None) -> str | None:
    return None if baseline is None else baseline.baseline_id


def empty_table(n: int) -> PaneTable:
    """Rows for n panes."""
    return PaneTable(
        number=np.zeros(n, np.int64),
        store=np.zeros(n, np.int32),
        slot=np.zeros(n, np.int32),
        baseline=np.zeros(n, np.int32),
        n=np.zeros(n, np.int64),
        stamp=np.zeros((n, 2), np.uint64),
        stamps=np.zeros((n, 2), np.uint8),
    )


def merged(
    stores: Sequence[Store], table: PaneTable, windows: Sequence[Sequence[int]], anchored: bool, layout: Layout
) -> dict[str, State]:
    """State of windows, each given as its panes' ids in order of pane number, by aggregate, arrays [W, ...].

    Panes of one layout: all aggregates; of several (`layout` is BARE): those that need no names. Panes of one baseline:
    all; of several (`anchored` False): those that do not depend on it. A window may hold no pane at all.
    """
    panes = np.array([pane for window in windows for pane in window], np.intp)
    window = np.repeat(np.arange(len(windows)), [len(w) for w in windows])
    is_one_each = np.array_equal(window, np.arange(len(windows)))
    kinds = np.unique(table.store[panes])
    out: dict[str, State] = {}
    for aggregate in AGGREGATES:
        fields = aggregate.fields(layout)
        everywhere = all(set(fields) <= set(stores[kind].fields[aggregate.name]) for kind in kinds)
        if not fields or not everywhere or (aggregate.anchored and not anchored):
            continue
        gathered = {f.name: np.empty((len(panes), *f.shape), f.dtype) for f in fields}
        for kind in kinds:
            of_kind = table.store[panes] == kind
            slots = table.slot[panes[of_kind]]
            for f in fields:
                gathered[f.name][of_kind] = stores[kind].state[aggregate.name][f.name][slots]
        out[aggregate.name] = gathered if is_one_each else merge(fields, gathered, window, len(windows))
    return out


def stack(layout: Layout, baselines: Sequence[Baseline | None]) -> References:
    """Baselines of one layout as tables; None is "no baseline"."""
    rows, width, classes = len(baselines), len(layout.features), len(layout.classes)
    names = [name.encode() for name in layout.classes]
    length = np.array([len(name) for name in names], np.int32)
    references = References(
        edges=np.full((rows, width, FINE_BINS + 1), np.inf),
        bins=np.zeros((rows, width), np.int32),
        counts=np.zeros((rows, width, FINE_BINS + 2), np.int64),
        groups=np.zeros((rows, width, FINE_BINS + 2), np.int32),
        anchors=np.zeros((rows, width + 1)),
        class_counts=np.zeros((rows, classes + 1), np.int64),
        score_counts=np.zeros((rows, SCORE_BINS), np.int64),
        score_groups=np.zeros((rows, SCORE_BINS), np.int32),
        class_bytes=np.frombuffer(b"".join(names), np.uint8).copy(),
        class_start=np.concatenate(([0], np.cumsum(length)[:-1])).astype(np.int64)
        if classes
        else np.zeros(0, np.int64),
        class_length=length,
        class_hash=np.array([hash_text(name) for name in layout.classes], np.uint64),
    )
    for row, baseline in enumerate(baselines):
        if baseline is None:
            continue
        references.edges[row] = baseline.edges
        references.bins[row] = baseline.bins
        references.counts[row] = baseline.counts
        references.groups[row] = baseline.groups
        references.anchors[row] = np.nan_to_num(baseline.mean)  # NaN: no finite value in the reference
        references.class_counts[row] = baseline.class_counts
        references.score_counts[row] = baseline.score_counts
        references.score_groups[row] = baseline.score_groups
    return references
