"""The stream: its times, its traffic, and what each kind of drift moves, measured with nothing but numpy."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streammon.adapters.event_encoder import Coded, Strings, encode
from streammon.simulate.config import DRIFT_KINDS, MICROSECONDS, Simulation
from streammon.simulate.partitioner import partition_of
from streammon.simulate.stream import CHUNK, Chunk, stream
from streammon.simulate.timing import MAX_DISORDER

END = 1_750_000_000 * MICROSECONDS
N = 4_000
SMALL: dict[str, Any] = {"events": N, "end": END, "models": 2, "partitions": 3, "seed": 7}


@cache
def chunk(drift: tuple[str, ...] = (), **changes: Any) -> Chunk:
    """A stream of one chunk; the second half of it drifts."""
    (only,) = stream(Simulation(**{**SMALL, "drift": drift, **changes}))
    return only


def coded(strings: Strings) -> Coded:
    assert isinstance(strings, Coded)
    return strings


def psi(reference: NDArray[np.floating], current: NDArray[np.floating]) -> float:
    """Population stability index on ten quantile groups of the reference, half an event added to each."""
    edges = np.unique(np.quantile(reference, np.arange(0.1, 0.95, 0.1)))
    counts = [
        np.bincount(np.searchsorted(edges, x, side="right"), minlength=len(edges) + 1) for x in (reference, current)
    ]
    p, q = ((count + 0.5) / (count + 0.5).sum() for count in counts)
    return float(((p - q) * np.log(p / q)).sum())


def test_a_stream_has_the_events_that_were_asked_for() -> None:
    """In chunks, the last one shorter; request ids occur once; a chunk more changes nothing before it."""
    config = Simulation(**{**SMALL, "events": CHUNK + 300, "rate": 100.0})
    first, last = stream(config)
    assert (len(first), len(last)) == (CHUNK, 300)
    ids = [chunk.columns.req_id for chunk in (first, last)]
    assert len(np.unique(np.concatenate([array for array in ids if isinstance(array, np.ndarray)]))) == config.events
    assert first.timestamp[-1] <= last.timestamp[0]


def test_records_are_appended_in_order_shortly_after_their_predictions() -> None:
    """Record times never go back and finish at the end; event times lag by milliseconds, some by up to 2 s."""
    some = chunk(span=600.0)
    config = Simulation(**{**SMALL, "span": 600.0})
    assert (np.diff(some.timestamp) >= 0).all()
    assert config.start // 1000 <= some.timestamp[0] < config.start // 1000 + 1_000
    assert END // 1000 - 1_000 < some.timestamp[-1] < END // 1000
    lag = some.timestamp * 1000 - some.columns.ts
    assert lag.min() >= 0
    assert 1_000 < np.median(lag) < 20_000
    assert 100_000 < lag.max() <= MAX_DISORDER
    assert (np.diff(some.columns.ts) < 0).any()


def test_traffic_is_even() -> None:
    """Each tenth of the span holds a tenth of the records, lanes have their shares, models share evenly."""
    some = chunk()
    tenths = np.histogram(some.timestamp, bins=10)[0]
    assert np.abs(tenths - N / 10).max() <= 3
    lanes = np.bincount(coded(some.columns.lane).code) / N
    np.testing.assert_allclose(lanes, (0.7, 0.3), atol=0.03)
    np.testing.assert_allclose(np.bincount(coded(some.columns.model_id).code) / N, 0.5, atol=0.03)


def test_key_and_partition_follow_the_model() -> None:
    """The key is the model's id, the partition that of the key."""
    some = chunk()
    model = coded(some.columns.model_id)
    assert [key.decode() for key in some.key] == [model.table[code] for code in model.code]
    assert some.partition.tolist() == [partition_of(key, 3) for key in some.key]


def test_answers_are_those_of_the_network() -> None:
    """Right nine times in ten; the score is the probability of the prediction; a failed request has no answer."""
    some = chunk()
    columns = some.columns
    answered = columns.http_status == 200
    prediction = coded(columns.prediction)
    assert prediction.table == (*"0123456789", None)
    assert (prediction.code[answered] == some.label[answered]).mean() > 0.9
    assert (prediction.code[~answered] == 10).all()
    rows = np.flatnonzero(answered)
    np.testing.assert_array_equal(columns.score[rows], columns.probs.values[rows, prediction.code[rows]])
    assert np.isnan(columns.score[~answered]).all()
    for answer in (columns.probs, columns.embedding):
        np.testing.assert_array_equal(answer.recorded, answered)
    assert 0.98 < answered.mean() < 1


def test_every_request_is_another_picture() -> None:
    """Scans come again and again, but never exposed alike."""
    features = chunk().columns.features.values
    assert len(np.unique(features, axis=0)) == N


def test_the_same_configuration_gives_the_same_bytes() -> None:
    """And another seed gives others."""
    config = Simulation(**{**SMALL, "drift": DRIFT_KINDS})
    (first,), (again,) = stream(config), stream(config)
    assert encode(first.columns) == encode(again.columns)
    assert encode(first.columns) != encode(chunk(DRIFT_KINDS, seed=8).columns)


def test_without_drift_the_halves_look_alike() -> None:
    """PSI of every feature and of the score between samples of 1,000 events: the null level, about 9 x 2 / 1,000."""
    some = chunk()
    for column in (*some.columns.features.values.T, some.columns.score):
        assert psi(column[:1_000][~np.isnan(column[:1_000])], column[-1_000:][~np.isnan(column[-1_000:])]) < 0.08


