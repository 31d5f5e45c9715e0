"""The live source: a member of the consumer group, as columns.

Rebalances are eager (assignor `range`): the client first takes everything away, then hands over the new partitions.
`revoked` and `lost` reach the listener inside the client's callback, while commits still count. `assigned` reaches it
outside, from `poll`, because bringing partitions up takes long: until `seek`, the member holds an empty assignment
and is polled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from streammon.adapters.kafka.batches import DirectQueue
from streammon.adapters.kafka.ends import Ends
from streammon.adapters.kafka.errors import FENCED, PERMANENT, connect, patiently, refusal
from streammon.adapters.records import record_batch
from streammon.core.errors import Fenced, UsageError
from streammon.core.ports import CommitRefusedError, Committed, Listener, Origin, RecordBatch

LOGGER = logging.getLogger("streammon.kafka")
TIMEOUT = 60.0  # seconds for a question to the broker
NO_TIMESTAMP = 0  # type of the timestamp of an error event, never of a record

PREFETCH = {
    "fetch.queue.backoff.ms": 10,  # the default of a second is a timer, not work: it halves throughput
    "queued.max.messages.kbytes": 16384,
}


class KafkaSource:
    """Reads one topic as a member of a group. Answers for the membership, without which nothing may be committed."""

    def __init__(self, topic: str, options: Mapping[str, Any], max_batch: int) -> None:
        """`options` are librdkafka's, complete with group.id; what the promise needs is set here."""
        self.topic = topic
        self.heartbeat_seconds = float(options.get("heartbeat.interval.ms", 3_000)) / 1000
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._max_batch = max_batch
        self._consumer = connect(
            Consumer,
            {
                **PREFETCH,
                "logger": LOGGER,  # written when the client is polled
                **options,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,  # also behind marks of transactions, which are no records
                "isolation.level": "read_committed",
                "partition.assignment.strategy": "range",
            },
        )
        self._direct = DirectQueue.open(self._consumer, topic, max_batch)  # None: records come through the client only
        self._listener: Listener | None = None
        self._handed_over: list[int] | None = None  # partitions that the listener has not been told of
        self._member = ""  # member id under which the assignment was given
        self._paused: set[int] = set()
        self._failure: Exception | None = None  # raised by the listener inside a callback
        self._assigned: tuple[int, ...] = ()  # what is read
        self._reached: dict[int, int] = {}  # every record before it has been delivered
        self._ends = Ends(topic, options)

    def start(self, listener: Listener) -> None:
        self._listener = listener
        self._consumer.subscribe(
            [self.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def poll(self, timeout: float) -> RecordBatch | None:
        if self._direct is not None:
            self._direct.claim()
        messages = self._consume(self._max_batch, timeout if self._direct is None else 0.0)
        if self._handed_over is not None:
            partitions, self._handed_over = self._handed_over, None
            assert self._listener is not None
            self._listener.assigned(partitions)
            return None  # what is in hand belongs to an earlier assignment
        if messages or self._direct is None:
            return self._delivered(self._columns(messages)) if messages else None
        records, failures = self._direct.read(timeout)
        for failure in failures:
            self._check(*failure)
        return self._delivered(records)

    def heartbeat(self) -> None:
        self._records_only(self._consume(1, 0.0))

    def seek(self, positions: Mapping[int, int]) -> None:
        self.resume(self._paused)  # the client remembers pauses across assignments
        self._assigned, self._reached = tuple(positions), dict(positions)
        self._ends.forget()
        self._consumer.assign([TopicPartition(self.topic, p, position) for p, position in positions.items()])
        if self._direct is not None:
            self._direct.lead(positions)

    def pause(self, partitions: Collection[int]) -> None:
        """The client drops what it has fetched of them."""
        self._paused |= set(partitions)
        self._consumer.pause([TopicPartition(self.topic, partition) for partition in partitions])

    def resume(self, partitions: Collection[int]) -> None:
        self._consumer.resume([TopicPartition(self.topic, partition) for partition in partitions])
        self._paused -= set(partitions)

    def ends(self) -> dict[int, int]:
        """Ends of the log by partition, as the latest fetch told them or, of a paused one, the broker; never waits.

        None of a partition of which neither has told yet.
        """
        paused = self._paused.intersection(self._assigned)
        self._ends.ask(paused)
        found = self._ends.known(paused)
        for partition in set(self._assigned) - self._paused:
            with suppress(KafkaException):  # it was just taken away
                _, end = self._consumer.get_watermark_offsets(TopicPartition(self.topic, partition), cached=True)
                if end >= 0:
                    found[partition] = end
        return found

    def ask_ends(self, partitions: Collection[int]) -> None:
        self._ends.ask(partitions)

    def confirmed(self) -> dict[int, int | None]:
        """The log's own end: behind it no record waits, also none of an open transaction."""
        answers = self._ends.answers()
        return {partition: end if end == self._reached.get(partition) else None for partition, end in answers.items()}

    def finished(self) -> bool:
        return False

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed | None]:
        """Positions of the group. A commit's token travels as the metadata of its offsets."""
        asked = [TopicPartition(self.topic, partition) for partition in partitions]

        def ask() -> list[TopicPartition]:
            answers = self._consumer.committed(asked, timeout=TIMEOUT)
            for answer in answers:
                if answer.error is not None:
                    raise KafkaException(answer.error)
            return answers

        answers = patiently(ask, f"positions of {self.topic}", self._bootstrap)
        return {a.partition: Committed(a.offset, a.metadata or "") if a.offset >= 0 else None for a in answers}

    def group_metadata(self) -> Any:
        """What fences a commit. Refused when the group knows this worker under another name than at its assignment."""
        member = self._consumer.memberid()
        if not member or member != self._member:
            raise CommitRefusedError(f"member id is {member or 'empty'}, at the assignment it was {self._member}")
        return self._consumer.consumer_group_metadata()

    def is_member(self) -> bool:
        return bool(self._consumer.memberid())

    def close(self) -> None:
        """Leave the group; the listener hears of it."""
        if self._direct is not None:
            self._direct.close()
            self._direct = None
        self._consumer.close()
        self._raise_failure()

    def _consume(self, count: int, timeout: float) -> list[Message]:
        messages: list[Message] = self._consumer.consume(count, timeout)
        self._raise_failure()
        return messages

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._member = consumer.memberid()
        self._handed_over = sorted(p.partition for p in partitions)
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._tell(lambda listener: listener.revoked([p.partition for p in partitions]))
        consumer.unassign()

    def _on_lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._tell(lambda listener: listener.lost([p.partition for p in partitions]))
        consumer.unassign()

    def _tell(self, what: Callable[[Listener], None]) -> None:
        self._handed_over = None
        self._assigned = ()
        assert self._listener is not None
        try:
            what(self._listener)
        except Exception as error:  # must not pass through the C library: raised again after the call
            self._failure = error

    def _columns(self, messages: list[Message]) -> RecordBatch | None:
        if any(kind == NO_TIMESTAMP for kind, _ in map(Message.timestamp, messages)):
            messages = self._records_only(messages)
        return batch_of(messages) if messages else None

    def _records_only(self, messages: list[Message]) -> list[Message]:
        """Without events that are no records; raises on what cannot heal."""
        for message in messages:
            error = message.error()
            if error is not None:
                self._check(message.partition(), error, message.offset())
        return [message for message in messages if message.error() is None]

    def _delivered(self, records: RecordBatch | None) -> RecordBatch | None:
        if records is not None:
            for run in records.runs:
                self._reach(run.partition, int(records.offset[run.high - 1]) + 1)
        return records

    def _reach(self, partition: int, position: int) -> None:
        if partition in self._reached:
            self._reached[partition] = max(self._reached[partition], position)

    def _check(self, partition: int | None, error: KafkaError, offset: int | None) -> None:
        """Raises on what ends the worker; the client reconnects and rejoins by itself after anything else."""
        if error.code() == KafkaError._PARTITION_EOF and partition is not None and offset is not None:
            self._reach(partition, offset)
            return
        if error.code() in FENCED or error.code() == KafkaError._FATAL or error.fatal():
            raise Fenced(f"another worker has taken over ({error.str()}): give every worker an instance id of its own")
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise UsageError(
                f"{self.topic} {partition}: the log no longer holds the position to read from "
                f"({error.str()}): events were deleted before they were read. Start a new group, or restore the log"
            )
        if error.code() in PERMANENT:
            raise refusal(error, f"reading {self.topic}", self._bootstrap)
        LOGGER.info("%s: %s", error.name(), error.str())


def batch_of(messages: Sequence[Message]) -> RecordBatch:
    """Records that the client delivered, as columns."""
    return record_batch(
        [message.value() for message in messages],
        [message.key() for message in messages],
        np.array([message.partition() for message in messages], np.int64),
        np.array([message.offset() for message in messages], np.int64),
        np.array([message.timestamp()[1] for message in messages], np.int64) * 1000,
        lambda row: Origin(messages[row].key(), messages[row].value(), headers_of(messages[row])),
        lambda row: messages[row].timestamp()[0] == TIMESTAMP_CREATE_TIME,
    )


def headers_of(message: Message) -> tuple[tuple[str, bytes | None], ...]:
    """Headers of a record that was read: a list, whatever the client's type allows on the way in."""
    return tuple(cast("list[tuple[str, bytes | None]]", message.headers() or []))
