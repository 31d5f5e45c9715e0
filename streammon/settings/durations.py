"""Durations and windows as people write them: "200ms", "90s", "1m", "5m every 1m".

A duration needs its unit: a bare number would be seconds to one reader and milliseconds to the next, and YAML 1.1 reads
1:30 as the number 90.
"""

from __future__ import annotations

import re
from datetime import timedelta
from fractions import Fraction
from typing import Any

from streammon.core.outputs import WindowSpec

UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}
LONGEST = timedelta(days=36_500)  # sums of times and durations stay far inside 64 bits of microseconds
MICROSECOND = timedelta(microseconds=1)

_DURATION = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?(d|h|m|s|ms|us)")
_EVERY = re.compile(r"\s+every\s+")


def microseconds(duration: timedelta) -> int:
    return duration // MICROSECOND


def parse_duration(value: Any) -> timedelta:
    """A duration from its text; 0 alone needs no unit.

    >>> parse_duration("90s") == parse_duration("1.5m")
    True
    """
    if isinstance(value, timedelta):  # a default
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value == 0:
            return timedelta()
        raise ValueError("a duration needs a unit: write 10s, not 10")
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("should be a duration such as 200ms, 90s, 1m, 1h or 1d")
    micros = Fraction(match[1]) * UNITS[match[2]]
    if micros.denominator != 1:
        raise ValueError("is finer than a microsecond (1us), the finest there is")
    if micros > microseconds(LONGEST):
        raise ValueError(f"is longer than {duration_text(LONGEST)}, the longest there is")
    return timedelta(microseconds=int(micros))


def duration_text(duration: timedelta) -> str:
    """The shortest text in whole units; `parse_duration` reads it back.

    >>> duration_text(parse_duration("7200s")), duration_text(parse_duration("90s"))
    ('2h', '90s')
    """
    micros = microseconds(duration)
    if micros == 0:
        return "0s"
    unit = next(name for name, size in UNITS.items() if micros % size == 0)
    return f"{micros // UNITS[unit]}{unit}"


def parse_window(value: Any) -> WindowSpec:
    """A window from "SIZE" or "SIZE every SLIDE".

    >>> parse_window("1m").text
    '60000000/60000000/0'
    """
    if isinstance(value, WindowSpec):
        return value
    if not isinstance(value, str):
        raise ValueError("should be a window such as 1m or 1h (the unit is needed)")
    parts = _EVERY.split(value.strip())
    if len(parts) > 2:
        raise ValueError("should be a window such as 1m, with at most one `every`")
    size = microseconds(parse_duration(parts[0]))
    slide = microseconds(parse_duration(parts[-1]))
    if size == 0 or slide == 0:
        raise ValueError("a window should be longer than 0s")
    if slide != size:
        raise ValueError("sliding windows are not built yet: write the size alone, for example 5m")
    return WindowSpec(size, slide)


def window_text(spec: WindowSpec) -> str:
    """The text that `parse_window` reads."""
    size = duration_text(timedelta(microseconds=spec.size))
    return size if spec.slide == spec.size else f"{size} every {duration_text(timedelta(microseconds=spec.slide))}"
