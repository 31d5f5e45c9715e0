"""How a report says things: names of measurements, numbers with their units, times."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import NamedTuple

from streammon.core.outputs import WindowSpec
from streammon.settings.durations import window_text
from streammon.text import shown

NAME = 80  # characters of somebody else's name
SENTENCE = 400  # and of a summary

STANDARD = {  # drawn whether or not a rule watches them, most telling first
    "feature.psi_excess": "Drift of features",
    "prediction.class_psi_excess": "Drift of predicted classes",
    "prediction.score_mean": "Mean score",
    "latency.p95": "Latency, 95th percentile",
    "traffic.rate_5xx": "Server errors",
    "feature.missing_rate": "Missing values",
    "traffic.qps": "Traffic",
}
_TITLES = STANDARD | {
    "feature.psi": "Drift of features",
    "feature.ks": "Drift of features",
    "feature.mean": "Mean of",
    "prediction.score_psi_excess": "Drift of scores",
    "prediction.class_psi": "Drift of predicted classes",
    "prediction.class_share": "Share of class",
    "latency.p50": "Latency, median",
    "latency.p99": "Latency, 99th percentile",
    "traffic.timeout_rate": "Time-outs",
    "traffic.count": "Events",
}


def title(measurement: str) -> str:
    """What people call it; its own name where there is no better."""
    return _TITLES.get(measurement) or name(measurement)


def unit(measurement: str) -> str:
    """`%` for fractions, `ms`, `/s`, or nothing.

    >>> [unit(name) for name in ("latency.p95", "latency.invalid", "traffic.rate_5xx", "feature.psi")]
    ['ms', '', '%', '']
    """
    family, _, statistic = measurement.partition(".")
    if statistic.endswith(("_rate", "_share")) or statistic.startswith("rate_"):
        return "%"
    if family == "latency" and statistic != "invalid":
        return "ms"
    return "/s" if statistic == "qps" else ""


def number(value: float | None, unit: str = "") -> str:
    """Four significant digits with the unit, all digits of what is greater.

    >>> number(0.03456, "%"), number(42.8049, "ms"), number(None), number(65000.0), number(1234567.8), number(1e20)
    ('3.456 %', '42.8 ms', '-', '65,000', '1,234,568', '1e+20')
    """
    if value is None or math.isnan(value):
        return "-"
    shown = 100 * value if unit == "%" else value
    digits = f"{shown:,.0f}" if 9999.5 <= abs(shown) < 1e15 else f"{shown:.4g}"
    return f"{digits} {unit}".strip()


def name(text: str | None, limit: int = NAME) -> str:
    """Somebody else's name, safe to look at; one that is empty shows as two quotes."""
    return "-" if text is None else shown(text, limit) or '""'


def window(spec: WindowSpec) -> str:
    return window_text(spec)


class Moments(NamedTuple):
    """Event time in UTC, as short as it can be: without the date where all lies on one day, without seconds at :00.

    >>> short = Moments.between(1_769_857_260_000_000, 1_769_857_320_000_000)
    >>> short(1_769_857_260_000_000), short(1_769_857_261_000_000)
    ('11:01', '11:01:01')
    """

    day: str | None

    @classmethod
    def between(cls, first: int, last: int) -> Moments:
        """Microseconds since the epoch."""
        days = {moment(first)[:10], moment(last)[:10]}
        return cls(days.pop() if len(days) == 1 else None)

    def __call__(self, micros: int) -> str:
        text = moment(micros)
        text = text.removeprefix(f"{self.day} ") if self.day else text
        return text.removesuffix(":00") if text.count(":") == 2 else text


def moment(micros: int) -> str:
    """Date and time in UTC, to the second. What no calendar holds stays a number.

    >>> moment(1_769_857_260_000_000)
    '2026-01-31 11:01:00'
    """
    try:
        return datetime.fromtimestamp(micros // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return f"{micros} us"
