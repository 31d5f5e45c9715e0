"""Uneven streams, each against the same stream without what makes it uneven."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from streammon.adapters.event_encoder import Coded, Strings, encode
from streammon.core.errors import UsageError
from streammon.simulate import network
from streammon.simulate.config import Simulation
from streammon.simulate.images import Scans
from streammon.simulate.stream import Chunk, stream
from streammon.simulate.timing import PRODUCERS, SECOND, Stretch, Timing

N = 4_000
SPAN = 1_000  # seconds: four events in each
END = 1_750_000_000 * SECOND
START = END - SPAN * SECOND
HOUR = 3_600 * SECOND


@pytest.fixture(scope="module", autouse=True)
def _one_network_for_all() -> Iterator[None]:
    """Training takes most of the time, and has nothing to do with when records arrive."""
    train = network.Network
    trained: dict[int, network.Network] = {}

    def reused(scans: Scans, seed: int) -> network.Network:
        if seed not in trained:
            trained[seed] = train(scans, seed)
        return trained[seed]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "Network", reused)
        yield


@cache
def chunk(**timing: Any) -> Chunk:
    """Two models in two lanes and three partitions."""
    config = Simulation(
        events=N, end=END, models=2, partitions=3, seed=7, span=SPAN, drift=("latency",), timing=Timing(**timing)
    )
    (only,) = stream(config)
    return only


def texts(strings: Strings) -> NDArray[np.str_]:
    assert isinstance(strings, Coded)
    return np.array(strings.table)[strings.code]


def ids(some: Chunk) -> list[bytes]:
    assert isinstance(some.columns.req_id, np.ndarray)
    found: list[bytes] = some.columns.req_id.tolist()
    return found


def values(some: Chunk) -> dict[bytes, bytes]:
    """The records' values by request id."""
    return dict(zip(ids(some), encode(some.columns), strict=True))


def test_records_arrive_in_order_whatever_else() -> None:
    """And everything that belongs to a record stays with it: values, keys, partitions, labels."""
    some = chunk(
        disorder=20 * SECOND,
        resent=0.3,
        bursts=(Stretch(0.5, 50 * SECOND, 4),),
        gaps=(Stretch(0.2, 100 * SECOND),),
        batch=0.2,
        batch_age=20 * HOUR,
        skew=5 * SECOND,
        duplicates=0.1,
    )
    assert (np.diff(some.timestamp) >= 0).all()
    assert some.timestamp[0] >= START // 1000
    assert some.timestamp[-1] <= END // 1000
    lengths = {len(part) for part in (some, some.columns, some.key, some.partition, some.label, some.drifted)}
    assert lengths == {len(some.timestamp)}
    assert [key.decode() for key in some.key] == texts(some.columns.model_id).tolist()
    calm = chunk()
    label = dict(zip(ids(calm), calm.label.tolist(), strict=True))
    assert [label[name] for name in ids(some)] == some.label.tolist()


def test_disorder() -> None:
    """A share of the records arrives up to so much later; with none, in the order of the predictions.

    made      1 2 3 4 5 6
    arrives   1   3 4 2 5 6     2 was sent again
    """
    some = chunk(disorder=30 * SECOND, resent=0.2)
    delay = some.timestamp * 1_000 - some.columns.ts
    assert delay.max() <= 30 * SECOND
    assert delay.max() > 29 * SECOND
    assert np.mean(delay > SECOND) == pytest.approx(0.2 * 29 / 30, abs=0.02)
    assert (np.diff(some.columns.ts) < 0).mean() > 0.1
    assert (np.diff(chunk(disorder=0).columns.ts) >= 0).all()


