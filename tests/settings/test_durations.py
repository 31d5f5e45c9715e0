"""Durations and windows: whole microseconds in, the same out."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.settings.durations import LONGEST, duration_text, parse_duration, parse_window, window_text

durations = st.timedeltas(timedelta(), LONGEST)


@given(durations)
def test_text_is_read_back(duration: timedelta) -> None:
    assert parse_duration(duration_text(duration)) == duration


@given(durations)
def test_every_spelling_has_one_text(duration: timedelta) -> None:
    """However it was written, the text is that of the value."""
    micros = duration // timedelta(microseconds=1)
    spellings = [f"{micros}us", f"{micros // 1000}.{micros % 1000:03}ms", f"{micros // 10**6}.{micros % 10**6:06} s"]
    assert {duration_text(parse_duration(text)) for text in spellings} == {duration_text(duration)}


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.none())
def test_anything_is_a_duration_or_a_value_error(value: object) -> None:
    with suppress(ValueError):
        assert timedelta() <= parse_duration(value) <= LONGEST


@pytest.mark.parametrize(
    "text, seconds",
    [("0s", 0), (0, 0), ("1m", 60), ("60s", 60), ("1.5m", 90), ("1h", 3600), ("1d", 86400), ("2ms", 0.002)],
)
def test_examples(text: object, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "value", ["", "5", "1 minute", "-1s", "1m30s", "1M", "1e3s", ".5s", "0.5us", "36501d", "٣s", 5, 1.5, True, None, []]
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match=r"duration|microsecond|longest"):
        parse_duration(value)


@given(durations.filter(bool))
def test_windows_are_read_back(size: timedelta) -> None:
    window = parse_window(duration_text(size))
    assert parse_window(window_text(window)) == window


def test_a_window_that_slides_by_its_size_is_a_window() -> None:
    assert parse_window("5m every 300s") == parse_window("5m")


@pytest.mark.parametrize(
    "value, said",
    [
        ("5m every 1m", "sliding windows are not built yet"),
        ("0s", "longer than 0s"),
        ("5m every", "should be a duration"),
        ("1m every 1m every 1m", "at most one"),
        (60, "the unit is needed"),
    ],
)
def test_what_is_no_window(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_window(value)
