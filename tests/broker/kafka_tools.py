"""Write, read and look at topics with the client alone, so that tests judge streammon by what Kafka holds."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

TIMEOUT = 30.0


class Record(NamedTuple):
    """A record as a reader sees it. `timestamp_type` is confluent_kafka's TIMESTAMP_CREATE_TIME or _LOG_APPEND_TIME."""

    partition: int
    offset: int
    timestamp_ms: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def eventually(condition: Callable[[], bool], what: str, timeout: float = TIMEOUT, every: float = 0.02) -> None:
    """Return once `condition` holds; fail with `what` after `timeout` seconds. For what cannot be waited on."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:.0f} s: {what}"
        time.sleep(every)


def admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 3})


def partitions(bootstrap: str, topic: str) -> list[int]:
    """The partition numbers of `topic`, in order; fails if there is no such topic."""
    metadata = admin(bootstrap).list_topics(topic, timeout=TIMEOUT).topics[topic]
    if metadata.error is not None:
        raise KafkaException(metadata.error)
    return sorted(metadata.partitions)


def create_topic(bootstrap: str, topic: str, count: int, config: Mapping[str, str] | None = None) -> None:
    """Create `topic` with `count` partitions and return once each of them has a leader."""
    client = admin(bootstrap)
    new = NewTopic(topic, num_partitions=count, replication_factor=1, config=dict(config or {}))
    client.create_topics([new])[topic].result(TIMEOUT)

    def led() -> bool:
        metadata = client.list_topics(topic, timeout=TIMEOUT).topics[topic]
        return len(metadata.partitions) == count and all(p.leader >= 0 for p in metadata.partitions.values())

    eventually(led, f"{topic} has {count} partitions with a leader")


def delete_topics(bootstrap: str, prefix: str) -> None:
    """Delete every topic whose name starts with `prefix`."""
    client = admin(bootstrap)
    names = [name for name in client.list_topics(timeout=TIMEOUT).topics if name.startswith(prefix)]
    for deleted in client.delete_topics(names).values() if names else ():
        deleted.result(TIMEOUT)


def produce(
    bootstrap: str,
    topic: str,
    records: Iterable[tuple[int | None, bytes | None, bytes | None, int | None]],
    config: Mapping[str, Any] | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Write (partition, key, value, timestamp_ms) in order and return once the broker has acknowledged every one.

    Partition None: murmur2 of the key, as Java clients do. Timestamp None: now. `config` are further client settings.
    Nothing is sent twice: an error of the broker is raised. Fails if the last acknowledgement is not there `timeout`
    seconds after the last record.
    """
    failed: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failed.append(error)

    # Without a second try there is no duplicate; an idempotent producer needs half a second for its id.
    settings = {"message.send.max.retries": 0, "partitioner": "murmur2_random", "linger.ms": 5}
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 3, **settings, **(config or {})})
    for partition, key, value, timestamp in records:
        target = -1 if partition is None else partition
        stamp: dict[str, Any] = {} if timestamp is None else {"timestamp": timestamp}
        while True:
            try:
                producer.produce(topic, value, key, target, delivered, **stamp)
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(timeout)
    if failed:
        raise KafkaException(failed[0])
    assert not left, f"{left} records for {topic} were not acknowledged within {timeout:.0f} s"


def end_offsets(bootstrap: str, topic: str, isolation: str = "read_uncommitted") -> dict[int, int]:
    """Per partition the offset behind the last record; for read_committed, behind the last one that such a reader sees.

    The two differ while a transaction is open: read_committed ends where the first open transaction begins.
    """
    return _offsets(bootstrap, topic, OffsetSpec.latest(), isolation)


def _offsets(bootstrap: str, topic: str, which: OffsetSpec, isolation: str) -> dict[int, int]:
    level = IsolationLevel.READ_COMMITTED if isolation == "read_committed" else IsolationLevel.READ_UNCOMMITTED
    request = {TopicPartition(topic, number): which for number in partitions(bootstrap, topic)}
    client = admin(bootstrap)  # kept until the answer is there: its futures die with it
    found = client.list_offsets(request, isolation_level=level, request_timeout=TIMEOUT)
    return {where.partition: future.result(TIMEOUT).offset for where, future in found.items()}


def read_all(
    bootstrap: str,
    topic: str,
    isolation: str = "read_committed",
    wait_for_open: bool = True,
    timeout: float = TIMEOUT,
) -> list[Record]:
    """Every record of `topic` up to the ends captured at the call, by partition and offset.

    A read_committed reader waits until the transactions open at the call are decided, so that nothing written before
    the call is missed; with `wait_for_open=False` it stops in front of the first open one. Fails after `timeout`
    seconds.
    """
    committed_only = isolation == "read_committed" and not wait_for_open
    ends = end_offsets(bootstrap, topic, "read_committed" if committed_only else "read_uncommitted")
    # Numbers, because the client takes half a second to look up what OFFSET_BEGINNING means.
    starts = _offsets(bootstrap, topic, OffsetSpec.earliest(), isolation)
    open_ends = {number: end for number, end in ends.items() if end > starts[number]}
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"read-all-{uuid.uuid4()}",  # required by the client; no offset is ever committed
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,
            "fetch.queue.backoff.ms": 10,
            "log_level": 3,
        }
    )
    records: list[Record] = []
    deadline = time.monotonic() + timeout
    try:
        consumer.assign([TopicPartition(topic, number, starts[number]) for number in open_ends])
        while open_ends:
            assert time.monotonic() < deadline, f"{topic}: not read to {open_ends} within {timeout:.0f} s"
            for message in consumer.consume(10_000, 0.02):
                error, number, position = message.error(), message.partition() or 0, message.offset() or 0
                if error is None:
                    if position < ends[number]:
                        records.append(_record(message))
                    position += 1
                elif error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                if position >= ends[number]:
                    open_ends.pop(number, None)
    finally:
        consumer.close()
    return sorted(records, key=lambda record: record[:2])


def committed(bootstrap: str, group: str, topic: str) -> dict[int, int]:
    """The positions that `group` has committed in `topic`; a partition without one is absent.

    Asked by a consumer that never joins: on an answer that says to ask again (offsets of an open transaction, a
    coordinator that is loading), librdkafka 2.16's admin client crashes the process.
    """
    wanted = [TopicPartition(topic, number) for number in partitions(bootstrap, topic)]
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "isolation.level": "read_committed", "log_level": 3}
    )
    deadline = time.monotonic() + TIMEOUT
    try:
        while True:
            try:
                return {each.partition: each.offset for each in consumer.committed(wanted, TIMEOUT) if each.offset >= 0}
            except KafkaException as error:  # a group's first coordinator is not there at once
                again = error.args[0].retriable() or error.args[0].code() == KafkaError.NOT_COORDINATOR
                if not again or time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    finally:
        consumer.close()


def _record(message: Message) -> Record:
    kind, stamp = message.timestamp()
    headers: Any = message.headers() or []
    return Record(
        message.partition() or 0,
        message.offset() or 0,
        stamp,
        kind,
        _bytes(message.key()),
        _bytes(message.value()),
        tuple(headers),
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
