"""The topics of the settings: how they should be, and how they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, OffsetSpec, ResourceType

from streammon.adapters.kafka.errors import DENIED, error_of
from streammon.adapters.kafka.sink import Topics

TIMEOUT = 10.0  # seconds
SETTINGS = (
    "message.timestamp.type",
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "min.insync.replicas",
    "max.message.bytes",
    "segment.bytes",
)
"""What is looked at."""


WANTED: Mapping[str, Mapping[str, str]] = {
    "events": {"message.timestamp.type": "LogAppendTime"},
    "metrics": {},
    "alerts": {},
    "dead_letters": {},
    "late": {},
    "journal": {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},  # as long as the input
    "changelog": {"cleanup.policy": "compact", "segment.bytes": str(32 << 20)},
}
"""Settings with which `topics create` makes a topic, by role (field of Topics). Any other is the broker's default."""


class Span(NamedTuple):
    """The offsets of a partition that hold records: begin to end - 1. `end` counts records that are not committed."""

    begin: int
    end: int


@dataclass(slots=True)
class Topic:
    """A topic as the broker shows it to this user. What it does not show is None or empty."""

    role: str  # field of Topics
    name: str
    error: KafkaError | None = None  # why nothing is known: it does not exist, or may not be seen
    partitions: int = 0
    replication: int = 0  # replicas of the partition that has the fewest
    in_sync: int = 0  # replicas in sync of the partition that has the fewest
    leaderless: list[int] = field(default_factory=list)
    allowed: frozenset[str] | None = None  # operations of this user, as kafka-acls.sh names them
    settings: dict[str, str] | None = None  # SETTINGS
    spans: dict[int, Span] | None = None  # by partition

    @property
    def denied(self) -> bool:
        return self.error is not None and self.error.code() in DENIED


def describe(client: AdminClient, topics: Topics) -> list[Topic]:
    """All topics that have a name, in the order of Topics. Raises KafkaException when the broker does not answer."""
    collection = TopicCollection(list(topics.by_role.values()))
    answers = client.describe_topics(collection, include_authorized_operations=True, request_timeout=TIMEOUT)
    found = [_topic(role, name, answers[name]) for role, name in topics.by_role.items()]
    there = [topic for topic in found if topic.error is None]
    if there:
        _add_settings(client, there)
        _add_spans(client, there)
    return found


def differences(topic: Topic, partitions: int) -> dict[str, tuple[str, str]]:
    """What is otherwise than `topics create` would make it: by setting, what it is and what it would be."""
    out = {
        name: (topic.settings[name], value)
        for name, value in WANTED[topic.role].items()
        if topic.settings is not None and topic.settings.get(name, value) != value
    }
    if topic.partitions != partitions:
        out["partitions"] = (str(topic.partitions), str(partitions))
    return out


def operations(allowed: Iterable[AclOperation] | None) -> frozenset[str] | None:
    """Names as kafka-acls.sh has them; None where the broker does not tell.

    >>> sorted(operations([AclOperation.DESCRIBE_CONFIGS, AclOperation.READ]) or ())
    ['DescribeConfigs', 'Read']
    """
    if allowed is None:
        return None
    return frozenset(operation.name.title().replace("_", "") for operation in allowed)


def _topic(role: str, name: str, answer: Any) -> Topic:
    try:
        found = answer.result()
    except KafkaException as exception:
        error = error_of(exception)
        if error.code() not in {KafkaError.UNKNOWN_TOPIC_OR_PART, *DENIED}:
            raise
        return Topic(role, name, error)
    return Topic(
        role,
        name,
        partitions=len(found.partitions),
        replication=min(len(p.replicas) for p in found.partitions),
        in_sync=min(len(p.isr) for p in found.partitions),
        leaderless=[p.id for p in found.partitions if p.leader is None or p.leader.id < 0],
        allowed=operations(found.authorized_operations),
    )


def _add_settings(client: AdminClient, topics: list[Topic]) -> None:
    asked = {ConfigResource(ResourceType.TOPIC, topic.name): topic for topic in topics}
    for resource, answer in client.describe_configs(list(asked), request_timeout=TIMEOUT).items():
        try:
            entries = answer.result()
        except KafkaException as exception:
            if error_of(exception).code() not in DENIED:
                raise
            continue
        asked[resource].settings = {
            name: str(entries[name].value) for name in SETTINGS if name in entries and entries[name].value is not None
        }


def _add_spans(client: AdminClient, topics: list[Topic]) -> None:
    """Partitions without a leader have no offsets to ask for."""
    for topic in topics:
        asked = [TopicPartition(topic.name, p) for p in range(topic.partitions) if p not in topic.leaderless]
        if not asked:
            continue
        low, high = (
            client.list_offsets(dict.fromkeys(asked, which), request_timeout=TIMEOUT)
            for which in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        try:
            topic.spans = {
                where.partition: Span(low[where].result().offset, high[where].result().offset) for where in asked
            }
        except KafkaException as exception:
            if error_of(exception).code() not in DENIED:
                raise
