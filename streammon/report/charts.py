"""Which measurements of a place are drawn, and what stands beside their lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from streammon.backtest.episodes import Episode
from streammon.core.baseline import Baseline
from streammon.core.judge import watches, watches_feature
from streammon.core.outputs import AlertState, WindowSpec
from streammon.core.rules import Rule
from streammon.incidents import Incident
from streammon.report import bands, words
from streammon.report.chart import Chart, Curve, Limit, Mark
from streammon.report.collect import Floats, Line, LineKey, Observed
from streammon.report.thinning import with_gaps

NAMED = 6  # alerted features with a line of their own; the others are one grey area
CALM = 3  # of those without an alert, where fewer have one
DRIFT = ("ks", "psi", "psi_excess", "kl", "js")


def wanted(rules: Iterable[Rule], found: Iterable[Episode]) -> set[str]:
    """The measurements that a report needs."""
    alerted = {alert.measurement.name for episode in found for alert in episode.events}
    return {rule.measurement for rule in rules} | alerted | {*words.STANDARD, "feature.mean", "prediction.class_share"}


class Charts:
    """The charts of one place."""

    def __init__(
        self,
        observed: Observed,
        rules: Iterable[Rule],
        found: Sequence[Episode],
        incidents: Iterable[Incident],
        baselines: Mapping[str, Baseline],
    ) -> None:
        series = observed.place.series
        self._observed, self._found, self._baselines = observed, found, baselines
        self._rules = [rule for rule in rules if watches(rule, series, rule.window)]
        self._incidents = tuple(i for i in incidents if i.touches(series.model_id, series.lane, *observed.span))

    def all(self) -> list[Chart]:
        """In the order in which they are shown: alerts, then other rules, then the standard."""
        there: dict[tuple[str, WindowSpec], None] = {(key.name, key.window): None for key in self._observed.lines}
        alerted = [(e.first.measurement.name, e.first.spec) for e in self._found]
        watched = [
            (rule.measurement, spec)
            for rule in self._rules
            for spec in self._observed.tallies
            if rule.window == spec.text
        ]
        smallest: dict[str, WindowSpec] = {}
        for name, spec in there:
            smallest[name] = min(spec, smallest.get(name, spec))
        ranks: dict[tuple[str, WindowSpec], int] = {}
        for rank, keys in enumerate((alerted, watched)):
            for key in keys:
                ranks.setdefault(key, rank)
        standard = [name for name in words.STANDARD if name in smallest]
        for rank, name in enumerate(standard, 2):
            if name not in {drawn for drawn, _ in ranks}:
                ranks[name, smallest[name]] = rank
        return [self._chart(name, spec, rank) for (name, spec), rank in ranks.items() if (name, spec) in there]

    def of_feature(self, name: str, spec: WindowSpec, feature: str) -> Chart | None:
        """One feature's (or class's) measurement alone, with its baseline's band; None where it was not measured."""
        is_there = LineKey(name, spec, feature) in self._observed.lines
        return self._chart(name, spec, 1, only=feature) if is_there else None

    def _chart(self, name: str, spec: WindowSpec, rank: int, only: str | None = None) -> Chart:
        lines = {
            key.feature: line
            for key, line in self._observed.lines.items()
            if (key.name, key.window) == (name, spec) and only in (None, key.feature)
        }
        times = with_gaps(np.unique(np.concatenate([line.ends for line in lines.values()])), spec.slide)
        rules = [
            rule
            for rule in self._rules
            if (rule.measurement, rule.window) == (name, spec.text)
            and any(watches_feature(rule, feature) for feature in lines)
        ]
        episodes = [
            e
            for e in self._found
            if (e.first.measurement.name, e.first.spec) == (name, spec) and e.first.measurement.feature in lines
        ]
        curves = {feature: _curve(feature, line, times, rules) for feature, line in lines.items()}
        named = _named(curves, [e.first.measurement.feature for e in episodes])
        others = [curve for feature, curve in curves.items() if feature not in named]
        return Chart(
            name,
            spec,
            times,
            tuple(curves[feature] for feature in named),
            _envelope([curve.values for curve in others]) if others else None,
            len(others),
            max(others, key=_peak) if others else None,
            self._band(name, lines, times),
            tuple(dict.fromkeys(_limit(rule) for rule in rules)),
            tuple(_marks(episodes, named, times)),
            self._incidents,
            rank,
        )

    def _band(
        self, name: str, lines: Mapping[str | None, Line], times: NDArray[np.int64]
    ) -> tuple[Floats, Floats] | None:
        """The widest of the lines' bands; for a mean or a share, which have no common one, of a single line only."""
        statistic = name.rpartition("_")[2] if name.startswith("prediction.") else name.partition(".")[2]
        statistic = "psi_excess" if name.endswith("psi_excess") else statistic
        if statistic in DRIFT:
            found = [(line, bands.drift_band(statistic, line.n, line.m, line.freedom)) for line in lines.values()]
        elif name in ("feature.mean", "prediction.score_mean", "prediction.class_share") and len(lines) == 1:
            ((feature, line),) = lines.items()
            found = [(line, self._around_baseline(name, feature, line))]
        else:
            return None
        low = _envelope([_placed(edges[0], line, times) for line, edges in found])[0]
        high = _envelope([_placed(edges[1], line, times) for line, edges in found])[1]
        return None if np.isnan(high).all() else (low, high)

    def _around_baseline(self, name: str, feature: str | None, line: Line) -> tuple[Floats, Floats]:
        low, high = np.full((2, len(line.ends)), np.nan)
        for index, baseline_id in enumerate(self._observed.baselines):
            reference, rows = self._baselines.get(baseline_id), line.baseline == index
            if reference is not None:
                low[rows], high[rows] = _edges(reference, name, feature, line.n[rows])
        return low, high


