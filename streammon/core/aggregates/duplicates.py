"""Duplicates: requests that are reported more than once, from a bottom-k sample of the ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streammon.core.aggregates.base import Closed, Field, Placed, State, column, ratio
from streammon.core.baseline import Layout
from streammon.core.bottom_k import FREE, count_in, sample_hash
from streammon.core.compiled import kernel
from streammon.core.events import REQ_ID
from streammon.core.measures import CellCounts, Column

IDS = 64  # in the sample of a pane; 1 kB


class Duplicates:
    name = "duplicates"
    anchored = False

    def fields(self, layout: Layout) -> Sequence[Field]:
        return (Field("sample", np.int64, (IDS, 2), merge="bottom_k"),)

    def add(self, state: State, placed: Placed) -> None:
        batch = placed.batch
        _add(batch.buffer, batch.string_start, batch.string_length, placed.rows, placed.slots, state["sample"])

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
        sample = closed.state["sample"]
        ids = (sample[:, :, 0] != FREE).sum(axis=1)
        events = sample[:, :, 1].sum(axis=1)
        return [column("traffic.duplicate_rate", ratio(events - ids, events), events)], []


@kernel
def _add(buffer, string_start, string_length, rows, slots, sample):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for j in range(len(rows)):
        i = rows[j]
        length = string_length[i, REQ_ID]
        if length > 0:  # an id that is null or empty says nothing
            count_in(sample[slots[j]], sample_hash(buffer, string_start[i, REQ_ID], length), 1)
