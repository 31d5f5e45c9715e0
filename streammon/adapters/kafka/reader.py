"""Reading topics outside any group: to follow them, and to record them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streammon.adapters.codec import OutputT, from_bytes
from streammon.adapters.envelopes import CREATE_TIME, LOG_APPEND_TIME, NOT_AVAILABLE, Envelope, EnvelopeWriter
from streammon.adapters.kafka.errors import Complaints, connect, refusal
from streammon.adapters.kafka.source import headers_of
from streammon.core.errors import UsageError
from streammon.scopes import Closed

TIMEOUT = 10.0  # seconds
TIMESTAMP_TYPES = (NOT_AVAILABLE, CREATE_TIME, LOG_APPEND_TIME)  # by the client's number
HARMLESS = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # the client connects again
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError.GROUP_AUTHORIZATION_FAILED,  # it asks for the group's coordinator, which nobody needs here
    }
)


class Reader(Closed):
    """All partitions of a topic, read_committed, from the beginning or from now. A context manager.

    `first` says otherwise where to begin: given the bounds (first offset, end) of each partition, its position.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        topic: str,
        from_beginning: bool,
        first: Callable[[Mapping[int, tuple[int, int]]], dict[int, int]] | None = None,
    ) -> None:
        self.topic = topic
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._complaints = Complaints()
        self._consumer = connect(
            Consumer,
            {
                "fetch.queue.backoff.ms": 10,
                **self._complaints.options,
                **options,
                "group.id": "streammon-reader",  # the client asks for one; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
        )
        try:
            bounds = self._bounds()
            begin = {p: low if from_beginning else high for p, (low, high) in bounds.items()}
            begin |= {} if first is None else first(bounds)
        except BaseException:
            self.close()
            raise
        self._ends = {p: high for p, (_, high) in bounds.items() if high > begin[p]}
        self._consumer.assign([TopicPartition(topic, p, position) for p, position in begin.items()])

    def batches(self, until_end: bool) -> Iterator[list[Message]]:
        """Records as they come; with `until_end`, those that were committed when the reader was made."""
        ends = dict(self._ends)  # of the partitions that are not read to their end
        while ends or not until_end:
            records = []
            for message in self._consumer.consume(10_000, 0.2):
                partition, offset, error = message.partition() or 0, message.offset() or 0, message.error()
                if error is None:
                    if until_end and offset >= ends.get(partition, 0):  # came later
                        ends.pop(partition, None)
                    else:
                        records.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    if offset >= ends.get(partition, 0):
                        ends.pop(partition, None)
                elif not error.retriable() and error.code() not in HARMLESS:
                    raise refusal(error, f"reading {self.topic}", self._bootstrap)
            yield records

    def close(self) -> None:
        self._consumer.close()

    def _bounds(self) -> dict[int, tuple[int, int]]:
        """First offset and end of each partition."""
        try:
            found = self._consumer.list_topics(self.topic, timeout=TIMEOUT).topics[self.topic]
            if found.error is not None:
                raise KafkaException(found.error)
            return {
                p: self._consumer.get_watermark_offsets(TopicPartition(self.topic, p), TIMEOUT)
                for p in found.partitions
            }
        except KafkaException as error:
            reason = self._complaints.heard(lambda: self._consumer.consume(1, 0.0))
            raise refusal(error.args[0], f"topic {self.topic}", self._bootstrap, reason) from error


def follow(
    options: Mapping[str, Any], topic: str, kind: type[OutputT], from_beginning: bool, until_end: bool
) -> Iterator[OutputT]:
    """What was published to a topic of outputs."""
    with Reader(options, topic, from_beginning) as reader:
        for batch in reader.batches(until_end):
            for message in batch:
                value = message.value()
                if value is None:
                    continue
                try:
                    yield from_bytes(kind, value)
                except UsageError as error:
                    raise UsageError(f"{topic} {message.partition()}, offset {message.offset()}: {error}") from error


def read(
    options: Mapping[str, Any],
    topic: str,
    first: Callable[[Mapping[int, tuple[int, int]]], dict[int, int]] | None = None,
) -> Iterator[Envelope]:
    """What a topic holds now, from the beginning or from where `first` says (see Reader)."""
    with Reader(options, topic, from_beginning=True, first=first) as reader:
        for batch in reader.batches(until_end=True):
            yield from map(_envelope, batch)


def watch(options: Mapping[str, Any], topic: str) -> Iterator[list[Envelope]]:
    """What a topic holds and gets, from the beginning and for ever; several times a second, if need be nothing."""
    with Reader(options, topic, from_beginning=True) as reader:
        for batch in reader.batches(until_end=False):
            yield list(map(_envelope, batch))


def record(options: Mapping[str, Any], topic: str, out: Path, progress: Callable[[int, int], None]) -> int:
    """Copy what a topic holds to a file of envelopes, in the order of offsets; returns the number of records."""
    count = 0
    with (
        Reader(options, topic, from_beginning=True) as reader,
        EnvelopeWriter(out, blake2b(topic.encode(), digest_size=16).digest()) as writer,
    ):
        for batch in reader.batches(until_end=True):
            writer.write(map(_envelope, batch))
            count += len(batch)
            progress(count, 0)
    return count


def _envelope(message: Message) -> Envelope:
    kind, milliseconds = message.timestamp()
    return Envelope(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        milliseconds,
        TIMESTAMP_TYPES[kind],
        message.key(),
        message.value(),
        headers_of(message),
    )
