"""Simulated streams in files and topics."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from streammon.adapters.envelopes import LOG_APPEND_TIME, read_envelopes
from streammon.adapters.event_encoder import encode
from streammon.adapters.kafka.producer import KafkaProducer, Record
from streammon.core.errors import Unreachable, UsageError
from streammon.simulate.config import MICROSECONDS, Simulation
from streammon.simulate.output import simulate_to_file, simulate_to_kafka
from streammon.simulate.partitioner import partition_of
from streammon.simulate.stream import stream

END = 1_750_000_000 * MICROSECONDS
MOCK_PARTITIONS = 4
CONFIG = Simulation(events=600, end=END, models=5, partitions=MOCK_PARTITIONS, drift=("covariate", "errors"))


def test_a_file_holds_the_stream_as_a_broker_would_have_recorded_it(tmp_path: Path) -> None:
    """Values, keys and times of the stream; in each partition offsets from 0; a call at every step."""
    steps: list[int] = []
    simulate_to_file(CONFIG, tmp_path / "events.avro", "input", lambda done, rate: steps.append(done))
    (chunk,) = stream(CONFIG)
    envelopes = list(read_envelopes(tmp_path / "events.avro"))
    assert [envelope.value for envelope in envelopes] == encode(chunk.columns)
    assert [envelope.key for envelope in envelopes] == chunk.key
    assert [envelope.timestamp for envelope in envelopes] == chunk.timestamp.tolist()
    assert {(envelope.topic, envelope.timestamp_type) for envelope in envelopes} == {("input", LOG_APPEND_TIME)}
    next_offset: Counter[int] = Counter()
    for envelope in envelopes:
        assert envelope.key is not None
        assert envelope.partition == partition_of(envelope.key, MOCK_PARTITIONS)
        assert envelope.offset == next_offset[envelope.partition]
        next_offset[envelope.partition] += 1
    assert len(next_offset) > 1
    assert steps == [600]


def test_equal_configurations_give_equal_files(tmp_path: Path) -> None:
    """To the last byte, sync marker included; another seed gives another file and marker."""
    files = [tmp_path / name for name in ("first", "again", "other")]
    other = Simulation(events=600, end=END, models=5, partitions=MOCK_PARTITIONS, seed=1)
    for config, path in zip((CONFIG, CONFIG, other), files, strict=True):
        simulate_to_file(config, path)
    first, again, different = (path.read_bytes() for path in files)
    assert first == again
    assert first[-16:] != different[-16:]


def test_a_topic_holds_the_same_records_in_the_same_partitions(tmp_path: Path) -> None:
    """Against librdkafka's mock cluster: what its `murmur2_random` does is what a recorded file says."""
    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "replaced", "log_level": 2})
    bootstrap = ",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values())
    steps: list[int] = []
    with KafkaProducer(bootstrap, "input") as producer:
        simulate_to_kafka(CONFIG, producer, lambda done, rate: steps.append(done))
    simulate_to_file(CONFIG, tmp_path / "events.avro")

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    consumer.assign([TopicPartition("input", partition, 0) for partition in range(MOCK_PARTITIONS)])
    found: dict[tuple[int | None, int | None], tuple[Any, ...]] = {}
    while len(found) < CONFIG.events:
        messages = consumer.consume(CONFIG.events - len(found), timeout=10)
        assert messages, f"{len(found)} of {CONFIG.events} events arrived"
        for message in messages:
            found[message.partition(), message.offset()] = (message.key(), message.value(), message.timestamp()[1])
    consumer.close()
    assert found == {
        (envelope.partition, envelope.offset): (envelope.key, envelope.value, envelope.timestamp)
        for envelope in read_envelopes(tmp_path / "events.avro")
    }
    assert steps == [200, 400, 600]


class FakeClient:
    """Stands in for the Kafka client: its clock moves only while it polls."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.now = 0.0
        self.sent_at: list[float] = []
        self.room = 10**9
        self.failure: KafkaError | None = None
        self.unreachable: KafkaError | None = None
        self.left = 0

    def produce(self, topic: str, *, key: bytes, value: bytes, timestamp: int) -> None:
        if not self.room:
            raise BufferError
        self.room -= 1
        self.sent_at.append(self.now)

    def poll(self, timeout: float) -> int:
        self.now += timeout
        self.room = max(self.room, 5)
        if self.failure is not None:
            self.settings["on_delivery"](self.failure, None)
        return 0

    def flush(self, timeout: float) -> int:
        return self.left

    def list_topics(self, *, timeout: float) -> None:
        if self.unreachable is not None:
            self.settings["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN, "connection refused"))
            raise KafkaException(self.unreachable)


def records(n: int) -> list[Record]:
    return [Record(b"key", b"value", 0)] * n


def connected(rate: float | None = None, settings: dict[str, Any] | None = None) -> tuple[KafkaProducer, FakeClient]:
    made: list[FakeClient] = []

    def client(config: dict[str, Any]) -> FakeClient:
        made.append(FakeClient(config))
        return made[0]

    producer = KafkaProducer(
        "broker:9092", "input", rate=rate, settings=settings, client=client, clock=lambda: made[0].now
    )
    return producer, made[0]


@pytest.mark.parametrize("rate", [4.0, 500.0, 50_000.0])
def test_a_rate_is_kept_evenly(rate: float) -> None:
    """Whatever the sizes of the batches, no record goes out before its time, nor much after."""
    producer, client = connected(rate)
    for size in (1, 7, 250, 42):
        producer.send(records(size))
    slack = max(0.02, 1 / rate) + 1e-9
    for number, at in enumerate(client.sent_at):
        assert number / rate - slack <= at <= number / rate + 1e-9


def test_a_full_queue_is_waited_for() -> None:
    """Nothing is lost."""
    producer, client = connected()
    client.room = 3
    producer.send(records(20))
    assert len(client.sent_at) == 20


def test_settings_that_keep_the_promise_cannot_be_changed() -> None:
    """Idempotence and the partitioner stay; others, such as security, are passed on."""
    _, client = connected(settings={"enable.idempotence": False, "partitioner": "random", "security.protocol": "SSL"})
    assert client.settings["enable.idempotence"] is True
    assert client.settings["partitioner"] == "murmur2_random"
    assert client.settings["security.protocol"] == "SSL"


def test_a_broker_that_does_not_answer_is_named() -> None:
    """With the client's own reason."""

    def client(config: dict[str, Any]) -> FakeClient:
        fake = FakeClient(config)
        fake.unreachable = KafkaError(KafkaError._TRANSPORT)
        return fake

    with pytest.raises(Unreachable, match=r"broker:9092: cannot write to input: .*connection refused"):
        KafkaProducer("broker:9092", "input", client=client)


@pytest.mark.parametrize(
    "code, refusal, says",
    [
        (KafkaError._MSG_TIMED_OUT, Unreachable, "cannot write to input"),
        (KafkaError._UNKNOWN_TOPIC, UsageError, "has no topic input; `streammon topics create`"),
    ],
)
def test_a_record_that_is_not_delivered_is_an_error(code: int, refusal: type[Exception], says: str) -> None:
    """Raised by the next call."""
    producer, client = connected()
    client.failure = KafkaError(code)
    with pytest.raises(refusal, match=says):
        producer.send(records(1))


def test_what_is_left_after_the_last_wait_is_an_error() -> None:
    """Leaving the context waits for delivery, and says how much was not delivered."""
    producer, client = connected()
    client.left = 12
    with pytest.raises(Unreachable, match="12 records are not delivered to input"), producer:
        producer.send(records(20))
