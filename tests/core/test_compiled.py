"""What compiled loops share, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.core.compiled import bin_indices

NUMBERS = st.sampled_from([-1e100, -1.0, -0.0, 0.0, 0.5, 1.0, float(np.nextafter(1, 2)), 7.0, 1e100])


@settings(max_examples=200)
@given(st.data(), st.integers(1, 40), st.integers(1, 5))
def test_bins_are_those_of_a_search(data: st.DataObject, width: int, features: int) -> None:
    """For any number of edges, also repeated ones, and rows padded with infinity."""
    row = st.lists(NUMBERS | st.just(np.inf), min_size=width, max_size=width).map(sorted)
    edges = np.array(data.draw(st.lists(row, min_size=features, max_size=features)))
    x = np.array(data.draw(st.lists(NUMBERS | st.floats(-2, 2), min_size=features, max_size=features)))
    out = np.empty(features, np.int64)
    bin_indices(edges, x, out)
    expected = [np.searchsorted(edges[f], x[f], side="right") - 1 for f in range(features)]
    assert out.tolist() == expected


def test_nothing_is_in_no_bin() -> None:
    out = np.empty(2, np.int64)
    bin_indices(np.array([[0.0, 1.0], [np.inf, np.inf]]), np.array([np.nan, 5.0]), out)
    assert out.tolist() == [-1, -1]
