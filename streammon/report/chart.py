"""A chart: lines over event time with band, thresholds, alerts and incidents, as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core.outputs import WindowSpec
from streammon.incidents import Incident
from streammon.report import words
from streammon.report.collect import Floats
from streammon.report.thinning import kept
from streammon.text import counted


class Curve(NamedTuple):
    """One line of a chart."""

    feature: str | None
    values: Floats  # [T]
    beyond: int  # windows in which a rule was violated
    windows: int  # with a value


class Limit(NamedTuple):
    rule: str
    value: float
    above: bool  # it is violated above the value

    def text(self, unit: str) -> str:
        return f"{words.name(self.rule)} {'>' if self.above else '<'} {words.number(self.value, unit)}"


class Mark(NamedTuple):
    """An alert that fired or was resolved."""

    curve: int  # index into curves; -1: among the rest
    row: int
    fired: bool
    rule: str


@dataclass(frozen=True)
class Chart:
    """Measurement `name` of windows `window` at T times, gaps as NaN."""

    name: str
    window: WindowSpec
    times: NDArray[np.int64]  # [T] microseconds, ends of windows and gaps
    curves: tuple[Curve, ...]
    rest: tuple[Floats, Floats] | None  # [T] least and greatest of the features that have no curve
    rest_count: int
    rest_peak: Curve | None  # of them, the one with the greatest value
    band: tuple[Floats, Floats] | None  # [T]
    limits: tuple[Limit, ...]
    marks: tuple[Mark, ...]
    incidents: tuple[Incident, ...]
    rank: int  # the smaller, the sooner it is drawn

    def data(self, buckets: int) -> dict[str, Any]:
        """For the page, thinned out: numbers and safe text only. Times in seconds."""
        columns = [curve.values for curve in self.curves] + [*(self.rest or ())]
        marked = {mark.row for mark in self.marks}
        # a line of several shares the points with the others, so each has fewer buckets
        rows = kept(self.times, columns, max(buckets // len(columns), 16) if columns else buckets)
        rows = np.array(sorted({*rows.tolist(), *marked}), np.int64)
        place = {int(row): at for at, row in enumerate(rows)}
        data: dict[str, Any] = {
            "unit": words.unit(self.name),
            "t": [int(t) if t == int(t) else t for t in (self.times[rows] / 1e6).tolist()],
            "lines": [
                {
                    "l": words.name(curve.feature) if curve.feature is not None else words.title(self.name),
                    "v": _short(curve.values[rows]),
                }
                for curve in self.curves
            ],
            "limits": [{"l": limit.text(words.unit(self.name)), "v": limit.value} for limit in self.limits],
            "marks": [[mark.curve, place[mark.row], int(mark.fired)] for mark in self.marks if mark.curve >= 0],
            "incidents": [{"l": words.name(i.kind, 30), "t": i.start / 1e6} for i in self.incidents],
        }
        if self.rest is not None:
            low, high = self.rest
            data["rest"] = {"l": counted(self.rest_count, "other"), "lo": _short(low[rows]), "hi": _short(high[rows])}
        if self.band is not None:
            low, high = self.band
            data["band"] = {"lo": _short(low[rows]), "hi": _short(high[rows])}
        return data


def _short(values: Floats) -> list[float | None]:
    """Five significant digits; NaN as null."""
    return [None if math.isnan(value) else float(f"{value:.5g}") for value in values.tolist()]
