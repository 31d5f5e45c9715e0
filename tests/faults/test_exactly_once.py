"""Law 5: crash anywhere, and a reader of committed records sees every identity once and none missing.

The stream is produced at a pace while workers are killed (SIGKILL), in the middle of their commits and at random.
Afterwards an independent oracle says what must have been published for the records that the input topic holds.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from streammon.adapters.kafka.sink import STEPS
from tests.broker.jvm_broker import Broker
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import Line, build_baselines, make_line
from tests.faults.scenario import await_caught_up, live_and_die, recoveries
from tests.faults.traffic import Feed, inferences
from tests.faults.workers import Crew, Death, crew

SEED = 7
MODELS, PARTITIONS = 20, 8
WITH_BASELINE = (0, 1, 2, 3, 4, 5)
PART, RATE = 1_000, 2_500.0  # records, records a second

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.faults]


def schedule(seed: int) -> list[tuple[Death, str | None]]:
    """Every step of a commit, moments within the broker's own commit, and moments at random; with their instance ids.

    A worker with the instance id of its predecessor takes over at once. One without waits until the group and the
    transaction of its predecessor have timed out.
    """
    rng = np.random.default_rng(seed)

    def in_commit() -> Death:
        return Death("before_commit", int(rng.integers(2, 6)), after=float(rng.uniform(0, 0.008)))

    def at_random() -> Death:
        return Death(None, after=float(rng.uniform(0, 12)))

    steps = [Death(step, int(rng.integers(2, 8))) for step in STEPS]
    named = [*steps, in_commit(), in_commit(), at_random()]
    anonymous = [Death("after_offsets", int(rng.integers(2, 6))), in_commit(), at_random(), at_random()]
    order = rng.permutation(len(named))
    first = Death("after_snapshot", 1)  # before the group has any position
    return [(death, "worker-0") for death in (first, *(named[n] for n in order))] + [(d, None) for d in anonymous]


def judge(line: Line, folder: Path) -> None:
    """Every output once, as the oracle says; state whole; a replay says the same. And the stream had what it takes."""
    expected, found = verdict.expect(line), published.read(line)
    print(f"{len(found.metrics)} metric and {len(found.alerts)} alert events, {len(found.dead_letters)} dead letters,")
    print(f"{len(expected.late)} late events, {len(found.journal)} journal entries")
    verdict.none(verdict.differences(line, expected, found))
    verdict.none(verdict.replay_differences(line, found, folder))
    assert {alert["state"] for alert in found.alerts} == {"FIRING", "ONGOING", "RESOLVED"}
    assert {alert["rule_id"] for alert in found.alerts} == {rule["id"] for rule in line.settings["rules"]}
    codes = {letter.code for letter in found.dead_letters}
    assert codes == {"TRUNCATED", "TRAILING", "FRAMING", "SCHEMA", "FUTURE", "DIMENSION", "RANGE"}
    assert expected.late, "no event was late"


def summary(workers: Crew) -> str:
    counts = {name: len(workers.events(name)) for name in ("restored", "kept", "commit_refused", "rebuilt", "lost")}
    return f"{len(workers.workers)} workers, {counts}, {recoveries(workers.workers)} (from a snapshot, records again)"


@pytest.mark.timeout(900)
def test_one_worker_after_the_other_is_killed(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    """300,000 events, 20 models x 2 lanes, 8 partitions; 14 workers die, each step of a commit kills at least one."""
    deaths = schedule(SEED)
    baselines = build_baselines(tmp_path / "baselines", WITH_BASELINE)
    line = make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS, baselines=baselines)
    records = inferences(310_000, models=MODELS, partitions=PARTITIONS, span=300.0, seed=SEED)
    with (
        crew(line.config, tmp_path / "logs") as workers,
        Feed(broker.bootstrap, line.topic("events"), records, part=PART, rate=RATE) as feed,
    ):
        began = time.monotonic()
        last = live_and_die(workers, feed, deaths)
        assert time.monotonic() - began >= 60
        last.go()
        feed.finish()
        await_caught_up(line)
        last.terminate()
        print(summary(workers))
        from_snapshot, again = recoveries(workers.workers)
    assert {death.step for death, _ in deaths} >= set(STEPS)
    assert from_snapshot >= 3, f"only {from_snapshot} workers began from a snapshot"
    assert again > 0, "no record was read again"
    judge(line, tmp_path)


@pytest.mark.timeout(600)
def test_two_workers_one_is_killed_and_one_joins_later(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    """Partitions move: to a second worker, back when the first is killed, on to a third, and back when one leaves."""
    baselines = build_baselines(tmp_path / "baselines", WITH_BASELINE)
    line = make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS, baselines=baselines)
    records = inferences(100_000, models=MODELS, partitions=PARTITIONS, span=120.0, seed=SEED + 1)
    with (
        crew(line.config, tmp_path / "logs") as workers,
        Feed(broker.bootstrap, line.topic("events"), records, part=PART, rate=RATE) as feed,
    ):
        feed.release(15)
        first = workers.start(start="earliest", death=Death(None, after=0.7))
        first.await_event("live", PARTITIONS)
        second = workers.start()
        second.await_event("restored", PARTITIONS // 2)
        first.await_event("kept", PARTITIONS // 2)
        feed.release(5)
        first.await_death()
        second.await_event("restored", PARTITIONS)
        feed.release(15)
        third = workers.start()
        third.await_event("restored", PARTITIONS // 2)
        feed.finish()
        second.terminate()
        third.await_event("restored", PARTITIONS)
        await_caught_up(line)
        third.terminate()
        print(summary(workers))
    judge(line, tmp_path)
