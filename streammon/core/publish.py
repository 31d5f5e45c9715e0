"""Closed windows to metric events: aggregates' results and the drift suite's, all windows of a commit at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise, repeat
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streammon.core.aggregates import AGGREGATES
from streammon.core.closing import ClosedGroup, Header
from streammon.core.measures import CellCounts, Column, Distributions
from streammon.core.outputs import Measurement, MetricEvent, metric_event_id
from streammon.core.plan import Plan


class DriftSuite(Protocol):
    """What runs the drift tests (core/suite.py): all windows at once, one list of columns per distribution."""

    def run(self, distributions: Sequence[CellCounts]) -> list[list[Column]]: ...


class Measured(NamedTuple):
    """A closed window with its metric event, and what an alert about it may show besides."""

    header: Header
    event: MetricEvent
    distributions: Distributions


def metric_events(plan: Plan, groups: Iterable[ClosedGroup], suite: DriftSuite) -> list[Measured]:
    """Metric events in the order of a commit."""
    groups = list(groups)
    columns: list[list[Column]] = []  # by group
    distributions: list[CellCounts] = []
    ends = [0]
    for group in groups:
        columns.append([])
        for aggregate in AGGREGATES:
            if aggregate.name in group.aggregates:
                statistics, drift = aggregate.result(group.aggregates[aggregate.name])
                columns[-1] += statistics
                distributions += drift
        ends.append(len(distributions))
    tested = suite.run(distributions)
    events = []
    for group, found, (low, high) in zip(groups, columns, pairwise(ends), strict=True):
        families = list(dict.fromkeys(_family(column) for column in found))
        found.sort(key=lambda column: families.index(_family(column)))
        found += [column for test in tested[low:high] for column in test]
        rows = [_measurements(column) for column in found]
        compared = zip(distributions[low:high], tested[low:high], strict=True)
        behind = {column.name: counts for counts, test in compared for column in test}
        for w, header in enumerate(group.headers):
            event = _event(plan, header, tuple(m for row in rows for m in row[w]))
            events.append(Measured(header, event, Distributions(behind, w)))
    return sorted(events, key=lambda measured: measured.header.order)


def _event(plan: Plan, header: Header, measurements: tuple[Measurement, ...]) -> MetricEvent:
    return MetricEvent(
        event_id=metric_event_id(plan.topic, header.partition, header.series, header.spec, header.start, 0),
        topic=plan.topic,
        partition=header.partition,
        series=header.series,
        spec=header.spec,
        start=header.start,
        revision=0,
        n=header.n,
        n_late=header.n_late,
        closing_position=header.closing_position,
        plan_hash=plan.hash,
        policy_hash=header.policy.hash,
        baseline_id=header.baseline_id,
        baseline_state=header.baseline_state,
        data_hash=header.data_hash,
        git_commit=header.git_commit,
        mixed=header.mixed,
        measurements=measurements,
    )


def _family(column: Column) -> str:
    return column.name.partition(".")[0]


def _measurements(column: Column) -> list[list[Measurement]]:
    """By window, then by feature. Every window has hundreds of them: they are made in C loops."""
    features = column.features or (None,)
    windows, wide = len(column.value), len(features)
    nothing: repeat[None] = repeat(None)
    fields = zip(
        repeat(column.name),
        _finite(column.value),
        features * windows,
        nothing if column.effect is None else _finite(column.effect),
        nothing if column.p is None else _finite(column.p),
        column.n.ravel().tolist(),
        nothing,  # n_eff
        nothing if column.reference_n is None else column.reference_n.ravel().tolist(),
        nothing,  # threshold
        nothing,  # mde
        repeat(column.method),
        _flags(column),
    )
    flat: Iterator[Measurement] = map(tuple.__new__, repeat(Measurement), fields)  # its own __new__ is a call in Python
    return [list(islice(flat, wide)) for _ in range(windows)]


def _finite(array: NDArray[np.float64]) -> Sequence[float | None]:
    """[W x F] None where it is not."""
    values: list[float] = array.ravel().tolist()
    if np.isfinite(array).all():
        return values
    return [x if math.isfinite(x) else None for x in values]


def _flags(column: Column) -> Iterable[str | None]:
    """[W x F] why a number is missing or weak."""
    if column.low_n is None and np.isfinite(column.value).all():
        return repeat(None)
    nothing = column.n == 0 if column.reference_n is None else (column.n == 0) | (column.reference_n == 0)
    low = np.zeros(column.value.shape, np.bool_) if column.low_n is None else column.low_n
    return map(_flag, column.value.ravel().tolist(), nothing.ravel().tolist(), low.ravel().tolist())


def _flag(value: float, empty: bool, low_n: bool) -> str | None:
    """Why a number is missing or weak."""
    if math.isnan(value):
        return "empty" if empty else "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return "low_n" if low_n else None
