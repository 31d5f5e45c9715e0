"""Every picture in words: what a chart shows, for those who do not see it and where scripts are switched off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from streammon.core.outputs import AlertState
from streammon.report import words
from streammon.report.chart import Chart, Curve
from streammon.report.distributions import Moved
from streammon.report.words import Moments
from streammon.text import counted

TOLD = 3  # features, alerts or groups that a sentence names


class Row(NamedTuple):
    """A line of a chart as numbers with units."""

    label: str
    windows: str
    least: str
    median: str
    greatest: str
    last: str
    beyond: str  # windows that violate a rule; "-" where no rule watches


def rows(chart: Chart) -> list[Row]:
    """A row for each line, and one for the greatest of the features that have none."""
    found = [_row(chart, curve, words.name(curve.feature)) for curve in chart.curves]
    if chart.rest_peak is not None:
        peak = chart.rest_peak
        found.append(_row(chart, peak, f"{words.name(peak.feature)}, the greatest of {chart.rest_count} others"))
    return found


def of_chart(chart: Chart, moments: Moments) -> str:
    """Sentences with the numbers that matter."""
    return " ".join([_values(chart), *_violations(chart), *_alerts(chart, moments), *_incidents(chart, moments)])


def of_moved(one: Moved, moments: Moments) -> str:
    """Which groups moved most."""
    alert, shares = one.alert, (one.reference, one.current)
    told = [
        f"{one.labels[group]}: {100 * shares[0][group]:.1f} % in the reference, {100 * shares[1][group]:.1f} % now"
        for group in one.order[:TOLD]
    ]
    state = "fired" if alert.state is AlertState.FIRING else "was still on"
    m = alert.measurement
    value = words.number(m.value, words.unit(m.name))
    return (
        f"Window of {words.window(alert.spec)} that ended at {moments(alert.end)}, in which "
        f"{words.name(alert.rule_id)} {state} with {words.name(m.name)} {value}; "
        f"{counted(sum(one.counts.current), 'value')} now, {sum(one.counts.reference):,} in the reference. "
        f"Moved most: {'; '.join(told)}."
    )


def _row(chart: Chart, curve: Curve, label: str) -> Row:
    unit = words.unit(chart.name)
    values = curve.values[~np.isnan(curve.values)]
    beyond = f"{curve.beyond:,}" if chart.limits else "-"
    if not len(values):
        return Row(label, "0", "-", "-", "-", "-", beyond)
    least, median, greatest = (words.number(float(x), unit) for x in np.quantile(values, (0, 0.5, 1)))
    return Row(label, f"{curve.windows:,}", least, median, greatest, words.number(float(values[-1]), unit), beyond)


def _values(chart: Chart) -> str:
    unit, size = words.unit(chart.name), words.window(chart.window)
    windows = max((curve.windows for curve in chart.curves), default=0)
    if not windows:
        return f"Windows of {size}: no window has a value."
    if len(chart.curves) == 1:
        row = _row(chart, chart.curves[0], "")
        return (
            f"{counted(windows, 'window')} of {size}: least {row.least}, median {row.median}, greatest {row.greatest}, "
            f"last {row.last}."
        )
    peaks = [
        f"{words.name(curve.feature)} {words.number(float(np.nanmax(curve.values)), unit)}"
        for curve in chart.curves[:TOLD]
        if curve.windows
    ]
    lines = len(chart.curves) + chart.rest_count
    return f"{counted(windows, 'window')} of {size}, {lines} lines. Greatest values: {', '.join(peaks)}."


def _violations(chart: Chart) -> Iterator[str]:
    if chart.limits:
        unit = words.unit(chart.name)
        limits = ", ".join(limit.text(unit) for limit in chart.limits)
        beyond = [curve for curve in chart.curves if curve.beyond]
        if len(chart.curves) == 1:
            yield f"Threshold {limits}: violated in {counted(chart.curves[0].beyond, 'window')}."
        elif beyond:
            told = ", ".join(f"{words.name(curve.feature)} in {curve.beyond:,}" for curve in beyond[:TOLD])
            more = f", and {len(beyond) - TOLD} more" if len(beyond) > TOLD else ""
            yield f"Threshold {limits}, violated in windows: {told}{more}."
        else:
            yield f"Threshold {limits}: never violated."


def _alerts(chart: Chart, moments: Moments) -> Iterator[str]:
    for fired, what in ((True, "Fired"), (False, "Resolved")):
        marks = [mark for mark in chart.marks if mark.fired is fired]
        if marks:
            times = list(dict.fromkeys(moments(int(chart.times[mark.row])) for mark in marks))
            more = f" and {len(times) - TOLD} times more" if len(times) > TOLD else ""
            yield f"{what} at {', '.join(times[:TOLD])}{more}."


def _incidents(chart: Chart, moments: Moments) -> Iterator[str]:
    if chart.incidents:
        told = [
            f"{words.name(incident.kind)} from {moments(incident.start)}"
            + (f" until {moments(incident.end)}" if incident.end is not None else "")
            for incident in chart.incidents[:TOLD]
        ]
        more = f" and {len(chart.incidents) - TOLD} more" if len(chart.incidents) > TOLD else ""
        yield f"Known incidents: {', '.join(told)}{more}."
