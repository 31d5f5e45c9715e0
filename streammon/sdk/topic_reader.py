"""A member of a consumer group that reads one topic: which partitions, from where, up to which position it is done."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from streammon.adapters.kafka.errors import DENIED, MEMBERSHIP, PERMANENT, connect, error_of, refusal
from streammon.core.errors import UsageError
from streammon.sdk.complaints import LOGGER, SECONDS
from streammon.text import shown

ASK = 1.0  # seconds for a question that is asked again
CONFIRM = 3.0  # seconds for one that is asked once

_POSITIONS = "positions are committed when the loop asks for what comes next"
_EAGER = "positions are looked up when partitions are handed over all at once"
RESERVED: Mapping[str, str] = {  # option: why it is not the caller's to set
    "bootstrap.servers": "it is the first argument",
    "metadata.broker.list": "it is the first argument",
    "group.id": "it is the argument `group`",
    "isolation.level": "what an aborted transaction left behind was never published",
    "auto.offset.reset": "the argument `start` says where a new group begins, and an old one never jumps",
    "enable.auto.commit": _POSITIONS,
    "auto.commit.enable": _POSITIONS,
    "enable.auto.offset.store": _POSITIONS,
    "enable.partition.eof": "`timeout` needs it",
    "partition.assignment.strategy": _EAGER,
    "group.protocol": _EAGER,
    "error_cb": "troubles go to the log `streammon.sdk`",
    "on_commit": "it belongs to the consumer",
}


class TopicReader:
    """Committed records of a topic, one by one. Whoever takes one says when its position is done with.

    Positions are looked up outside of the client's callbacks, and again while the broker is away: until then the member
    holds an empty assignment and is polled.
    """

    def __init__(
        self, bootstrap: str, topic: str, group: str | None, from_beginning: bool, options: Mapping[str, Any]
    ) -> None:
        """Starts the client, but contacts nobody yet. `options` are librdkafka's."""
        for name in RESERVED.keys() & options.keys():
            raise UsageError(f"kafka: {name} is reserved: {RESERVED[name]}")
        self._bootstrap, self._topic, self._group, self._from_beginning = bootstrap, topic, group, from_beginning
        self._done: dict[int, int] = {}  # positions to commit
        self._committed_at = 0.0
        self._handed_over: list[int] | None = [] if group is None else None  # partitions whose position is not known
        self._reading: set[int] | None = None  # None: not known yet
        self._at_end: dict[int, int] = {}  # the position there, of partitions that were read to their end
        self._errors: deque[KafkaError] = deque(maxlen=100)
        self._complained: dict[str, float] = {}  # when, by kind of trouble
        self._consumer = connect(
            Consumer,
            {
                "log_level": 2,  # its troubles come by `error_cb`
                "fetch.queue.backoff.ms": 10,
                "fetch.wait.max.ms": 100,  # a question waits behind a fetch on the same connection
                **options,
                "bootstrap.servers": bootstrap,
                "group.id": group or "streammon-reader",  # the client asks for one
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",  # where the position was deleted: what is left comes next
                "enable.partition.eof": True,
                # No Python function: a signal that arrives while one runs raises in it, and the client loses that.
                "error_cb": self._errors.append,
                "on_commit": self._on_commit,
            },
        )
        self._is_member = group is None

    @property
    def complete(self) -> bool:
        """Whether every partition of this member has been read to where it ended then; see `confirm`."""
        return self._reading is not None and self._reading <= self._at_end.keys()

    def poll(self, timeout: float) -> Message | None:
        """The next record; None where none came within `timeout` seconds.

        Raises UsageError where the topic does not exist, or the broker denies access. Outages are logged.
        """
        if not self._is_member:  # not before: a member that does not poll keeps its partitions from the others
            self._is_member = True
            self._consumer.subscribe(
                [self._topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
            )
        message = self._poll(timeout)
        while self._errors:
            self._hear(self._errors.popleft())
        if self._handed_over is not None:
            self._begin(self._handed_over)
            return None  # what is in hand belongs to an earlier assignment
        if message is None or self._is_error(message):
            return None
        self._at_end.pop(message.partition() or 0, None)
        return message

    def confirm(self) -> bool:
        """Ask the broker whether all is read. Raises Unreachable where none answers."""
        try:
            self._consumer.list_topics(self._topic, timeout=CONFIRM)
            for partition, position in list(self._at_end.items()):
                _, end = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), CONFIRM)
                if end > position:
                    del self._at_end[partition]
        except KafkaException as exception:
            raise self._refusal(error_of(exception)) from exception
        return self.complete

    def done(self, partition: int, position: int) -> None:
        """What lies before the position is done with; `commit` makes it so."""
        self._done[partition] = position

    def commit(self, interval: float = 0.0) -> None:
        """Commit what is done, unless that was asked for less than `interval` seconds ago.

        Nobody waits for the broker: what fails is asked for again by the next call.
        """
        now = time.monotonic()
        if not self._done or now - self._committed_at < interval:
            return
        positions, self._done = self._done, {}
        self._committed_at = now
        if self._group is not None:
            try:
                self._consumer.commit(offsets=self._at(positions), asynchronous=True)
            except KafkaException as exception:
                self._on_commit(error_of(exception), self._at(positions))

    def close(self) -> None:
        """Commit and leave the group."""
        self.commit()
        self._consumer.close()

    def complain(self, kind: str, text: str, *values: object) -> None:
        """A line of the log, unless there was one of this kind lately."""
        now = time.monotonic()
        if now - self._complained.get(kind, -SECONDS) >= SECONDS:
            self._complained[kind] = now
            LOGGER.warning(text, *(shown(value, 500) if isinstance(value, str) else value for value in values))

    def _poll(self, timeout: float) -> Message | None:
        try:
            return self._consumer.poll(timeout)
        except SystemError as error:  # a signal came while `on_commit` or the like ran: see `error_cb`
            raise KeyboardInterrupt from error

    def _begin(self, partitions: list[int]) -> None:
        """Read the partitions that were handed over; while the broker is away, the next poll tries again."""
        try:
            positions = self._positions()
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() in PERMANENT:
                raise self._refusal(error) from exception
            self._hear(error)
            return
        if self._group is not None:
            if not positions.keys() >= set(partitions):
                return  # new ones, and the broker that was asked has not heard of them
            positions = {partition: positions[partition] for partition in partitions}
        self._handed_over, self._reading = None, set(positions)
        self._consumer.assign(self._at(positions))

    def _positions(self) -> dict[int, int]:
        """Where to begin, of all partitions of the topic.

        A new group that begins at the end commits at once where that is, in all partitions: from then on nothing is
        passed over, however often its members restart, also in a partition that is added one day.
        """
        metadata = self._consumer.list_topics(self._topic, timeout=ASK).topics[self._topic]
        if metadata.error is not None:
            raise KafkaException(metadata.error)
        bounds = {
            p: self._consumer.get_watermark_offsets(TopicPartition(self._topic, p), ASK) for p in metadata.partitions
        }
        first, end = ({partition: bound[side] for partition, bound in bounds.items()} for side in (0, 1))
        if self._group is None:
            return first if self._from_beginning else end
        answers = self._consumer.committed(self._at(dict.fromkeys(bounds, OFFSET_INVALID)), timeout=ASK)
        for answer in answers:
            if answer.error is not None:
                raise KafkaException(answer.error)
        found = {answer.partition: answer.offset for answer in answers if answer.offset >= 0}
        if not found and not self._from_beginning:
            self._done = dict(end)
            self.commit()
            return end
        return first | found

    def _on_assign(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._handed_over = [each.partition for each in partitions]
        consumer.assign([])

    def _on_revoke(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self.commit()
        self._on_lost(consumer, partitions)

    def _on_lost(self, consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._done.clear()
        self._at_end.clear()
        self._handed_over = self._reading = None
        consumer.unassign()

    def _on_commit(self, error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
        for each in partitions:
            if (problem := error or each.error) is not None:
                self.complain("commit", "a position in %s is not committed: %s", self._topic, problem.str())
                if problem.code() not in MEMBERSHIP and each.partition in (self._reading or ()):
                    self._done.setdefault(each.partition, each.offset)

    def _is_error(self, message: Message) -> bool:
        """Whether this is no record but something that the client has to say."""
        if (error := message.error()) is None:
            return False
        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end[message.partition() or 0] = message.offset() or 0
        elif error.code() in PERMANENT and not self._reading:  # later: a broker that is not up to date, or a deletion
            raise self._refusal(error)
        else:
            self._hear(error)
        return True

    def _hear(self, error: KafkaError) -> None:
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED and self._group is None:
            return  # the client asks for the group's coordinator, which nobody needs
        if error.code() in DENIED:
            raise self._refusal(error)
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # says how many, not why
            self.complain("broker", "waiting for the broker at %s: %s", self._bootstrap, error.str())

    def _refusal(self, error: KafkaError) -> Exception:
        return refusal(error, f"reading {self._topic}", self._bootstrap)

    def _at(self, positions: Mapping[int, int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, partition, position) for partition, position in positions.items()]
