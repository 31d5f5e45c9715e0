"""Reads back what commits made durable: the changelog and the journal of a partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streammon.adapters.changelog import Changelog
from streammon.adapters.changelog_codec import decode_key
from streammon.adapters.codec import from_bytes
from streammon.adapters.kafka.errors import TRANSIENT, connect, patiently, refusal
from streammon.adapters.kafka.source import TIMEOUT, KafkaSource
from streammon.core.journal import JournalEntry
from streammon.core.ports import ChangelogKey, Committed, Restored

QUIET = {"log_level": 2}  # errors surface as exceptions


class KafkaStateStore:
    """A second consumer, read_committed and outside the group, that reads whole partitions.

    The end to reach is the one that uncommitted records count towards, taken after the group's position is known:
    then an open transaction of a worker that died is waited for, until the broker times it out, and never overlooked.
    """

    def __init__(
        self,
        source: KafkaSource,
        options: Mapping[str, Any],
        changelog_topic: str,
        journal_topic: str,
        changelog: Changelog,
    ) -> None:
        self._source = source
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._admin = connect(AdminClient, {**QUIET, **options})
        self._consumer = connect(
            Consumer,
            {
                **QUIET,
                **options,
                "group.id": "streammon-recovery",  # the client asks for one; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.queue.backoff.ms": 10,
                "fetch.wait.max.ms": 10,  # the end of a partition is only known from an empty answer
            },
        )
        self._changelog_topic, self._journal_topic = changelog_topic, journal_topic
        self._changelog = changelog

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed | None]:
        return self._source.committed(partitions)

    def load(self, partition: int, heartbeat: Callable[[], None]) -> Restored:
        values: dict[ChangelogKey, bytes] = {}
        for message in self._read(self._changelog_topic, partition, heartbeat):
            key, value = decode_key(message.key() or b""), message.value()
            if value is None:
                values.pop(key, None)
            else:
                values[key] = value
        journal = [
            from_bytes(JournalEntry, message.value() or b"")
            for message in self._read(self._journal_topic, partition, heartbeat)
        ]
        journal.sort(key=lambda entry: entry.sequence)
        return self._changelog.restored(partition, values)._replace(journal=journal)

    def close(self) -> None:
        self._consumer.close()

    def _read(self, topic: str, partition: int, heartbeat: Callable[[], None]) -> list[Message]:
        """Every committed record of a partition."""
        where = TopicPartition(topic, partition)
        low = self._offset(where, OffsetSpec.earliest(), heartbeat)
        high = self._offset(where, OffsetSpec.latest(), heartbeat)
        messages: list[Message] = []
        if low >= high:
            return messages
        self._consumer.assign([TopicPartition(topic, partition, low)])
        try:
            while True:
                heartbeat()
                for message in self._consumer.consume(1000, 0.1):
                    error = message.error()
                    if error is None:
                        if (message.topic(), message.partition()) == (topic, partition):
                            messages.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        if (message.offset() or 0) >= high:
                            return messages
                    elif error.code() not in TRANSIENT:
                        raise refusal(error, f"reading {topic} {partition}", self._bootstrap)
        finally:
            self._consumer.unassign()

    def _offset(self, where: TopicPartition, spec: OffsetSpec, heartbeat: Callable[[], None]) -> int:
        def ask() -> int:
            asked = {TopicPartition(where.topic, where.partition): spec}
            futures = self._admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=TIMEOUT
            )
            return int(next(iter(futures.values())).result().offset)

        def look_again() -> None:
            """The client asks the leader that it knows, under the epoch that it knows, until it is told to look."""
            heartbeat()
            with suppress(KafkaException):
                self._admin.list_topics(where.topic, timeout=1.0)

        return patiently(ask, f"offsets of {where.topic} {where.partition}", self._bootstrap, look_again)
