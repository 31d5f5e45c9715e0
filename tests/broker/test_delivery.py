"""Exactly once, on a real broker: workers are killed, and a reader of committed records sees every output once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.broker.jvm_broker import Broker
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import build_baselines, make_line
from tests.faults.scenario import await_caught_up, live_and_die, recoveries
from tests.faults.traffic import Feed, inferences
from tests.faults.workers import Death, crew

SEED = 20261122


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_workers_die_in_their_commits_and_every_output_is_there_once(
    broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Four deaths, each at another step of a commit. `make faults` does the same at length."""
    deaths = [
        Death("after_outputs", 2),
        Death("after_offsets", 3),
        Death("before_commit", 3, after=0.004),  # while the broker commits
        Death("after_commit", 3),
    ]
    baselines = build_baselines(tmp_path / "baselines", (0, 1, 2))
    line = make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=4, baselines=baselines)
    records = inferences(30_000, models=8, partitions=4, span=100.0, seed=SEED)
    with (
        crew(line.config, tmp_path / "logs") as workers,
        Feed(broker.bootstrap, line.topic("events"), records, part=400, rate=1_000) as feed,
    ):
        last = live_and_die(workers, feed, [(death, "worker-0") for death in deaths])
        last.go()
        feed.finish()
        await_caught_up(line)
        last.terminate()
        from_snapshot, again = recoveries(workers.workers)
    assert from_snapshot >= 2, f"only {from_snapshot} workers began from a snapshot"
    assert again > 0, "no record was read again"
    expected, found = verdict.expect(line), published.read(line)
    verdict.none(verdict.differences(line, expected, found))
    verdict.none(verdict.replay_differences(line, found, tmp_path))
    assert {alert["state"] for alert in found.alerts} == {"FIRING", "ONGOING", "RESOLVED"}
    assert expected.late
