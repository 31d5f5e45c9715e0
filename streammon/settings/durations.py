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

WINDOW = "SIZE [every SLIDE] [offset DURATION], such as 5m every 1m"  # how one is written

_NUMBER, _UNIT = r"[0-9]{1,18}(?:\.[0-9]{1,6})?", r"d|h|m|s|ms|us"
_DURATION = re.compile(rf"({_NUMBER}) ?({_UNIT})")
_LENGTH = rf"{_NUMBER} ?(?:{_UNIT})(?!\w)"
_WINDOW = re.compile(
    rf"(?P<size>{_LENGTH})(?:\s+every\s+(?P<slide>{_LENGTH}))?(?:\s+offset\s+(?P<sign>-?)(?P<offset>{_LENGTH}))?"
)


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
    """A window from "SIZE [every SLIDE] [offset DURATION]"; it is aligned to the epoch plus the offset.

    >>> parse_window("1m").text, parse_window("1h every 5m").text, parse_window("1d offset -2h").text
    ('60000000/60000000/0', '3600000000/300000000/0', '86400000000/86400000000/79200000000')
    """
    if isinstance(value, WindowSpec):
        return value
    if not isinstance(value, str):
        raise ValueError(f"should be {WINDOW}")
    text = value.strip()
    match = _WINDOW.match(text)
    rest = text[match.end() :].strip() if match else text
    if match is None or rest:
        raise ValueError(f"{rest[:80]!r} is not understood: should be {WINDOW}")
    size = microseconds(parse_duration(match["size"]))
    slide = size if match["slide"] is None else microseconds(parse_duration(match["slide"]))
    if size == 0:
        raise ValueError("a window should be longer than 0s")
    if slide == 0:
        raise ValueError(f"every {match['slide']}: the slide of a window should be longer than 0s")
    offset = microseconds(parse_duration(match["offset"] or 0))
    return WindowSpec(size, slide, (-offset if match["sign"] else offset) % slide)


def window_text(spec: WindowSpec) -> str:
    """The text that `parse_window` reads."""
    size, slide, offset = (duration_text(timedelta(microseconds=length)) for length in spec)
    every = "" if spec.slide == spec.size else f" every {slide}"
    return size + every + (f" offset {offset}" if spec.offset else "")
