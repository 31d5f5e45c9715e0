"""Law 5 again, where nobody dies for good: brokers pause and crash, workers pause, at random, under a steady stream.

Afterwards every output is there once, as an independent oracle says for the records that the input topic holds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from streammon.adapters.kafka.sink import STEPS
from tests.broker.jvm_broker import START_TIMEOUT, Broker, await_ready
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import Line, build_baselines, make_line
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import Feed, inferences
from tests.faults.workers import Crew, Worker, crew

SEEDS = (1, 2, 3)
MODELS, PARTITIONS = 8, 4
RECORDS, PART, RATE = 40_000, 500, 1_000.0  # records, of a part, a second
OUTAGES = 3
LONGEST_SILENCE = 9.0  # seconds; a session ends after 6, a transaction after 5

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(400)]


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Line:
    baselines = build_baselines(tmp_path / "baselines", (0, 1, 2))
    return make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS, baselines=baselines)


def feed_of(line: Line, seed: int) -> Feed:
    records = inferences(RECORDS, models=MODELS, partitions=PARTITIONS, span=100.0, seed=seed)
    return Feed(line.bootstrap, line.topic("events"), records, part=PART, rate=RATE)


def finish(line: Line, feed: Feed, workers: Crew, folder: Path) -> None:
    """All workers are still there, take the rest of the stream and leave in order; then every output is there once."""
    feed.finish()
    await_caught_up(line, *workers.workers)
    for worker in workers.workers:
        worker.terminate()
    counts = {name: len(workers.events(name)) for name in ("restored", "kept", "commit_refused", "rebuilt", "lost")}
    print(counts)
    found = published.read(line)
    verdict.none(verdict.differences(line, verdict.expect(line), found))
    verdict.none(verdict.replay_differences(line, found, folder))


def two_workers(
    workers: Crew, instances: Sequence[str | None] = (None, None), stop_at: str | None = None
) -> list[Worker]:
    """At work, with these instance ids; the first one stops itself at `stop_at`."""
    first = workers.prepare(start="earliest", instance=instances[0], stop_at=stop_at)
    second = workers.prepare(start="earliest", instance=instances[1])
    first.go()
    first.await_event("live")
    second.go()
    return [first, second]


@pytest.mark.parametrize("how", ["pause", "kill"])
@pytest.mark.parametrize("seed", SEEDS)
def test_the_broker_goes_and_comes_back(
    breakable_broker: Broker, line: Line, tmp_path: Path, seed: int, how: str
) -> None:
    """Three times, for shorter and longer than a session lasts: both workers live through it.

    They have no instance ids: a broker that answers too late to join under one can take the worker for its own twin.
    """
    rng = np.random.default_rng(seed)
    with crew(line.config, tmp_path / "logs") as workers, feed_of(line, seed) as feed:
        feed.release(4)
        second = two_workers(workers)[1]
        second.await_event("restored")
        for _ in range(OUTAGES):
            feed.release(8)
            time.sleep(rng.uniform(0.5, 3.5))
            getattr(breakable_broker, how)()
            time.sleep(rng.uniform(0.0, LONGEST_SILENCE))
            breakable_broker.restore()
            await_ready(line.bootstrap, START_TIMEOUT)
        finish(line, feed, workers, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_pause(broker: Broker, line: Line, tmp_path: Path, seed: int) -> None:
    """One in the middle of a commit, then either at random: the other takes over, or not, and both go on."""
    rng = np.random.default_rng(seed)
    stop_at = f"{STEPS[int(rng.integers(len(STEPS)))]}:{rng.integers(3, 8)}"
    instances = [f"worker-{n}" if rng.integers(2) else None for n in range(2)]
    with crew(line.config, tmp_path / "logs") as workers, feed_of(line, seed) as feed:
        feed.release(40)
        both = two_workers(workers, instances, stop_at)
        both[0].await_stopped()
        time.sleep(LONGEST_SILENCE)
        both[0].resume()
        for _ in range(OUTAGES):
            feed.release(8)
            time.sleep(rng.uniform(0.5, 3.5))
            paused = both[int(rng.integers(2))]
            paused.stop()
            time.sleep(rng.uniform(0.0, LONGEST_SILENCE))
            paused.resume()
        finish(line, feed, workers, tmp_path)
