"""Traffic: counts by class of status, time-outs, and records whose key is not the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from streammon.core.aggregates.base import Closed, Field, Placed, State, column, ratio
from streammon.core.baseline import Layout
from streammon.core.compiled import kernel
from streammon.core.events import HTTP_STATUS, KEY_DIFFERS, KEY_NULL, TIMED_OUT
from streammon.core.measures import CellCounts, Column


class Traffic:
    name = "traffic"
    anchored = False

    def fields(self, layout: Layout) -> Sequence[Field]:
        return (
            Field("with_status", np.int64),
            Field("errors_4xx", np.int64),
            Field("errors_5xx", np.int64),
            Field("invalid_status", np.int64),
            Field("timeouts", np.int64),
            Field("key_null", np.int64),
            Field("key_differs", np.int64),
        )

    def add(self, state: State, placed: Placed) -> None:
        _add(
            placed.batch.ints,
            placed.batch.key,
            placed.rows,
            placed.slots,
            state["with_status"],
            state["errors_4xx"],
            state["errors_5xx"],
            state["invalid_status"],
            state["timeouts"],
            state["key_null"],
            state["key_differs"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[CellCounts]]:
        state, n = closed.state, closed.n
        with_status = state["with_status"]
        return [
            column("traffic.count", n, n),
            column("traffic.qps", n / closed.seconds, n),
            column("traffic.rate_4xx", ratio(state["errors_4xx"], with_status), with_status),
            column("traffic.rate_5xx", ratio(state["errors_5xx"], with_status), with_status),
            column("traffic.invalid_status", state["invalid_status"], n),
            column("traffic.timeout_rate", ratio(state["timeouts"], n), n),
            column("traffic.key_null_rate", ratio(state["key_null"], n), n),
            column("traffic.key_mismatch_rate", ratio(state["key_differs"], n), n),
        ], []


@kernel
def _add(  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    ints, key, rows, slots, with_status, errors_4xx, errors_5xx, invalid_status, timeouts, key_null, key_differs
):
    for j in range(len(rows)):
        i, slot = rows[j], slots[j]
        status = ints[i, HTTP_STATUS]
        if 100 <= status < 600:
            with_status[slot] += 1
            if 400 <= status < 500:
                errors_4xx[slot] += 1
            elif status >= 500:
                errors_5xx[slot] += 1
        elif status != 0:
            invalid_status[slot] += 1
        if ints[i, TIMED_OUT]:
            timeouts[slot] += 1
        if key[i] == KEY_NULL:
            key_null[slot] += 1
        elif key[i] == KEY_DIFFERS:
            key_differs[slot] += 1
