"""Topics: what exists, what to create, and where positions begin."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from streammon.adapters.kafka.errors import TRANSIENT, Complaints, connect, error_of, refusal
from streammon.adapters.kafka.sink import Topics
from streammon.adapters.kafka.topics import WANTED, Topic, describe
from streammon.core.errors import Refusal, UsageError

T = TypeVar("T")

TIMEOUT = 10.0  # seconds


class Admin:
    """Questions and orders to a cluster. Raises Refusal when it does not answer."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._complaints = Complaints()
        self._client = connect(AdminClient, {**self._complaints.options, **options})

    def partitions(self) -> dict[str, int]:
        """Number of partitions by topic."""
        problem: Refusal | None = None
        for timeout in (1.0, TIMEOUT - 1.0):  # who is denied need not wait
            try:
                found = self._client.list_topics(timeout=timeout).topics
                return {name: len(topic.partitions) for name, topic in found.items()}
            except KafkaException as error:
                reason = self._complaints.heard(lambda: self._client.poll(0))
                problem = refusal(error_of(error), "listing topics", self._bootstrap, reason)
            if isinstance(problem, UsageError):
                break
        assert problem is not None
        raise problem

    def describe(self, topics: Topics) -> list[Topic]:
        """How the topics are, in the order of Topics."""
        self.partitions()  # waits for the connection, and knows why there is none
        try:
            return self._soon(lambda: describe(self._client, topics))
        except KafkaException as error:
            raise refusal(error_of(error), "describing topics", self._bootstrap) from error

    def _soon(self, ask: Callable[[], T]) -> T:
        """The answer; asks again for a while where a cluster or a topic is too new for the question."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return ask()
            except KafkaException as error:
                if error_of(error).code() not in TRANSIENT or time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def create(self, topics: Topics, partitions: int, replication: int | None) -> dict[str, str]:
        """Create what is missing; returns "created" or "exists" by topic. Existing topics are left as they are.

        `partitions`, for an input that does not exist; `replication` None: the broker's default.
        """
        existing = self.partitions()
        count = existing.get(topics.events, partitions)
        _check_counts(topics, {topics.events: count} | existing)
        factor = -1 if replication is None else replication
        new = [NewTopic(name, count, factor, config=dict(WANTED[role])) for role, name in topics.by_role.items()]
        missing = [topic for topic in new if topic.topic not in existing]
        for name, future in self._client.create_topics(missing).items() if missing else ():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise refusal(error.args[0], f"creating {name}", self._bootstrap) from error
        return {topic.topic: "created" if topic in missing else "exists" for topic in new}

    def remove(self, topics: Topics, group: str) -> None:
        """Delete topics and a group that nobody uses any more. What does not exist is as it should be."""
        self.partitions()  # waits for the connection, and knows why there is none
        gone = {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND}
        names = list(topics.by_role.values())
        asked = {**self._client.delete_topics(names), **self._client.delete_consumer_groups([group])}
        for name, future in asked.items():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].code() not in gone:
                    raise refusal(error.args[0], f"deleting {name}", self._bootstrap) from error

    def check(self, topics: Topics) -> int:
        """Partitions of the input. Refuses where a topic is missing or counts do not agree."""
        existing = self.partitions()
        missing = [name for name in topics.by_role.values() if name not in existing]
        if missing:
            denied = [topic.name for topic in self.describe(topics) if topic.denied]
            if denied:
                raise UsageError(
                    f"the broker at {self._bootstrap} does not let this user see {', '.join(denied)}: `streammon "
                    "topics acls` prints what a worker has to be allowed, `streammon doctor` what is missing"
                )
            raise UsageError(
                f"no such topic at {self._bootstrap}: {', '.join(missing)}. `streammon topics create` makes them"
            )
        _check_counts(topics, existing)
        return existing[topics.events]

    def starts(self, topic: str, start: str) -> Callable[[Sequence[int]], dict[int, int]]:
        """First positions for `--start earliest | latest | TIME` (ISO 8601; without a zone it is UTC)."""
        spec = start_spec(start)

        def positions(partitions: Sequence[int]) -> dict[int, int]:
            found = self._offsets(topic, partitions, spec)
            beyond = [partition for partition, position in found.items() if position < 0]  # no record at or after TIME
            return found | (self._offsets(topic, beyond, OffsetSpec.latest()) if beyond else {})

        return positions

    def _offsets(self, topic: str, partitions: Sequence[int], spec: OffsetSpec) -> dict[int, int]:
        asked = {TopicPartition(topic, partition): spec for partition in partitions}
        answers = self._client.list_offsets(asked, request_timeout=TIMEOUT)
        try:
            return {where.partition: int(future.result().offset) for where, future in answers.items()}
        except KafkaException as error:
            raise refusal(error.args[0], f"offsets of {topic}", self._bootstrap) from error


def _check_counts(topics: Topics, existing: Mapping[str, int]) -> None:
    """Partition p of the journal and of the changelog belongs to partition p of the input."""
    count = existing[topics.events]
    for name in (topics.journal, topics.changelog):
        if existing.get(name, count) != count:
            raise UsageError(
                f"{name} has {existing[name]} partitions, {topics.events} has {count}: both must agree. If the input "
                "has grown, state must be migrated: start another group with topics of its own"
            )


def start_spec(start: str) -> Any:  # OffsetSpec, whose functions have no types
    """What `--start` asks for; refuses what is no start."""
    if start in {"earliest", "latest"}:
        return OffsetSpec.earliest() if start == "earliest" else OffsetSpec.latest()
    try:
        time = datetime.fromisoformat(start)
    except ValueError:
        raise UsageError(f"--start {start}: give earliest, latest or a time such as 2026-01-31T12:00:00Z") from None
    return OffsetSpec.for_timestamp(int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000))
