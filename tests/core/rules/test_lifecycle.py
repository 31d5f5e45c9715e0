"""The life of an alert, drawn: one letter per window, in time order.

    in    x violates   . does not   ? is not sufficient   _ there is no such window
    out   F FIRING     O ONGOING    R RESOLVED            . nothing

Cooldown counts in windows.
"""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.core.outputs import AlertState
from streammon.core.rules.lifecycle import RuleMemory, Step, advance

SIZE = 60
LETTERS = {AlertState.FIRING: "F", AlertState.ONGOING: "O", AlertState.RESOLVED: "R"}
VIOLATES = {"x": True, ".": False, "?": None}


def live(windows: str, consecutive: int = 1, cooldown: int = 0, slide: int = SIZE) -> list[Step | None]:
    """The steps of one rule instance, a window each; its memory goes through a dict on the way, as in the changelog."""
    memory, steps = RuleMemory(), []
    for k, window in enumerate(windows):
        step = None
        if window != "_":
            memory, step = advance(
                RuleMemory(**asdict(memory)), VIOLATES[window], k * slide, SIZE, slide, consecutive, cooldown * slide
            )
        steps.append(step)
    return steps


def drawn(windows: str, consecutive: int = 1, cooldown: int = 0) -> str:
    return "".join("." if step is None else LETTERS[step.state] for step in live(windows, consecutive, cooldown))


@pytest.mark.parametrize(
    "what,consecutive,cooldown,windows,expected",
    [
        ("nothing happens", 1, 0, "....", "...."),
        ("one violation fires, the next good window resolves", 1, 0, ".x..", ".FR."),
        ("without cooldown every violating window is notified", 1, 0, "xxx.", "FOOR"),
        ("consecutive: the run must reach it", 3, 0, "xx.xxx.", ".....FR"),
        ("consecutive: of an open alert it does not matter", 3, 0, "xxxx.x", "..FOR."),
        ("a missing window ends the run", 2, 0, "x_x.xx", ".....F"),
        ("a window that is not sufficient ends the run", 2, 0, "x?x.xx", ".....F"),
        ("a missing window does not resolve", 1, 0, "x__x.", "F..OR"),
        ("a window that is not sufficient does not resolve", 1, 0, "x??x.", "F..OR"),
        ("an open alert goes on behind a gap without a new run", 2, 0, "xx_x.", ".F.OR"),
        ("resolved behind a gap", 1, 0, "x_.", "F.R"),
        ("cooldown spaces what is notified", 1, 3, "xxxxxxx.", "F..O..OR"),
        ("cooldown counts from the last notification", 1, 2, "x?xxx.", "F.O.OR"),
        ("cooldown does not hold back the resolution", 1, 9, "xx.", "F.R"),
        ("no new episode before the cooldown is over", 1, 4, "x.x.x.", "FR..FR"),
        ("a run that waits for the cooldown fires when it is over", 1, 4, "x.xxxx.", "FR..F.R"),
        ("the cooldown of a new episode counts from FIRING, not from ONGOING", 1, 3, "xxxx.x.", "F..ORFR"),
        ("the cooldown is remembered across gaps", 2, 6, "xx.__xxx.", ".FR....FR"),
    ],
)
def test_the_life_of_an_alert(what: str, consecutive: int, cooldown: int, windows: str, expected: str) -> None:
    assert drawn(windows, consecutive, cooldown) == expected, what


def test_events_of_an_episode_are_numbered_and_share_their_opening() -> None:
    """x x x x .  with consecutive 2: opened by the second window, whose end is the opening."""
    steps = [step for step in live("xxxx.", consecutive=2) if step is not None]
    assert [step.number for step in steps] == [0, 1, 2, 3]
    assert {(step.alert_start, step.opened_at) for step in steps} == {(SIZE, 2 * SIZE)}
    assert [step.consecutive for step in steps] == [2, 3, 4, 0]


def test_consecutive_begins_again_behind_a_gap() -> None:
    steps = [step for step in live("xx_x") if step is not None]
    assert [step.consecutive for step in steps] == [1, 2, 1]


def test_sliding_windows_follow_each_other_at_their_slide() -> None:
    """Windows of 60, one every 20: neighbours are 20 apart, so nothing is missing between them."""
    steps = live("xx", consecutive=2, slide=20)
    assert steps[1] is not None
    assert (steps[1].alert_start, steps[1].opened_at) == (20, 80)


@given(windows=st.text(".?_", max_size=12), consecutive=st.integers(1, 3), cooldown=st.integers(0, 5))
def test_without_a_violation_nothing_is_remembered(windows: str, consecutive: int, cooldown: int) -> None:
    memory = RuleMemory()
    for k, window in enumerate(windows):
        if window != "_":
            memory, step = advance(memory, VIOLATES[window], k * SIZE, SIZE, SIZE, consecutive, cooldown)
            assert step is None
    assert memory == RuleMemory()


@settings(max_examples=500)
@given(
    windows=st.lists(st.sampled_from("xxx.?_"), max_size=40).map("".join),
    consecutive=st.integers(1, 4),
    cooldown=st.integers(0, 6),
)
def test_an_episode_fires_once_and_is_resolved_once(windows: str, consecutive: int, cooldown: int) -> None:
    """Whatever the windows: F, some O, R, and so on; cooldown lies between two F, and between notifications of one."""
    letters = drawn(windows, consecutive, cooldown)
    said = letters.replace(".", "")
    for episode in said.split("R"):
        assert episode in {"", "F" + "O" * (len(episode) - 1)}
    assert "R" not in said or said[0] == "F"
    fired = [k for k, letter in enumerate(letters) if letter == "F"]
    assert all(later - earlier >= cooldown for earlier, later in pairwise(fired))
    notified = [(k, letters[:k].count("R")) for k, letter in enumerate(letters) if letter in "FO"]
    assert all(
        later - earlier >= cooldown for (earlier, episode), (later, same) in pairwise(notified) if episode == same
    )
