"""Exactly once, on a real broker: workers are killed, and a reader of committed records sees every output once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.broker.jvm_broker import Broker
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import build_baselines, make_line
from tests.faults.scenario import PARTS_PER_LIFE, await_caught_up, live_and_die, recoveries
from tests.faults.traffic import Feed, inferences
from tests.faults.workers import Death, crew

SEED = 20261122


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_workers_die_in_their_commits_and_every_output_is_there_once(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Four deaths, each of another kind; then the oracle, the changelog and a replay are asked. `make faults` does more."""
    deaths = [Death("after_outputs", 2), Death("after_offsets", 1), Death("before_commit", 2, 0.004), Death("after_commit", 1)]
    baselines = build_baselines(tmp_path / "baselines", (0, 1, 2))
    line = make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=4, baselines=baselines)
    records = inferences(30_000, models=8, partitions=4, span=100.0, seed=SEED)
    parts = PARTS_PER_LIFE * (len(deaths) + 1)
    with (
        crew(line.config, tmp_path / "logs") as workers,
        Feed(broker.bootstrap, line.topic("events"), records, parts, rate=3_000) as feed,
    ):
        last = live_and_die(line, workers, feed, [(death, "worker-0") for death in deaths])
        last.go()
        feed.finish()
        await_caught_up(line)
        last.terminate()
        from_snapshot, again = recoveries(workers.workers)
    assert from_snapshot >= 2, f"only {from_snapshot} workers began from a snapshot"
    assert again > 0, "no record was read again"
    expected, found = verdict.expect(line), published.read(line)
    assert verdict.differences(line, expected, found) == []
    assert verdict.replay_differences(line, found, tmp_path) == []
    assert {alert["state"] for alert in found.alerts} == {"FIRING", "ONGOING", "RESOLVED"}
    assert expected.late
