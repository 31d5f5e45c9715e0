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


@given(durations.filter(bool), durations.filter(bool), durations, st.booleans())
def test_windows_are_read_back(size: timedelta, slide: timedelta, offset: timedelta, back: bool) -> None:
    """Size and slide are as written; the offset is the same up to whole slides."""
    sign = "-" if back else ""
    window = parse_window(f"{duration_text(size)} every {duration_text(slide)} offset {sign}{duration_text(offset)}")
    micro = timedelta(microseconds=1)
    assert (window.size, window.slide) == (size // micro, slide // micro)
    assert 0 <= window.offset < window.slide
    assert (window.offset - (-offset if back else offset) // micro) % window.slide == 0
    assert parse_window(window_text(window)) == window


@pytest.mark.parametrize(
    "text, window",
    [
        ("1m", (60, 60, 0)),
        ("5m every 1m", (300, 60, 0)),
        ("5m  every\t300s", (300, 300, 0)),
        ("1d offset -2h", (86_400, 86_400, 79_200)),  # begins at 22:00 UTC: midnight in Berlin's summer
        ("1d offset 22h", (86_400, 86_400, 79_200)),
        ("1d every 1h offset 90m", (86_400, 3_600, 1_800)),
        (" 90s offset 90s ", (90, 90, 0)),
    ],
)
def test_windows(text: str, window: tuple[int, int, int]) -> None:
    """Size, slide and offset, seconds."""
    assert tuple(length / 1_000_000 for length in parse_window(text)) == window


@pytest.mark.parametrize("text", ["5m", "5m every 1m", "1d offset 22h", "1d every 1h offset 30m"])
def test_a_window_is_shown_as_short_as_it_can_be_written(text: str) -> None:
    assert window_text(parse_window(text)) == text


@pytest.mark.parametrize(
    "value, said",
    [
        ("0s", "longer than 0s"),
        ("5m every 0s", "^every 0s: the slide of a window should be longer than 0s"),
        ("0s every 1m", "^a window should be longer than 0s"),
        ("5m every", "^'every' is not understood"),
        (
            "5m evry 1m",
            "^'evry 1m' is not understood: should be SIZE .every SLIDE. .offset DURATION., such as 5m every",
        ),
        ("5m every 1x", "^'every 1x' is not understood"),
        ("5 every 1m", "^'5 every 1m' is not understood"),
        ("5minutes", "^'5minutes' is not understood"),
        ("1m every 1m every 1m", "^'every 1m' is not understood"),
        ("1d offset", "^'offset' is not understood"),
        ("1d offset -", "^'offset -' is not understood"),
        ("1d offset --2h", "^'offset --2h' is not understood"),
        ("1d offset 2h every 1h", "^'every 1h' is not understood"),
        ("every 1m", "^'every 1m' is not understood"),
        ("", "^'' is not understood: should be SIZE"),
        ("0.5us", "finer than a microsecond"),
        (60, "^should be SIZE"),
    ],
)
def test_what_is_no_window(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_window(value)
