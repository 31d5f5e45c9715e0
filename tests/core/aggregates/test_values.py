"""What each aggregate says of a few events that can be counted by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.core.aggregates.base import Aggregate, Closed, Placed, zero
from streammon.core.aggregates.histogram import Histogram
from streammon.core.aggregates.latency import EDGES, Latency
from streammon.core.aggregates.moments import Moments
from streammon.core.aggregates.prediction import Prediction
from streammon.core.aggregates.traffic import Traffic
from streammon.core.baseline import Baseline, Layout
from streammon.core.panes import stack
from tests.core.batches import CLASSES, FEATURES, events
from tests.laws.harness import reference

NAMED = Layout(FEATURES, CLASSES, 2)
BASELINE = reference()
NAN = float("nan")


def said(aggregate: Aggregate, rows: Sequence[Mapping[str, Any]], baseline: Baseline | None = None) -> dict[str, Any]:
    """Values of one window of these events by name (a list where it is per feature), with "state.FIELD" beside."""
    fields, references = aggregate.fields(NAMED), stack(NAMED, [None, baseline])
    state, count = zero(fields, 1), len(rows)
    row = np.array([0 if baseline is None else 1], np.int32)
    aggregate.add(state, Placed(events(rows), np.arange(count), np.zeros(count, np.int32), row, references))
    columns, _ = aggregate.result(Closed(state, row, references, np.array([count]), np.array([60.0]), NAMED))
    found: dict[str, Any] = {f"state.{name}": array[0] for name, array in state.items()}
    for column in columns:
        found[column.name] = column.value[0].tolist() if column.features else float(column.value[0, 0])
    return found


def test_traffic_counts_classes_of_status() -> None:
    """0 is null; 99 and 600 are no status at all; rates are of those that have one."""
    codes = [0, 99, 100, 200, 399, 400, 499, 500, 599, 600, -5]
    found = said(Traffic(), [{"http_status": code, "timed_out": code == 200} for code in codes])
    assert found["traffic.count"] == 11
    assert found["traffic.qps"] == pytest.approx(11 / 60)
    assert found["traffic.rate_4xx"] == pytest.approx(2 / 7)
    assert found["traffic.rate_5xx"] == pytest.approx(2 / 7)
    assert found["traffic.invalid_status"] == 3
    assert found["traffic.timeout_rate"] == pytest.approx(1 / 11)


@given(st.lists(st.floats(1e-3, 1e7), min_size=1, max_size=50))
def test_latency_quantiles_are_within_one_percent(values: list[float]) -> None:
    """Of the value of that rank (numpy's `lower`); mean and maximum are exact."""
    found = said(Latency(), [{"latency_ms": value} for value in values])
    for q in (50, 95, 99):
        assert found[f"latency.p{q}"] == pytest.approx(np.percentile(values, q, method="lower"), rel=0.01)
    assert found["latency.max"] == max(values)
    assert found["latency.mean"] == pytest.approx(np.mean(values), rel=1e-12)


def test_latency_knows_what_is_no_latency() -> None:
    """Null is nothing; negative, infinite and absurd are invalid; 0 and what is too small or large still counts."""
    found = said(Latency(), [{"latency_ms": x} for x in (NAN, -1.0, np.inf, -np.inf, 1e300, 0.0, 1e-9, 1e9)])
    assert (found["latency.invalid"], found["state.n"]) == (4, 3)
    assert (found["state.counts"][0], found["state.counts"][-1]) == (2, 1)
    assert (found["latency.max"], found["latency.p50"]) == (1e9, pytest.approx(0.0, abs=1e-9))


@given(st.lists(st.floats(0, 1e99) | st.sampled_from(EDGES.tolist()), min_size=1, max_size=50))
def test_every_latency_falls_into_its_bin(values: list[float]) -> None:
    """What numpy's search says, on the edges and a float to either side of them."""
    near = np.array([values, np.nextafter(values, np.inf), np.nextafter(values, 0)]).ravel()
    counts = said(Latency(), [{"latency_ms": x} for x in near.tolist()])["state.counts"]
    expected = np.bincount(np.searchsorted(EDGES, near, side="right"), minlength=len(counts))
    assert counts.tolist() == expected.tolist()


def test_a_latency_on_an_edge_belongs_to_the_bin_above() -> None:
    counts = said(Latency(), [{"latency_ms": edge} for edge in (EDGES[0], EDGES[7], np.nextafter(EDGES[7], 0))])
    assert np.flatnonzero(counts["state.counts"]).tolist() == [1, 7, 8]


def test_moments_of_values_far_from_zero_keep_their_digits() -> None:
    """Anchored at the baseline's mean: at 1e9 with sd 1, plain sums of squares would lose all."""
    rng = np.random.default_rng(1)
    values = 1e9 + rng.normal(0, 1, 1000)
    mean = np.array([1e9, 0.0, 0.0, 0.5])
    anchored = Baseline(**{name: getattr(BASELINE, name) for name in BASELINE.__slots__} | {"mean": mean})
    rows = [{"features": [value, 0.0, NAN], "score": 0.5} for value in values]
    found = said(Moments(), rows, anchored)
    assert found["feature.mean"][0] == pytest.approx(values.mean(), rel=1e-15)
    assert found["feature.variance"][0] == pytest.approx(np.var(values, ddof=1), rel=1e-9)
    assert found["feature.variance"][1] == 0
    assert np.isnan(found["feature.mean"][2])
    assert (found["prediction.score_mean"], found["prediction.score_sd"]) == (0.5, 0.0)


def test_the_variance_of_one_value_is_unknown() -> None:
    found = said(Moments(), [{"features": [1.0, np.inf, 1e101], "score": 2.0}])
    assert found["feature.mean"][0] == 1.0
    assert np.isnan(found["feature.variance"]).all()
    assert np.isnan(found["feature.mean"][1:]).all(), "infinite, or as good as"


def test_a_value_on_an_edge_belongs_to_the_bin_above_and_an_atom_has_its_own() -> None:
    """0.0 repeats in the reference: its bin holds 0.0 alone. The greatest reference value is in range."""
    edges, bins = BASELINE.edges[0], int(BASELINE.bins[0])
    atom = int(np.flatnonzero(edges == 0.0)[0])
    assert edges[atom + 1] == np.nextafter(0.0, 1.0)
    below, above = np.nextafter(0.0, -1.0), np.nextafter(0.0, 1.0)
    values = [below, 0.0, -0.0, above, edges[0], np.nextafter(edges[bins], -np.inf), edges[bins]]
    counts = said(Histogram(), [{"features": [x, 0.0, 0.0]} for x in values], BASELINE)["state.counts"][0]
    expected = {atom: 1, atom + 1: 2, atom + 2: 1, 1: 1, bins: 1, bins + 1: 1}
    assert {int(cell): int(counts[cell]) for cell in np.flatnonzero(counts)} == expected


def test_the_histogram_counts_what_is_missing_infinite_or_out_of_range() -> None:
    lowest, highest = BASELINE.edges[0][0], BASELINE.edges[0][BASELINE.bins[0]]
    values = [NAN, np.inf, -np.inf, 1e101, lowest - 3.0, lowest - 1.0, highest + 2.0, 0.0]
    found = said(Histogram(), [{"features": [x, 0.0, 0.0]} for x in values] + [{"features": []}], BASELINE)
    assert found["feature.missing_rate"][0] == pytest.approx(1 / 8), "an event without features is not one of them"
    assert found["feature.non_finite_rate"][0] == pytest.approx(3 / 8)
    assert found["feature.out_of_range_rate"][0] == pytest.approx(3 / 4)
    assert (found["state.below"][0], found["state.above"][0]) == (pytest.approx(-4.0), pytest.approx(2.0))


def test_predictions_are_counted_by_class_and_score() -> None:
    """A class that the layout does not name is unseen, also the empty one; a score of 1 lies in the last bin."""
    classes = ["cat", "cat", "dog", "ca", "", None]
    scores = [0.0, 0.999, 1.0, 1.0000001, -0.0, NAN]
    rows = [{"prediction": name, "score": score} for name, score in zip(classes, scores, strict=True)]
    found = said(Prediction(), rows)
    assert found["prediction.class_share"] == pytest.approx([2 / 5, 1 / 5])
    assert found["prediction.unseen_rate"] == pytest.approx(2 / 5)
    assert found["prediction.score_invalid"] == 1
    assert (found["state.score_counts"][0], found["state.score_counts"][99]) == (2, 2)


def test_traffic_counts_keys_that_are_not_the_model() -> None:
    found = said(Traffic(), [{"key": key} for key in (0, 0, 0, 1, 2, 2, 0, 0)])
    assert (found["traffic.key_null_rate"], found["traffic.key_mismatch_rate"]) == (1 / 8, 2 / 8)


def test_uncertainty_is_of_the_events_with_probabilities() -> None:
    """Entropy in nats: ln 2 for a coin, 0 for a certainty. One number that is no probability spoils its event."""
    rows: list[dict[str, list[float]]] = [
        {"probs": [0.5, 0.5]},
        {"probs": [0.0, 1.0]},
        {"probs": [np.inf, 0.0]},
        {"probs": [0.0, NAN]},
        {"probs": [1.5, -0.5]},
        {"probs": [0.0, 1.0000001]},
        {"probs": []},
    ]
    found = said(Prediction(), rows)
    assert found["prediction.entropy"] == pytest.approx(np.log(2) / 2)
    assert found["prediction.top_probability"] == pytest.approx(0.75)
    assert found["prediction.probs_invalid"] == 4
