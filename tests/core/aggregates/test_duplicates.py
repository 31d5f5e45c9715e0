"""The share of repeated requests, against counts of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.core.aggregates.base import Closed, Placed, merge, zero
from streammon.core.aggregates.duplicates import IDS, Duplicates
from streammon.core.baseline import Layout
from streammon.core.bottom_k import sample_hash
from streammon.core.panes import stack
from tests.core.batches import events
from tests.oracle.measure import duplicates, id_hash

BARE = Layout()
FIELDS = Duplicates().fields(BARE)


def rate(*panes: Sequence[str | None]) -> tuple[float, int]:
    """Value and n of a window of these panes, each a list of req_id."""
    references, count = stack(BARE, [None]), len(panes)
    state, row = zero(FIELDS, count), np.zeros(count, np.int32)
    rows = [{"req_id": req_id} for pane in panes for req_id in pane]
    slots = np.repeat(np.arange(count, dtype=np.int32), [len(pane) for pane in panes])
    Duplicates().add(state, Placed(events(rows), np.arange(len(rows)), slots, row, references))
    window = merge(FIELDS, state, np.zeros(count, np.intp), 1)
    n = np.array([len(rows)])
    (column,), _ = Duplicates().result(Closed(window, row[:1], references, n, np.array([60.0]), BARE))
    return float(column.value[0, 0]), int(column.n[0, 0])


def test_repeats_are_what_comes_after_the_first() -> None:
    """Across panes too; ids that are null or empty are left out."""
    assert rate(["a", "b", "a", None, ""], ["a", "c", ""]) == (2 / 5, 5)


def test_without_ids_there_is_no_rate() -> None:
    value, n = rate([None, "", None])
    assert np.isnan(value)
    assert n == 0


@settings(max_examples=200)
@given(
    ids=st.lists(st.sampled_from([f"{'x' * (i % 40)}{i}" for i in range(IDS)]), max_size=200), cut=st.integers(0, 200)
)
def test_a_window_of_few_ids_is_exact(ids: list[str], cut: int) -> None:
    """At most as many as a sample holds: the rate over all events."""
    value, n = rate(ids[:cut], ids[cut:])
    assert n == len(ids)
    assert not ids or value == pytest.approx(1 - len(set(ids)) / len(ids))


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32), ids=st.integers(1, 500), cuts=st.lists(st.integers(0, 1000), max_size=4))
def test_any_order_and_any_panes_give_what_the_oracle_says(seed: int, ids: int, cuts: list[int]) -> None:
    """More ids than a sample holds: those with the smallest hashes, each with all of its events."""
    rng = np.random.default_rng(seed)
    stream = [f"request-{i:x}" * (1 + i % 3) for i in rng.integers(0, ids, 1000).tolist()]
    bounds = [0, *sorted(cuts), len(stream)]
    expected = duplicates([{"req_id": req_id} for req_id in stream])
    shuffled = rng.permutation(stream).tolist()
    for order in (stream, stream[::-1], shuffled):
        panes = [order[low:high] for low, high in pairwise(bounds)]
        value, n = rate(*panes)
        assert value == pytest.approx(expected["value"])
        assert n == expected["n"]


@pytest.mark.parametrize("style", ["{}", "{:032x}", "req-{:08d}-eu", "{:b}"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_the_estimate_is_near_the_truth_whatever_the_ids_look_like(style: str, share: float) -> None:
    """20 windows of 2,000 events: their mean within 3 standard errors of the mean, each within 5 of its own."""
    rng = np.random.default_rng(7)
    found = []
    for window in range(20):
        fresh = rng.random(2000) >= share / (1 - share)  # of the ids, those that are not sent twice
        ids = [style.format(window * 2000 + i) for i, once in enumerate(fresh) for _ in range(1 if once else 2)]
        truth = 1 - len(Counter(ids)) / len(ids)
        value, n = rate(ids)
        error = np.sqrt(max(truth * (1 - truth), 1e-12) / n)
        assert abs(value - truth) <= 5 * error
        found.append((value - truth) / error)
    assert abs(np.mean(found)) <= 3 / np.sqrt(20)


@given(st.binary(max_size=40), st.integers(0, 9))
def test_the_hash_is_the_one_in_the_changelog(data: bytes, before: int) -> None:
    """Written down a second time in the oracle: a change of it would mix two kinds of samples in one window."""
    buffer = np.frombuffer(b"x" * before + data + b"tail", np.uint8)
    assert sample_hash(buffer, before, len(data)) == id_hash(data)
