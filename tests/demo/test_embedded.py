"""The broker inside the process: what the demo and fast tests of clients rely on, and what it is refused for."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer

from streammon import worker
from streammon.adapters.kafka import librdkafka
from streammon.adapters.kafka.embedded import PARTITIONS, PRODUCE, EmbeddedBroker
from streammon.core.errors import UsageError
from streammon.settings import load


def producer(broker: EmbeddedBroker) -> Producer:
    return Producer({"bootstrap.servers": broker.address, "log_level": 2})


def sent(client: Producer, value: bytes, timestamp: int = 0) -> KafkaError | None:
    """What became of one record."""
    outcome: list[KafkaError | None] = []
    client.produce("t", value, on_delivery=lambda error, _: outcome.append(error), timestamp=timestamp)
    client.flush(10)
    return outcome[0]


def partitions(client: Producer, topic: str) -> int:
    return len(client.list_topics(topic, timeout=10).topics[topic].partitions)


def test_topics_have_the_partitions_asked_for_and_records_keep_their_timestamps() -> None:
    """A member of a group gets them at once, not after Kafka's 3 seconds."""
    with EmbeddedBroker() as broker:
        broker.create("t", 3)
        client = producer(broker)
        assert partitions(client, "t") == 3
        assert sent(client, b"x", timestamp=1_234_567) is None
        options = {"bootstrap.servers": broker.address, "group.id": "g", "auto.offset.reset": "earliest"}
        consumer = Consumer({**options, "log_level": 2})
        consumer.subscribe(["t"])
        message = consumer.poll(2.5)
        assert isinstance(message, Message)
        assert (message.value(), message.timestamp()[1]) == (b"x", 1_234_567)
        consumer.close()
        with pytest.raises(UsageError, match="does not make topic t "):
            broker.create("t", 3)


def test_faults_are_answered_as_ordered() -> None:
    """An error for one request, or for none if it is forgotten; nothing while the broker is down, everything after."""
    with EmbeddedBroker() as broker:
        broker.create("t", 1)
        client = producer(broker)
        broker.push_errors(PRODUCE, KafkaError.INVALID_RECORD)
        error = sent(client, b"refused")
        assert error is not None
        assert error.code() == KafkaError.INVALID_RECORD
        broker.push_errors(PRODUCE, KafkaError.INVALID_RECORD)
        broker.clear_errors(PRODUCE)
        assert sent(client, b"taken") is None
        broker.set_down()
        client.produce("t", b"waits")
        assert client.flush(0.2) == 1
        broker.set_up()
        assert client.flush(10) == 0


def test_where_the_c_library_cannot_be_reached_it_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics have the mock cluster's own number of partitions; faults cannot be ordered, and that is said."""
    monkeypatch.setattr(librdkafka, "load", lambda: None)
    with EmbeddedBroker() as broker:
        broker.create("t", 1)
        assert partitions(producer(broker), "t") == PARTITIONS
        with pytest.raises(RuntimeError, match="cannot be reached"):
            broker.set_down()


def test_a_worker_that_is_to_keep_the_promise_refuses_it(tmp_path: Path) -> None:
    """It loses the positions of transactions: the worker ends after its first commit, and says so."""
    with EmbeddedBroker() as broker:
        settings = load(None, {"kafka": {"bootstrap.servers": broker.address}, "telemetry": {"enabled": False}})
        for name in filter(None, settings.topics.model_dump().values()):
            broker.create(name, 1)
        late = threading.Event()
        limit = threading.Timer(60, late.set)
        limit.start()
        try:
            with pytest.raises(UsageError, match="does not keep the positions"):
                worker.run(settings, "earliest", late.is_set)
        finally:
            limit.cancel()


def test_signals_leave_it_alone() -> None:
    """Its thread hears none: one that interrupted it would end it, and the process would go on without a broker."""
    before = set(_blocked_signals())
    with EmbeddedBroker():
        masks = _blocked_signals()
        [its] = [mask for task, mask in masks.items() if task not in before and _name(task).endswith("mock")]
        assert its & 1 << signal.SIGINT - 1
        assert its & 1 << signal.SIGALRM - 1
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())


def _blocked_signals() -> dict[Path, int]:
    """By thread of this process."""
    masks = {}
    for task in Path("/proc/self/task").iterdir():
        line = next(line for line in (task / "status").read_text().splitlines() if line.startswith("SigBlk"))
        masks[task] = int(line.split()[1], 16)
    return masks


def _name(task: Path) -> str:
    return (task / "comm").read_text().strip()