def test_bursts() -> None:
    """As many times the traffic there, one burst within another; the number of events is what was asked for.

    seconds   0        200   250        700      800     1000
    traffic   1 ........ 5 x ... 1 ........ 2 x ...... 1
    """
    some = chunk(bursts=(Stretch(0.2, 50 * SECOND, 5), Stretch(0.7, 100 * SECOND, 2)))
    seconds = (some.timestamp - START // 1000) / 1000
    rate = {part: np.mean((seconds >= part[0]) & (seconds < part[1])) / (part[1] - part[0]) for part in _PARTS}
    base = 1 / (1_000 + 4 * 50 + 1 * 100)
    expected = [base, 5 * base, base, 2 * base, base]
    np.testing.assert_allclose(list(rate.values()), expected, rtol=0.02)
    assert len(some) == N
    both = chunk(bursts=(Stretch(0.2, 50 * SECOND, 5), Stretch(0.2, 50 * SECOND, 2)))
    seconds = (both.timestamp - START // 1000) / 1000
    assert np.mean((seconds >= 200) & (seconds < 250)) == pytest.approx(500 / 1_450, rel=0.02)


_PARTS = ((0, 200), (200, 250), (250, 700), (700, 800), (800, 1_000))


@pytest.mark.parametrize(
    "silent, model, lane", [(("*", "*"), None, None), (("*-1", "*"), 1, None), (("digits-0", "canary"), 0, "canary")]
)
def test_gaps(silent: tuple[str, str], model: int | None, lane: str | None) -> None:
    """Nothing is predicted in a gap; what is outside, and every other series, is bit for bit what it was."""
    calm = chunk(disorder=0)
    some = chunk(disorder=0, gaps=(Stretch(0.3, 100 * SECOND), Stretch(0.95, 900 * SECOND)), silent=silent)
    since = (calm.columns.ts - START) / SECOND
    lost = ((since >= 300) & (since < 400)) | (since >= 950)
    if model is not None:
        lost &= texts(calm.columns.model_id) == f"digits-{model}"
    if lane is not None:
        lost &= texts(calm.columns.lane) == lane
    assert 0.02 < lost.mean() < 0.2
    kept = np.flatnonzero(~lost)
    every = encode(calm.columns)
    assert encode(some.columns) == [every[row] for row in kept]
    np.testing.assert_array_equal(some.timestamp, calm.timestamp[kept])


def test_a_gap_as_long_as_a_chunk_leaves_no_record() -> None:
    some = chunk(gaps=(Stretch(0, 2_000 * SECOND),), disorder=0)
    assert len(some) < 3, "but what was made before the stream began"
    assert len(encode(some.columns)) == len(some)


def test_a_nightly_job_beside_live_traffic() -> None:
    """A lane of its own in the same partitions, with times 20 h back; the others do not notice.

    arrives   10:00:00   10:00:01   10:00:02   10:00:03
    live      10:00:00              10:00:02   10:00:03
    job                  14:00:01 of the day before
    """
    calm, some = chunk(), chunk(batch=0.25, batch_age=20 * HOUR)
    lane = texts(some.columns.lane)
    job = lane == "batch"
    assert job.mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(calm.columns.ts - some.columns.ts, np.where(job, 20 * HOUR, 0))
    np.testing.assert_array_equal(some.partition, calm.partition)
    assert {*texts(calm.columns.lane)} == {*lane[~job]} == {"prod", "canary"}
    assert not some.drifted[job].any(), "drift began after the times that the job is about"
    every, mixed = encode(calm.columns), encode(some.columns)
    assert all(every[row] == mixed[row] for row in np.flatnonzero(~job))


def test_clock_skew_of_producers() -> None:
    """Each producer is wrong by the same all the time, some ahead of their records; nothing else changes."""
    calm, some = chunk(disorder=0), chunk(disorder=0, skew=30 * SECOND)
    wrong, events = np.unique(some.columns.ts - calm.columns.ts, return_counts=True)
    assert len(wrong) == PRODUCERS
    assert events.min() > N / PRODUCERS / 2
    assert np.abs(wrong).max() <= 30 * SECOND
    assert wrong.min() < 0 < wrong.max()
    np.testing.assert_array_equal(some.timestamp, calm.timestamp)


def test_duplicate_deliveries() -> None:
    """The same bytes twice, the second later; no record beyond the last first delivery of the chunk."""
    calm, some = chunk(disorder=10 * SECOND), chunk(disorder=10 * SECOND, duplicates=0.1)
    deliveries = Counter(ids(some))
    assert set(deliveries.values()) == {1, 2}
    twice = {name for name, count in deliveries.items() if count == 2}
    assert len(twice) / N == pytest.approx(0.1, abs=0.02)
    assert len(some) == N + len(twice)
    assert values(some) == values(calm)
    assert len({*zip(ids(some), encode(some.columns), strict=True)}) == N
    waits = [
        np.diff(some.timestamp[[row for row, name in enumerate(ids(some)) if name == each]])[0]
        for each in sorted(twice)[:40]
    ]
    assert 0 <= min(waits) <= 1_000 < max(waits) <= 10_000
    assert some.timestamp[-1] == calm.timestamp[-1]


def test_the_same_configuration_gives_the_same_records() -> None:
    timing: dict[str, Any] = {"batch": 0.1, "batch_age": HOUR, "skew": SECOND, "duplicates": 0.2, "resent": 0.5}
    first, again = chunk(**timing), chunk.__wrapped__(**timing)
    assert encode(first.columns) == encode(again.columns)
    assert first.timestamp.tolist() == again.timestamp.tolist()


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"duplicates": 1.1}, "share of duplicates is 1.1"),
        ({"batch": -0.1}, "share of batch is -0.1"),
        ({"resent": float("nan")}, "share of resent is nan"),
        ({"skew": -1}, "skew is -1"),
        ({"silent": ("fraud", "*")}, "gaps only in 'fraud', but the models are digits-0"),
        ({"silent": ("*", "batch")}, "gaps only in lane 'batch', but the lanes are prod, canary"),
        ({"bursts": (Stretch(0.1, 1, 0.0),)}, "factor of a burst is 0.0"),
        ({"batch": 0.1, "batch_age": END}, "would begin before 1970"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Simulation(events=N, end=END, timing=Timing(**wrong))


@pytest.mark.parametrize("at, length, says", [(1.0, 1, "begins at 1.0"), (-0.1, 1, "-0.1"), (0.5, 0, "longer than 0s")])
def test_a_gap_that_is_none_is_refused(at: float, length: int, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Stretch(at, length)


def test_the_jobs_lane_is_its_own() -> None:
    with pytest.raises(UsageError, match="`batch` is the lane of the nightly job"):
        Simulation(events=N, end=END, lanes=("prod", "batch"), timing=Timing(batch=0.1))
    silent = Timing(batch=0.1, silent=("*", "batch"))
    assert Simulation(events=N, end=END, timing=silent).every_lane == ("prod", "canary", "batch")