def _edges(reference: Baseline, name: str, feature: str | None, n: Floats) -> tuple[Floats, Floats]:
    nothing = np.full(len(n), np.nan)
    if name == "prediction.class_share" and feature in reference.class_names:
        m = int(reference.class_counts.sum())
        share = reference.class_counts[reference.class_names.index(feature)] / m if m else np.nan
        return bands.share_band(float(share), n, m) if m else (nothing, nothing)
    if name == "feature.mean" and feature in reference.feature_names:
        f = reference.feature_names.index(feature)
        m = int(reference.counts[f].sum())
    elif name == "prediction.score_mean":
        f, m = len(reference.feature_names), int(reference.score_counts.sum())
    else:
        return nothing, nothing
    if m == 0:
        return nothing, nothing
    return bands.mean_band(float(reference.mean[f]), float(reference.variance[f]), n, m)


def _curve(feature: str | None, line: Line, times: NDArray[np.int64], rules: Sequence[Rule]) -> Curve:
    ours = [rule for rule in rules if watches_feature(rule, feature)]
    beyond = sum(
        any(n >= rule.min_samples and rule.excess(value) > 0 for rule in ours)
        for value, n in zip(line.values.tolist(), line.n.tolist(), strict=True)
        if not math.isnan(value)
    )
    return Curve(feature, _placed(line.values, line, times), beyond, int((~np.isnan(line.values)).sum()))


def _named(curves: Mapping[str | None, Curve], alerted: Iterable[str | None]) -> list[str | None]:
    """Those with a line of their own: alerted first, then the greatest."""
    first = dict.fromkeys(alerted)
    rest = sorted((f for f in curves if f not in first), key=lambda f: -_peak(curves[f]))
    return [*first, *rest][: min(max(len(first), CALM), NAMED)]


def _peak(curve: Curve) -> float:
    return float(np.nanmax(np.abs(curve.values))) if curve.windows else -1.0


def _limit(rule: Rule) -> Limit:
    value = rule.limit(0.0)
    return Limit(rule.id, value, rule.excess(value + 1.0) > 0)


def _marks(found: Iterable[Episode], named: Sequence[str | None], times: NDArray[np.int64]) -> Iterator[Mark]:
    for episode in found:
        for alert in episode.events:
            row = int(np.searchsorted(times, alert.end))
            is_there = row < len(times) and times[row] == alert.end
            if is_there and alert.state is not AlertState.ONGOING:
                feature = alert.measurement.feature
                curve = named.index(feature) if feature in named else -1
                yield Mark(curve, row, alert.state is AlertState.FIRING, alert.rule_id)


def _placed(values: Floats, line: Line, times: NDArray[np.int64]) -> Floats:
    placed = np.full(len(times), np.nan)
    placed[np.searchsorted(times, line.ends)] = values
    return placed


def _envelope(columns: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Least and greatest by row, NaN where all are."""
    return np.fmin.reduce(columns), np.fmax.reduce(columns)
