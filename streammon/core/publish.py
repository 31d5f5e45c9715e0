"""Closed windows to metric events: aggregates' results and the drift suite's, all windows of a commit at once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple, Protocol

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
    """The measurements of one column: by window, then by feature."""
    features: Sequence[str | None] = column.features or (None,)
    value, n = column.value.tolist(), column.n.tolist()
    effect, p, reference_n, low_n = (
        None if array is None else array.tolist()
        for array in (column.effect, column.p, column.reference_n, column.low_n)
    )
    return [
        [
            Measurement(
                name=column.name,
                value=_finite(value[w][f]),
                feature=feature,
                effect=None if effect is None else _finite(effect[w][f]),
                p=None if p is None else _finite(p[w][f]),
                n=n[w][f],
                reference_n=None if reference_n is None else reference_n[w][f],
                method=column.method,
                flag=_flag(
                    value[w][f],
                    n[w][f] == 0 or (reference_n is not None and reference_n[w][f] == 0),
                    low_n is not None and low_n[w][f],
                ),
            )
            for f, feature in enumerate(features)
        ]
        for w in range(len(value))
    ]


def _finite(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _flag(value: float, empty: bool, low_n: bool) -> str | None:
    """Why a number is missing or weak."""
    if math.isnan(value):
        return "empty" if empty else "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return "low_n" if low_n else None
