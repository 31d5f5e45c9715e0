"""Metric events to columns, one place at a time: only the measurements that the report may draw are kept."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.backtest.episodes import Place
from streammon.core.outputs import Measurement, MetricEvent, WindowSpec

Floats = NDArray[np.float64]


class LineKey(NamedTuple):
    name: str
    window: WindowSpec
    feature: str | None


class Line(NamedTuple):
    """One measurement over W windows in order of time. NaN where there is no number."""

    ends: NDArray[np.int64]  # [W] microseconds, of the windows
    values: Floats  # [W]
    n: Floats  # [W]
    m: Floats  # [W] of the reference
    freedom: Floats  # [W] groups - 1 of the distribution behind it
    baseline: NDArray[np.int32]  # [W] index into Observed.baselines; -1: none


class Tally(NamedTuple):
    """Of one window size."""

    windows: int = 0
    events: int = 0
    late: int = 0


@dataclass
class Observed:
    """What was published about one place."""

    place: Place
    tallies: dict[WindowSpec, Tally] = field(default_factory=dict)
    lines: dict[LineKey, Line] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # all measurements there are, wanted or not
    baselines: list[str] = field(default_factory=list)  # ids, in the order of their appearance
    states: Counter[str] = field(default_factory=Counter)  # windows by baseline state
    first: int = 2**63 - 1  # start of the first window, microseconds
    last: int = -(2**63)  # end of the last one
    hashes: dict[str, set[str]] = field(default_factory=dict)  # by field: data_hash, git_commit, plan and policy hash

    @property
    def span(self) -> tuple[int, int]:
        """From the start of the first window to the end of the last one, microseconds."""
        return self.first, self.last

    @property
    def tally(self) -> Tally:
        """Of the smallest window, which has every counted event once."""
        return self.tallies[min(self.tallies)] if self.tallies else Tally()


def collect(metrics: Iterable[MetricEvent], wanted: set[str]) -> dict[Place, Observed]:
    """Columns of the `wanted` measurements by place, in the order of model, version, lane, topic and partition.

    A window that comes twice, or in a later revision, counts once, as it came last.
    """
    found: dict[Place, _Collector] = {}
    for event in metrics:
        place = Place(event.series, event.topic, event.partition)
        if place not in found:
            found[place] = _Collector(place)
        found[place].add(event, wanted)
    return {place: found[place].finish() for place in sorted(found)}


class _Collector:
    def __init__(self, place: Place) -> None:
        self._observed = Observed(place)
        self._columns: dict[LineKey, _Columns] = {}
        self._windows: dict[tuple[WindowSpec, int], tuple[int, int, str]] = {}  # to n, n_late and baseline state

    def add(self, event: MetricEvent, wanted: set[str]) -> None:
        observed = self._observed
        self._windows[event.spec, event.start] = (event.n, event.n_late, event.baseline_state.value)
        observed.first, observed.last = min(observed.first, event.start), max(observed.last, event.end)
        for name in ("data_hash", "git_commit", "plan_hash", "policy_hash"):
            if (value := getattr(event, name)) is not None:
                observed.hashes.setdefault(name, set()).add(value)
        baseline = -1
        if event.baseline_id is not None:
            if event.baseline_id not in observed.baselines:
                observed.baselines.append(event.baseline_id)
            baseline = observed.baselines.index(event.baseline_id)
        freedom = {(_family(m.name), m.feature): _freedom(m) for m in event.measurements if m.name.endswith("psi")}
        for m in event.measurements:
            observed.names.add(m.name)
            if m.name in wanted:
                key = LineKey(m.name, event.spec, m.feature)
                if key not in self._columns:
                    self._columns[key] = _Columns()
                degrees = freedom.get((_family(m.name), m.feature), np.nan)
                self._columns[key].add(event.end, m, degrees, baseline)

    def finish(self) -> Observed:
        for (spec, _), (n, late, state) in self._windows.items():
            self._observed.states[state] += 1
            before = self._observed.tallies.get(spec, Tally())
            self._observed.tallies[spec] = Tally(before.windows + 1, before.events + n, before.late + late)
        self._observed.lines = {key: columns.line() for key, columns in self._columns.items()}
        return self._observed


class _Columns:
    def __init__(self) -> None:
        self._whole = array("q")  # end, n, m, baseline of each window
        self._floats = array("d")  # value, freedom

    def add(self, end: int, m: Measurement, freedom: float, baseline: int) -> None:
        self._whole.extend((end, m.n or 0, m.reference_n or 0, baseline))
        self._floats.extend((np.nan if m.value is None else m.value, freedom))

    def line(self) -> Line:
        whole = np.frombuffer(self._whole, np.int64).reshape(-1, 4)
        values, freedom = np.frombuffer(self._floats, np.float64).reshape(-1, 2).T
        order = np.argsort(whole[:, 0], kind="stable")
        ends = whole[order, 0]
        order = order[np.append(ends[1:] != ends[:-1], True)]  # the last of each window
        end, n, m, baseline = whole[order].T
        return Line(
            end, values[order], n.astype(np.float64), m.astype(np.float64), freedom[order], baseline.astype(np.int32)
        )


def _family(name: str) -> str:
    """The distribution that a measurement belongs to.

    >>> _family("feature.psi_excess"), _family("prediction.score_ks"), _family("prediction.class_psi")
    ('feature.', 'prediction.score_', 'prediction.class_')
    """
    for family in ("prediction.score_", "prediction.class_"):
        if name.startswith(family):
            return family
    return name.partition(".")[0] + "."


def _freedom(psi: Measurement) -> float:
    """Groups - 1, from what was published: psi - psi_excess is (groups - 1) (1/n + 1/m).

    NaN without a p-value, for then a group holds too little.
    """
    if psi.p is None or psi.value is None or psi.effect is None or not psi.n or not psi.reference_n:
        return np.nan
    return round((psi.value - psi.effect) / (1 / psi.n + 1 / psi.reference_n))
