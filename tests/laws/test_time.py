"""Laws of time: windows, roll-ups, empty windows, late events and silence are those of a plain event-by-event clock.

And they are the same, to the last bit, whatever the batches, the restarts, and what else there is to close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streammon.core.closing import ClosedGroup
from tests.core.test_snapshot import captured, said
from tests.laws.timelines import folded, play, rows_of, steady
from tests.oracle.clock import Verdict
from tests.oracle.timelines import Timeline, expected, random_timeline

STREAMS, EACH, EVENTS = 320, 40, 120
SEEDS = st.integers(0, STREAMS - 1)
PLACES = st.lists(st.integers(0, EVENTS), max_size=8)
TOLERANCE = 1e-12


# --- the oracle -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(0, STREAMS, EACH))
def test_windows_and_late_events_are_those_of_the_oracle(first: int) -> None:
    """Of every window: identity, n, late events, closing position, the sum of its values. Of every event: whether it is
    late. And how long nothing may happen until something is due (where every series has windows).
    """
    for seed in range(first, first + EACH):
        timeline = random_timeline(seed, EVENTS)
        wanted, found = expected(timeline), play(timeline).found
        assert found.verdicts == wanted.verdicts, f"seed {seed}: {timeline.config}"
        assert found.closed == wanted.closed, f"seed {seed}: {timeline.config}"
        if not timeline.config["scopes"]:
            assert found.until_due == wanted.until_due, f"seed {seed}: {timeline.config}"


def test_the_timelines_have_everything_in_them() -> None:
    """Late events, the future, windows closed by silence, of a night ago, empty, of roll-ups, and beyond the limit."""
    seen = dict.fromkeys(("late", "future", "silence", "night", "empty", "rollup", "other", "late for a rollup"), 0)
    for seed in range(40):
        timeline = random_timeline(seed, EVENTS)
        found = expected(timeline)
        silences = {position for position, _ in timeline.idle}
        seen["late"] += Verdict.LATE in found.verdicts
        seen["future"] += Verdict.FUTURE in found.verdicts
        for window in found.closed:
            rollup = "*" in window.series
            seen["silence"] += window.position in silences
            seen["night"] += "nightly" in window.series and window.n > 0
            seen["empty"] += window.n == 0
            seen["rollup"] += rollup
            seen["late for a rollup"] += rollup and window.n_late > 0
            seen["other"] += window.series.model_id == "__other__"
    assert min(seen.values()) >= 20, seen


# --- batches and restarts ---------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(seed=SEEDS, cuts=PLACES)
def test_any_batches_give_the_same_bits(seed: int, cuts: list[int]) -> None:
    """Windows with their sums, and all that a snapshot would write."""
    timeline = random_timeline(seed, EVENTS)
    whole, cut = play(timeline), play(timeline, cuts)
    assert said(cut.groups) == said(whole.groups)
    assert cut.found == whole.found
    assert captured(cut.engine) == captured(whole.engine)


@settings(max_examples=25)
@given(seed=SEEDS, cuts=PLACES, restarts=PLACES)
def test_a_restart_anywhere_gives_the_same_bits(seed: int, cuts: list[int], restarts: list[int]) -> None:
    """Written down and read back: what closes later closes alike, late events too, and so does what is silent."""
    timeline = random_timeline(seed, EVENTS)
    whole, restarted = play(timeline), play(timeline, cuts, restarts)
    assert said(restarted.groups) == said(whole.groups)
    assert restarted.found == whole.found


# --- what else there is -----------------------------------------------------------------------------------------------


def bits(groups: Sequence[ClosedGroup]) -> dict[Any, Any]:
    """Windows by identity: what is in them, to the last bit."""
    return {
        (header.series, header.spec, header.start): (header.n, header.n_late, header.data_hash, state)
        for _, header, state in said(list(groups))
    }


@settings(max_examples=10)
@given(seed=SEEDS, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=2, unique=True))
def test_other_windows_of_the_plan_change_nothing(seed: int, sizes: list[int]) -> None:
    """Longer and shorter ones over the same panes, before and behind in the order of windows."""
    timeline = random_timeline(seed, EVENTS, max_series=1000, scopes=[])
    width, origin = _grid(timeline.config["windows"])
    more = [(size * width, width, origin) for size in sizes]
    more = [window for window in more if window not in timeline.config["windows"]]
    windows = timeline.config["windows"] + more
    alone = bits(play(timeline).groups)
    beside = bits(play(replace(timeline, config=timeline.config | {"windows": windows})).groups)
    assert {key: beside[key] for key in alone} == alone
    assert len(beside) > len(alone) or not more


@settings(max_examples=10)
@given(seed=SEEDS)
def test_other_series_that_close_at_once_change_nothing(seed: int) -> None:
    """Every event twice, the second for another model: the windows of both are those of one alone."""
    timeline = random_timeline(seed, EVENTS, max_series=1000, scopes=[])
    twins = [
        copy
        for event in timeline.events
        for copy in (event, event._replace(series=event.series._replace(model_id="z" + event.series.model_id)))
    ]
    both = Timeline(timeline.config, twins, [(2 * position, advance) for position, advance in timeline.idle])
    alone, beside = bits(play(timeline).groups), bits(play(both).groups)
    for (series, spec, start), window in alone.items():
        assert beside[series, spec, start] == window
        assert beside[series._replace(model_id="z" + series.model_id), spec, start] == window
    assert len(beside) == 2 * len(alone)


def _grid(windows: Sequence[tuple[int, int, int]]) -> tuple[int, int]:
    """Width and origin of the panes."""
    width = int(np.gcd.reduce([n for size, slide, offset in windows for n in (size, slide, offset - windows[0][2])]))
    return width, windows[0][2] % width


# --- merging ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("panes", [2, 3, 8, 37, 128, 1000])
def test_a_window_of_many_panes_is_one_pane_of_all_its_events(panes: int) -> None:
    """Exactly for counts, extremes and samples; sums of floats within 1e-12. Against a plan whose panes are windows."""
    timeline = steady(panes, 3 * panes, slide=panes)
    of_one = replace(timeline, config=timeline.config | {"windows": timeline.config["windows"][:1], "scopes": []})
    merged, whole = rows_of(play(timeline).groups), rows_of(play(of_one).groups)
    assert len(merged) == len(whole) >= 2
    for (group, w, header), (other, v, same) in zip(whole, merged, strict=True):
        assert header == same._replace(policy=header.policy)
        assert group.aggregates.keys() == other.aggregates.keys()
        for name, closed in group.aggregates.items():
            for field, array in closed.state.items():
                _assert_close(other.aggregates[name].state[field][v], array[w], f"{name}.{field}")


def _assert_close(found: NDArray[Any], wanted: NDArray[Any], what: str) -> None:
    """All values that are added are positive, so that the sum is its own magnitude."""
    if np.issubdtype(wanted.dtype, np.integer):
        np.testing.assert_array_equal(found, wanted, err_msg=what)
    else:
        np.testing.assert_allclose(found, wanted, rtol=TOLERANCE, err_msg=what)


@pytest.mark.parametrize("panes", [2, 8, 32, 128, 512, 1024])
def test_merging_grows_with_the_logarithm_of_the_panes(panes: int) -> None:
    """Rows of state that are folded into others, for each window of `panes` panes, one every pane."""
    rows, windows = folded(steady(panes, panes + 200))
    assert windows > 200
    assert 0 < rows <= (3 * log2(panes) + 4) * windows
