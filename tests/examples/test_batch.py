"""The example of a nightly job."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from streammon.adapters.kafka.embedded import EmbeddedBroker
from tests.broker.jvm_broker import free_ports
from tests.examples.commands import BROKER, run
from tests.examples.events import events_of

TABLE = """id,made_at,income,age,debt
b,2026-01-30T02:00:01Z,30000,41,
a,2026-01-30T02:00:00.5+00:00,20000,35,5000
c,2026-01-30T02:00:02,0,0,10000
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "loans.csv"
    path.write_text(TABLE)
    return path


def test_each_row_becomes_an_event_with_its_own_time(table: Path) -> None:
    """In the order of time, missing cells as NaN, in a lane of its own; the scores go to standard output."""
    with EmbeddedBroker() as broker:
        broker.create("inference-events", 1)
        done = run("nightly_batch.py", 0, {BROKER: broker.address, "loans.csv": str(table)})
        events = events_of(broker.address, "inference-events")
    assert (done.returncode, done.stderr) == (0, "3 of 3 events delivered\n")
    assert [event["req_id"] for event in events] == ["a", "b", "c"]
    second = 1_000_000
    night = 1_769_738_400 * second  # 2026-01-30T02:00:00Z
    assert [event["ts"] for event in events] == [night + second // 2, night + second, night + 2 * second]
    assert {(event["model_id"], event["model_version"], event["lane"]) for event in events} == {
        ("loans", "2026-01", "batch")
    }
    assert events[0]["features"] == [20_000, 35, 5_000]
    assert math.isnan(events[1]["features"][2])
    assert done.stdout.split("\r\n" if "\r\n" in done.stdout else "\n")[2] == f"c,{1 / (1 + math.exp(-1)):.6f}"
    assert events[2]["score"] == pytest.approx(1 / (1 + math.exp(-1)))


def test_the_job_fails_and_says_so_if_events_did_not_arrive(table: Path) -> None:
    """No broker: the scores are there, the exit code is 1, and the reason is told."""
    nowhere = f"127.0.0.1:{free_ports(1)[0]}"
    done = run("nightly_batch.py", 0, {BROKER: f"{nowhere} --patience 0.5", "loans.csv": str(table)})
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    assert "0 of 3 events delivered" in done.stderr
    assert "dropped: closed 3" in done.stderr
