"""What a worker does when its broker or itself is gone for a while, and what ends it, on a real broker."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streammon.adapters.kafka.producer import Record
from tests.broker.jvm_broker import START_TIMEOUT, Broker, await_ready
from tests.broker.kafka_tools import TIMEOUT, admin
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import Line, make_line, send
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import inferences
from tests.faults.workers import crew

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTITIONS = 2
SILENCE = 7.0  # seconds: longer than a session (6 s) and a transaction (5 s) last


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Five models in two partitions, 80 s of event time."""
    return inferences(4_000, models=5, partitions=PARTITIONS, span=80.0, seed=11)


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Line:
    return make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS)


@pytest.mark.faults
def test_a_broker_that_pauses(breakable_broker: Broker, line: Line, records: list[Record], tmp_path: Path) -> None:
    """In the middle of a commit, for longer than session and transaction last: the worker reads back and goes on."""
    send(line, records[:2_000])
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest", stop_at="before_commit:2")
        worker.await_stopped()
        breakable_broker.pause()
        worker.resume()
        time.sleep(SILENCE)
        breakable_broker.resume()
        await_ready(line.bootstrap, START_TIMEOUT)
        send(line, records[2_000:])
        await_caught_up(line, worker)
        worker.terminate()
        assert worker.events("lost"), "the session did not end"
    verdict.everything_is_there_once(line)


@pytest.mark.faults
def test_a_broker_that_crashes(breakable_broker: Broker, line: Line, records: list[Record], tmp_path: Path) -> None:
    """In the middle of a commit; it starts again with the data that it had, and so does the worker."""
    send(line, records[:2_000])
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest", stop_at="after_outputs:2")
        worker.await_stopped()
        breakable_broker.kill()
        worker.resume()
        breakable_broker.start()
        send(line, records[2_000:])
        await_caught_up(line, worker)
        worker.terminate()
    verdict.everything_is_there_once(line)


def test_a_worker_that_pauses_while_another_takes_over(line: Line, records: list[Record], tmp_path: Path) -> None:
    """It stops in a commit. When it goes on, its partitions are somebody else's: it publishes nothing of what it has.

    Then it gets a share again.
    """
    send(line, records[:2_000])
    with crew(line.config, tmp_path / "logs") as workers:
        zombie, other = workers.prepare(start="earliest", stop_at="before_commit:2"), workers.prepare()
        zombie.go()
        zombie.await_stopped()
        other.go()
        other.await_event("live", PARTITIONS)
        await_caught_up(line, other)
        zombie.resume()
        other.await_event("kept")
        zombie.await_event("live", PARTITIONS + 1)
        send(line, records[2_000:])
        await_caught_up(line, zombie, other)
        zombie.terminate()
        other.await_event("live", PARTITIONS + 1)
        other.terminate()
    verdict.everything_is_there_once(line)


@pytest.mark.faults
def test_two_workers_with_one_instance_id(line: Line, records: list[Record], tmp_path: Path) -> None:
    """One ends with exit code 4 and says why; the other one goes on."""
    send(line, records[:1_000])
    with crew(line.config, tmp_path / "logs") as workers:
        twins = workers.prepare(start="earliest", instance="twin"), workers.prepare(instance="twin")
        twins[0].go()
        await_caught_up(line, twins[0])
        twins[1].go()
        twins[1].await_event("live", PARTITIONS)
        send(line, records[1_000:])
        assert twins[0].exit_code() == 4, twins[0].tail()
        (said,) = twins[0].complaints()
        assert "another worker has taken over" in said
        assert "give every worker an instance id of its own" in said
        await_caught_up(line, twins[1])
        twins[1].terminate()
    verdict.everything_is_there_once(line)


def test_outputs_that_the_topic_refuses(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Larger than its max.message.bytes: the worker ends, names the topic and leaves nothing; then it can go on."""
    topic = line.topic("metrics")
    send(line, records)
    with crew(line.config, tmp_path / "logs") as workers:
        refused, worker = workers.prepare(start="earliest"), workers.prepare()
        limit(line, topic, 200)
        refused.go()
        assert refused.exit_code() == 2, refused.tail()
        (said,) = refused.complaints()
        for words in (f"writing {topic}: a record is too large", "raise message.max.bytes, and the topic's"):
            assert words in said
        found = published.read(line)
        assert not found.metrics
        assert not found.alerts
        limit(line, topic, 1_048_588)
        worker.go()
        await_caught_up(line, worker)
        worker.terminate()
    verdict.everything_is_there_once(line)


def limit(line: Line, topic: str, size: int) -> None:
    """What `kafka-configs --add-config max.message.bytes=...` does."""
    entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    client = admin(line.bootstrap)  # kept until the answer is there
    client.incremental_alter_configs([resource])[resource].result(TIMEOUT)
