"""Window arithmetic, against a search through all windows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streammon.core.outputs import WindowSpec
from streammon.core.plan import Plan
from streammon.core.windows import next_end, starts

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


@given(spec=specs, pane=st.integers(-40, 40), mark=st.integers(-200, 200))
def test_the_next_end_is_the_least_beyond_the_mark(spec: WindowSpec, pane: int, mark: int) -> None:
    ends = [start + spec.size for start in every_window(spec, PANE * pane)]
    expected = min((end for end in ends if end > mark), default=None)
    assert next_end(spec, PANE * pane, PANE * (pane + 1), mark) == expected


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
