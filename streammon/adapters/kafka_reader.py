"""Reading topics outside any group: to follow them, and to record them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streammon.adapters.envelopes import CREATE_TIME, LOG_APPEND_TIME, NOT_AVAILABLE, Envelope, EnvelopeWriter
from streammon.adapters.kafka_errors import connect, refusal
from streammon.core.errors import UsageError

TIMEOUT = 10.0  # seconds
TIMESTAMP_TYPES = (NOT_AVAILABLE, CREATE_TIME, LOG_APPEND_TIME)  # by the client's number


class Reader:
    """All partitions of a topic, read_committed, from the beginning or from now."""

    def __init__(self, options: Mapping[str, Any], topic: str, from_beginning: bool) -> None:
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._consumer = connect(
            Consumer,
            {
                **options,
                "group.id": "streammon-reader",  # the client asks for one; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
        )
        try:
            found = self._consumer.list_topics(topic, timeout=TIMEOUT).topics[topic]
            if found.error is not None:
                raise refusal(found.error, f"topic {topic}", self._bootstrap)
            bounds = {
                p: self._consumer.get_watermark_offsets(TopicPartition(topic, p), TIMEOUT) for p in found.partitions
            }
        except KafkaException as error:
            raise refusal(error.args[0], f"topic {topic}", self._bootstrap) from error
        self.topic = topic
        self._ends = {p: high for p, (low, high) in bounds.items() if from_beginning and high > low}
        self._consumer.assign(
            [TopicPartition(topic, p, low if from_beginning else high) for p, (low, high) in bounds.items()]
        )

    def batches(self, until_end: bool) -> Iterator[list[Message]]:
        """Records as they come; with `until_end`, up to what was committed when the reader was made."""
        ends = dict(self._ends)
        while ends or not until_end:
            records = []
            for message in self._consumer.consume(10_000, 0.2):
                error = message.error()
                if error is None:
                    records.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    if message.offset() >= ends.get(message.partition(), 0):
                        ends.pop(message.partition(), None)
                elif not error.retriable() and error.code() not in {
                    KafkaError._ALL_BROKERS_DOWN,
                    KafkaError._TRANSPORT,
                }:
                    raise refusal(error, f"reading {self.topic}", self._bootstrap)
            yield records

    def close(self) -> None:
        self._consumer.close()


def follow(options: Mapping[str, Any], topic: str, from_beginning: bool, until_end: bool) -> Iterator[bytes]:
    """Values of a topic's records."""
    reader = Reader(options, topic, from_beginning)
    try:
        for batch in reader.batches(until_end):
            for message in batch:
                if message.value() is not None:
                    yield message.value()
    finally:
        reader.close()


def record(options: Mapping[str, Any], topic: str, out: Path, progress: Callable[[int, int], None]) -> int:
    """Copy what a topic holds to a file of envelopes; returns the number of records."""
    if out.exists():
        raise UsageError(f"{out} exists: choose another name, or delete it")
    reader = Reader(options, topic, from_beginning=True)
    count = 0
    try:
        with EnvelopeWriter(out, blake2b(topic.encode(), digest_size=16).digest()) as writer:
            for batch in reader.batches(until_end=True):
                writer.write(map(_envelope, batch))
                count += len(batch)
                progress(count, 0)
    finally:
        reader.close()
    return count


def _envelope(message: Message) -> Envelope:
    kind, milliseconds = message.timestamp()
    headers = tuple(message.headers() or ())
    return Envelope(
        message.topic(),
        message.partition(),
        message.offset(),
        milliseconds,
        TIMESTAMP_TYPES[kind],
        message.key(),
        message.value(),
        headers,
    )
