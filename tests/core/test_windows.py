"""Window arithmetic, against a search through all windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streammon.core.outputs import WindowSpec
from streammon.core.plan import Plan
from streammon.core.windows import blocks, last_end, last_end_apart, starts

PANE = 3  # units; sizes, slides and offsets are multiples of it

specs = st.builds(
    lambda size, slide, offset: WindowSpec(PANE * max(size, slide), PANE * slide, PANE * offset),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(-5, 5),
)


def every_window(spec: WindowSpec, pane_start: int) -> list[int]:
    """Starts of all windows that contain the pane."""
    reach = spec.size + spec.slide + abs(spec.offset)
    first = (pane_start - reach) // spec.slide * spec.slide
    candidates = range(first + spec.offset, pane_start + reach + abs(spec.offset), spec.slide)
    return [start for start in candidates if start <= pane_start and pane_start + PANE <= start + spec.size]


@given(spec=specs, pane=st.integers(-40, 40), after=st.integers(-200, 200), more=st.integers(0, 100))
def test_due_windows_are_those_that_end_between_two_marks(spec: WindowSpec, pane: int, after: int, more: int) -> None:
    """Windows that contain the pane and end in (after, after + more], in order."""
    found = list(starts(spec, PANE * pane, PANE * (pane + 1), after, after + more))
    assert found == [s for s in every_window(spec, PANE * pane) if after < s + spec.size <= after + more]


@given(first=st.integers(-300, 300), count=st.integers(1, 1200))
def test_blocks_are_the_greatest_that_fit(first: int, count: int) -> None:
    """They cover the run in order, none could be replaced by the block that it is a half of, and they are few."""
    found = list(blocks(first, first + count))
    covered = [pane for block in found for pane in range(block.first, block.end)]
    assert covered == list(range(first, first + count))
    for block in found:
        assert block.parent.first < first or block.parent.end > first + count
    assert len(found) <= max(1, 2 * (count.bit_length() - 1) + 1)


@given(spec=specs, level=st.integers(0, 4), number=st.integers(-12, 12))
def test_a_block_is_needed_until_the_last_window_with_it_closes(spec: WindowSpec, level: int, number: int) -> None:
    """With it at all, and with it as a block of its own: by a search through all windows near it."""
    low, high = (PANE * (number << level)), PANE * ((number + 1) << level)
    whole = PANE * (number >> 1 << level + 1), PANE * ((number >> 1) + 1 << level + 1)
    around = [s for pane in range(number << level, (number + 1) << level) for s in every_window(spec, PANE * pane)]
    containing = [s + spec.size for s in around if s <= low and high <= s + spec.size]
    apart = [end for end in containing if not (end - spec.size <= whole[0] and whole[1] <= end)]
    assert last_end(spec, low, high) == max(containing, default=None)
    assert last_end_apart(spec, low, high, whole) == max(apart, default=None)


@given(st.lists(specs, min_size=1, max_size=3, unique=True), st.integers(-1000, 1000))
def test_every_window_is_a_run_of_panes(windows: list[WindowSpec], time: int) -> None:
    """Whatever the offsets: windows begin and end at the edge of a pane, and `pane_after` is the next edge."""
    plan = Plan("t", tuple(windows), allowed_lateness=0)
    for spec in windows:
        for edge in (spec.offset, spec.offset + spec.slide, spec.offset + spec.size):
            assert (edge - plan.pane_origin) % plan.pane_width == 0
    edge = plan.pane_after(time)
    assert time < edge <= time + plan.pane_width
    assert (edge - plan.pane_origin) % plan.pane_width == 0