def test_drift_begins_where_it_should() -> None:
    """By event time, at the share of the span; with `only`, for one model and lane."""
    config = Simulation(**{**SMALL, "drift": ("latency",), "drift_at": 0.75, "only": ("*-1", "canary")})
    (some,) = stream(config)
    model, lane = coded(some.columns.model_id).code, coded(some.columns.lane).code
    late = some.columns.ts >= config.start + 0.75 * config.duration
    np.testing.assert_array_equal(some.drifted, late & (model == 1) & (lane == 1))
    calm = chunk()
    changed = some.columns.latency_ms != calm.columns.latency_ms
    assert not (changed & ~some.drifted).any()
    assert changed[some.drifted].mean() > 0.9


def test_each_kind_begins_at_its_own_time() -> None:
    """Before its onset a kind changes nothing, whatever began sooner; an event is drifted when any kind touches it."""
    config = Simulation(**{**SMALL, "drift": ("latency", "missing"), "drift_at": (0.75, 0.25)})
    (some,) = stream(config)
    slow, lost = (some.columns.ts >= config.onsets[kind] for kind in ("latency", "missing"))
    calm = chunk()
    np.testing.assert_array_equal(some.drifted, lost)
    changed = some.columns.latency_ms != calm.columns.latency_ms
    assert not changed[~slow].any()
    assert changed[slow].mean() > 0.9
    np.testing.assert_array_equal(np.isnan(some.columns.features.values).any(axis=1) & ~lost, np.zeros(len(some)))


def measured(some: Chunk) -> dict[str, NDArray[Any]]:
    """The columns by what they tell; answers as the network gave them, whatever the status."""
    columns = some.columns
    return {
        "features": columns.features.values,
        "probs": columns.probs.values,
        "embedding": columns.embedding.values,
        "label": some.label,
        "latency": np.where(columns.timed_out, 0, columns.latency_ms),
        "status": columns.http_status,
    }


@pytest.mark.parametrize(
    "kind, moves",
    [
        ("covariate", {"features", "probs", "embedding"}),
        ("class_mix", {"features", "probs", "embedding", "label"}),
        ("embedding", {"embedding"}),
        ("latency", {"latency"}),
        ("errors", {"status", "latency"}),  # a request that runs into its deadline takes that long
        ("missing", {"features"}),
    ],
)
def test_a_kind_of_drift_moves_what_it_is_about_and_nothing_else(kind: str, moves: set[str]) -> None:
    """Everything before it, and everything else after it, is bit for bit what it is without drift."""
    calm, drifted = chunk(), chunk((kind,))
    before, after = measured(calm), measured(drifted)
    rows = drifted.drifted
    assert 0.49 < rows.mean() < 0.51
    for name in before:
        np.testing.assert_array_equal(before[name][~rows], after[name][~rows])
    changed = {name for name in before if not np.array_equal(before[name], after[name], equal_nan=name == "features")}
    assert changed == moves


def test_covariate_drift_moves_features_and_answers() -> None:
    """Several features by a PSI above 0.3, and by its own doing the network's score and embedding."""
    some = chunk(("covariate",))
    first, last = ~some.drifted, some.drifted
    moved = [psi(column[first], column[last]) for column in some.columns.features.values.T]
    assert sum(value > 0.3 for value in moved) >= 5
    assert sum(value < 0.1 for value in moved) >= 3, "not every feature: some do not depend on light"
    score, embedding = some.columns.probs.values.max(axis=1), some.columns.embedding.values
    assert psi(score[first], score[last]) > 0.3
    assert np.abs(embedding[first].mean(axis=0) - embedding[last].mean(axis=0)).mean() > 0.1


def test_class_mix_changes_the_predictions() -> None:
    """0, 1 and 7 come four times as often as the others."""
    some = chunk(("class_mix",))
    for rows, share in ((~some.drifted, 0.3), (some.drifted, 12 / 19)):
        predicted = coded(some.columns.prediction).code[rows]
        assert np.isin(predicted, (0, 1, 7)).mean() == pytest.approx(share, abs=0.05)


def test_embedding_drift_is_half_a_standard_deviation() -> None:
    """Of each activation, up and down in turn."""
    some = chunk(("embedding",))
    values = some.columns.embedding.values
    moved = values[some.drifted].mean(axis=0) - values[~some.drifted].mean(axis=0)
    spread = values[~some.drifted].std(axis=0)
    np.testing.assert_allclose(moved / spread, np.tile([0.5, -0.5], 32), atol=0.2)


def test_latency_errors_and_missing_values_drift() -> None:
    """Latency doubles, one answer in twenty becomes a server error, a fifth of four features is lost."""
    some = chunk(("latency", "errors", "missing"))
    columns, first, last = some.columns, ~some.drifted, some.drifted
    assert np.median(columns.latency_ms[last]) / np.median(columns.latency_ms[first]) == pytest.approx(2, rel=0.1)
    assert (columns.http_status[first] >= 500).mean() < 0.01
    assert (columns.http_status[last] >= 500).mean() == pytest.approx(0.06, abs=0.02)
    assert columns.timed_out[last].mean() > columns.timed_out[first].mean()
    lost = np.isnan(columns.features.values)
    assert not lost[first].any()
    np.testing.assert_allclose(np.sort(lost[last].mean(axis=0))[-4:], 0.2, atol=0.04)
    assert np.count_nonzero(lost.any(axis=0)) == 4
