"""The counts behind an alert: by group, in the baseline's bounds, and the very ones that the measurement came from."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.core.measures import CellCounts, Distributions, Edges
from streammon.core.outputs import Distribution, Measurement
from streammon.core.publish import metric_events
from streammon.core.state import ActiveBaseline
from tests.core.batches import events
from tests.core.hand import Hand
from tests.laws.harness import SUITE, reference

BASELINE = reference()

# Two windows of two features in five cells. Feature a has three groups, b one.
CELLS = CellCounts(
    "feature.",
    ("a", "b"),
    current=np.array([[[1, 2, 3, 4, 5], [1, 1, 1, 1, 1]], [[0, 0, 7, 0, 0], [0, 0, 0, 0, 0]]]),
    reference=np.array([[[9, 9, 9, 9, 9], [3, 3, 3, 3, 3]], [[8, 8, 8, 8, 8], [2, 2, 2, 2, 2]]]),
    groups=np.array([[[0, 0, 1, 1, 2], [0, 0, 0, 0, 0]], [[0, 1, 1, 1, 2], [0, 0, 0, 0, 0]]], np.int32),
    edges=Edges(
        np.array([[[0, 0, 0, 0]] * 2, [[1, 2, 3, 4]] * 2, [[5, 6, 7, 8]] * 2], float), np.array([1, 2], np.int32)
    ),
)


@pytest.mark.parametrize(
    "window, feature, expected",
    [
        (0, 0, Distribution("feature", (2.0, 4.0), (), (3, 7, 5), (18, 18, 9))),
        (0, 1, Distribution("feature", (), (), (5,), (15,))),
        (1, 0, Distribution("feature", (5.0, 8.0), (), (0, 7, 0), (8, 24, 8))),
        (1, 1, Distribution("feature", (), (), (0,), (10,))),
    ],
)
def test_cells_are_added_up_to_groups_between_the_bounds_of_the_windows_baseline(
    window: int, feature: int, expected: Distribution
) -> None:
    assert CELLS.distribution(window, feature) == expected


def test_classes_stay_as_they_are_under_their_labels() -> None:
    counts = CellCounts(
        "prediction.class_",
        None,
        np.array([[[4, 0, 1]]]),
        np.array([[[40, 10, 0]]]),
        np.array([[[0, 1, 2]]], np.int32),
        labels=("cat", "dog", "unseen"),
    )
    expected = Distribution("prediction.class", (), ("cat", "dog", "unseen"), (4, 0, 1), (40, 10, 0))
    assert counts.distribution(0, 0) == expected


@given(st.data())
def test_nothing_is_lost_on_the_way_to_groups(data: st.DataObject) -> None:
    """Also at 2^53 and more, where a sum in floating point would be another number."""
    counts = data.draw(st.lists(st.integers(0, 2**55), min_size=1, max_size=40))
    steps = data.draw(st.lists(st.integers(0, 1), min_size=len(counts) - 1, max_size=len(counts) - 1))
    groups = [0, *np.cumsum(steps).tolist()]
    edges = Edges(np.arange(len(counts) - 1, dtype=float)[None, None], np.zeros(1, np.int32))
    table = np.array(counts)[None, None]
    found = CellCounts("feature.", ("a",), table, table[..., ::-1], np.array([[groups]], np.int32), edges).distribution(
        0, 0
    )
    wanted = [sum(n for n, group in zip(counts, groups, strict=True) if group == g) for g in range(groups[-1] + 1)]
    assert list(found.current) == wanted
    assert sum(found.reference) == sum(counts)
    assert list(found.bounds) == [groups.index(g) - 1 for g in range(1, groups[-1] + 1)]


def test_a_measurement_finds_what_it_compares_and_others_find_nothing() -> None:
    behind = Distributions({"feature.psi": CELLS}, 1)
    assert behind.behind(Measurement("feature.psi", 0.5, "b")) == CELLS.distribution(1, 1)
    assert behind.behind(Measurement("feature.mean", 0.5, "b")) is None
    assert Distributions().behind(Measurement("feature.psi", 0.5, "b")) is None


def test_psi_can_be_worked_out_again_from_what_lies_behind_it() -> None:
    """For each distribution of a window that the line itself closed; other measurements have nothing behind them."""
    hand = Hand(None, {BASELINE.baseline_id: BASELINE})
    hand.engine.activate(ActiveBaseline(BASELINE.baseline_id, "fraud0", "1", BASELINE.content_hash, None))
    rows = [
        {"ts": k, "model_id": model, "model_version": "1", "features": (k / 10, -k, 5.0), "score": k / 30,
         "prediction": ("cat", "dog", "bird")[k % 3]}
        for k in range(30) for model in ("fraud0", "other")
    ]  # fmt: skip
    fed = hand.engine.feed(events([*rows, {"ts": 10_000, "model_id": "last"}]))
    checked = set()
    for _, event, distributions in metric_events(hand.engine.plan, fed.closed, SUITE):
        for measurement in event.measurements:
            found = distributions.behind(measurement)
            assert (found is None) == (measurement.reference_n is None), measurement.name
            if found is None:
                continue
            assert (sum(found.current), sum(found.reference)) == (measurement.n, measurement.reference_n)
            assert len(found.bounds) + 1 == len(found.current) or len(found.labels) == len(found.current)
            if measurement.name.endswith("psi") and measurement.value is not None:
                assert psi(found) == pytest.approx(measurement.value, rel=1e-12)
                checked.add(found.name)
    assert checked == {"feature", "prediction.score", "prediction.class"}


def psi(found: Distribution) -> float:
    pairs = [(c, r) for c, r in zip(found.current, found.reference, strict=True) if c or r]
    n, m, groups = sum(found.current), sum(found.reference), len(pairs)
    shares = [((c + 0.5) / (n + 0.5 * groups), (r + 0.5) / (m + 0.5 * groups)) for c, r in pairs]
    return sum((p - q) * math.log(p / q) for p, q in shares)
