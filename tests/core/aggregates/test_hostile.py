"""Numbers that are none, infinite, huge or out of range: each is counted where it is, and touches nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streammon.core.aggregates import AGGREGATES
from streammon.core.aggregates.base import Closed, Placed, zero
from streammon.core.baseline import Baseline, Layout
from streammon.core.events import EventBatch
from streammon.core.panes import stack
from streammon.core.suite import Suite
from tests.baselines.batches import Row
from tests.core.batches import CLASSES, FEATURES, events
from tests.laws.harness import reference

LAYOUT = Layout(FEATURES, CLASSES, 2)
BASELINE = reference()
SUITE = Suite("cpu")
Cells = dict[tuple[str, str | None], bytes]

HOSTILE = st.sampled_from(
    [
        np.nan,
        np.inf,
        -np.inf,
        1e300,
        -1e300,
        1.7976931348623157e308,
        1e100,
        -1e100,
        1e160,
        5e-324,
        -5e-324,
        -0.0,
        -1.0,
        2.0,
    ]
)
HOSTILE_INT = st.sampled_from([-(2**63), -1, 0, 99, 600, 999, 2**31, 2**63 - 1])

OWN: dict[str, tuple[str, ...]] = {  # where a number lies, to the measurements that may depend on it
    "latency_ms": ("latency.",),
    "score": ("prediction.score_",),
    "prediction_value": (),
    "weight": (),
    "probs": ("prediction.entropy", "prediction.top_probability", "prediction.probs_invalid"),
    "embedding": (),
    "http_status": ("traffic.rate_4xx", "traffic.rate_5xx", "traffic.invalid_status"),
}


def sound(rng: np.random.Generator, n: int) -> list[dict[str, Any]]:
    """Events in good health."""
    return [
        {
            "req_id": f"r{i}",
            "model_id": "m",
            "latency_ms": float(rng.lognormal(3, 1)),
            "score": float(rng.random()),
            "http_status": 200,
            "prediction": CLASSES[i % 2],
            "prediction_value": float(rng.normal()),
            "weight": 1.0,
            "probs": [0.25, 0.75],
            "embedding": [0.5, -0.5],
            "features": rng.normal(0, 1, len(FEATURES)).tolist(),
        }
        for i in range(n)
    ]


def measured(batch: EventBatch, baseline: Baseline | None) -> tuple[Cells, dict[tuple[str, str | None], float]]:
    """Every measurement of one window, drift included: all that is said of it as bytes, and its value."""
    references, n = stack(LAYOUT, [None, baseline]), len(batch)
    row, cells, values = np.array([0 if baseline is None else 1], np.int32), {}, {}
    for aggregate in AGGREGATES:
        state = zero(aggregate.fields(LAYOUT), 1)
        aggregate.add(state, Placed(batch, np.arange(n), np.zeros(n, np.int32), row, references))
        closed = Closed(state, row, references, np.array([n]), np.array([60.0]), LAYOUT)
        columns, distributions = aggregate.result(closed)
        for column in [*columns, *(test for found in SUITE.run(distributions) for test in found)]:
            arrays: list[NDArray[Any] | None] = [column.value, column.n, column.effect, column.p, column.reference_n]
            for f, feature in enumerate(column.features or (None,)):
                cells[column.name, feature] = b"".join(a[0, f].tobytes() for a in arrays if a is not None)
                values[column.name, feature] = float(column.value[0, f])
    return cells, values


@pytest.mark.parametrize("baseline", [None, BASELINE], ids=["without", "with a baseline"])
@settings(max_examples=60, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**16), n=st.integers(1, 8))
def test_a_hostile_number_changes_only_its_own_measurements(
    baseline: Baseline | None, data: st.DataObject, seed: int, n: int
) -> None:
    """Whatever lies in one place of any events, all else is to the last bit what it was, and nothing is infinite."""
    rows = sound(np.random.default_rng(seed), n)
    before, _ = measured(events(rows), baseline)
    place = data.draw(st.sampled_from([*OWN, *FEATURES]))
    at = data.draw(st.integers(0, len(OWN))) if place in FEATURES else 0
    for i in data.draw(st.sets(st.integers(0, n - 1), min_size=1)):
        value = data.draw(HOSTILE_INT if place == "http_status" else HOSTILE)
        rows[i] |= _with(rows[i], place, value, at)
    after, values = measured(events(rows), baseline)
    assert after.keys() == before.keys()
    for name, feature in after:
        if place in FEATURES:
            own = name.startswith("feature.") and feature == place
        else:
            own = name.startswith(OWN[place])
        assert own or after[name, feature] == before[name, feature], (place, name, feature)
        assert not np.isinf(values[name, feature]), (place, name, feature)


def _with(row: Row, place: str, value: float, at: int) -> Row:
    if place in FEATURES:
        features = list(row["features"])
        features[FEATURES.index(place)] = value
        return {"features": features}
    if place in ("probs", "embedding"):
        numbers = list(row[place])
        numbers[at % len(numbers)] = value
        return {place: numbers}
    return {place: value}


@settings(max_examples=100, deadline=None)
@given(data=st.data(), seed=st.integers(0, 2**16))
def test_what_is_excluded_leaves_the_numbers_of_the_rest(data: st.DataObject, seed: int) -> None:
    """Statistics of a feature, of latency and of uncertainty are those of the sound events alone."""
    rows = sound(np.random.default_rng(seed), 6)
    sick = [
        row
        | {"features": [data.draw(st.sampled_from([np.nan, np.inf, -np.inf, 1e101, -1e300])) for _ in FEATURES]}
        | {"latency_ms": data.draw(st.sampled_from([-1.0, -5e-324, np.inf, -np.inf, 1e300]))}
        | {"probs": data.draw(st.sampled_from([[np.nan, 1.0], [1.5, 0.0], [-0.5, 1.0], [np.inf, 0.0], [-1e300, 0.0]]))}
        for row in sound(np.random.default_rng(seed + 1), 3)
    ]
    _, alone = measured(events(rows), BASELINE)
    _, mixed = measured(events([*sick[:1], *rows, *sick[1:]]), BASELINE)
    for name in ("mean", "variance", "sd", "out_of_range_rate", "ks", "psi", "js"):
        for feature in FEATURES:
            assert mixed[f"feature.{name}", feature] == alone[f"feature.{name}", feature]
    for name in ("latency.p50", "latency.p99", "latency.mean", "latency.max", "prediction.entropy"):
        assert mixed[name, None] == alone[name, None]
    assert mixed["traffic.count", None] == 9, "the events are kept"
    assert (mixed["latency.invalid", None], mixed["prediction.probs_invalid", None]) == (3, 3)
    for feature in FEATURES:
        assert mixed["feature.missing_rate", feature] + mixed["feature.non_finite_rate", feature] == pytest.approx(
            3 / 9
        )
