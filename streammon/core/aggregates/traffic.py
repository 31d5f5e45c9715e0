"""Traffic: counts by class of status, and time-outs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.core.aggregates.base import Closed, Field, References, State, column, ratio
from streammon.core.baseline import Layout
from streammon.core.compiled import kernel
from streammon.core.events import HTTP_STATUS, TIMED_OUT, EventBatch
from streammon.core.measures import Column, Distribution


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
        )

    def add(
        self,
        state: State,
        batch: EventBatch,
        rows: NDArray[np.int64],
        slots: NDArray[np.int32],
        reference: NDArray[np.int32],
        references: References,
    ) -> None:
        _add(
            batch.ints,
            rows,
            slots,
            state["with_status"],
            state["errors_4xx"],
            state["errors_5xx"],
            state["invalid_status"],
            state["timeouts"],
        )

    def result(self, closed: Closed) -> tuple[list[Column], list[Distribution]]:
        state, n = closed.state, closed.n
        with_status = state["with_status"]
        return [
            column("traffic.count", n, n),
            column("traffic.qps", n / closed.seconds, n),
            column("traffic.rate_4xx", ratio(state["errors_4xx"], with_status), with_status),
            column("traffic.rate_5xx", ratio(state["errors_5xx"], with_status), with_status),
            column("traffic.invalid_status", state["invalid_status"], n),
            column("traffic.timeout_rate", ratio(state["timeouts"], n), n),
        ], []


@kernel
def _add(ints, rows, slots, with_status, errors_4xx, errors_5xx, invalid_status, timeouts):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
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
