"""Questions that `streammon doctor` asks a cluster, beyond those of Admin. Nothing here writes to a topic."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
    libversion,
)
from confluent_kafka.admin import ConfigResource, ResourceType

from streammon.adapters.kafka.admin import Admin
from streammon.adapters.kafka.errors import DENIED, connect, error_of, refusal
from streammon.adapters.kafka.reader import TIMESTAMP_TYPES, Reader
from streammon.adapters.kafka.source import batch_of
from streammon.adapters.kafka.topics import Topic, operations
from streammon.core.ports import RecordBatch

TIMEOUT = 10.0  # seconds
CLIENT_VERSION: str = libversion()[0]  # of librdkafka

_API = re.compile(r"ApiKey (\w+) \(\d+\) Versions -?\d+\.\.(-?\d+)")
# The oldest release that has a version of a request, newest first. Source: the protocol's message definitions.
_RELEASES = (
    ("4.1", "Fetch", 18),
    ("4.0", "Produce", 12),
    ("3.9", "Fetch", 17),
    ("3.7", "Fetch", 16),
    ("3.5", "Fetch", 15),
    ("3.1", "Fetch", 13),
    ("2.7", "Fetch", 12),
    ("2.5", "TxnOffsetCommit", 3),
)


class Cluster(NamedTuple):
    seconds: float  # from the first connection to the first answer
    name: str
    brokers: tuple[str, ...]  # addresses, as advertised
    versions: Mapping[str, int]  # of the protocol's requests, the greatest that is understood

    @property
    def release(self) -> str | None:
        """The oldest release of Kafka that it can be; None before 2.5, whose transactions do not check the group."""
        return next((name for name, api, version in _RELEASES if self.versions.get(api, -1) >= version), None)


class Group(NamedTuple):
    error: KafkaError | None = None  # why the rest is not known
    state: str = ""
    members: int = 0
    allowed: frozenset[str] | None = None
    positions: Mapping[int, int] = {}  # committed, by partition


class Sample(NamedTuple):
    """The newest records of a topic."""

    batch: RecordBatch
    partition: np.ndarray[Any, np.dtype[np.int64]]  # [n]
    keys: tuple[bytes | None, ...]  # [n]
    timestamp_types: frozenset[str]


class Probe(Admin):
    """An Admin that listens to what the client learns of the broker's protocol."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._heard = _Lines()
        self._asked = dict(options)
        super().__init__({**options, "debug": "feature", "logger": _logger(self._heard)})

    def cluster(self) -> Cluster:
        """Raises Refusal where nobody answers."""
        started = time.monotonic()
        self.partitions()
        seconds = time.monotonic() - started
        try:
            found = self._client.describe_cluster(request_timeout=TIMEOUT).result()
        except KafkaException as error:
            raise refusal(error_of(error), "describing the cluster", self._bootstrap) from error
        self._client.poll(0.1)  # delivers the client's log
        brokers = tuple(f"{node.host}:{node.port}" for node in found.nodes)
        return Cluster(seconds, found.cluster_id or "", brokers, protocol(self._heard.lines))

    def broker_settings(self, names: Sequence[str]) -> dict[str, str] | None:
        """Of one of the brokers; None where this user may not see them."""
        try:
            nodes = self._client.describe_cluster(request_timeout=TIMEOUT).result().nodes
            resource = ConfigResource(ResourceType.BROKER, str(nodes[0].id))
            entries = self._client.describe_configs([resource], request_timeout=TIMEOUT)[resource].result()
        except KafkaException as error:
            if error_of(error).code() in DENIED:
                return None
            raise refusal(error_of(error), "settings of the broker", self._bootstrap) from error
        return {name: str(entries[name].value) for name in names if name in entries}

    def group(self, group: str, topic: Topic) -> Group:
        """The consumer group, and what it has committed in a topic."""
        try:
            return self._soon(lambda: self._group(group, topic))
        except KafkaException as error:
            return Group(error_of(error))

    def _group(self, group: str, topic: Topic) -> Group:
        described = self._client.describe_consumer_groups(
            [group], include_authorized_operations=True, request_timeout=TIMEOUT
        )
        found = described[group].result()
        positions: dict[int, int] = {}
        if topic.error is None:
            positions = self._positions(group, topic)
        allowed = operations(found.authorized_operations)
        return Group(None, found.state.name.lower(), len(found.members), allowed, positions)

    def _positions(self, group: str, topic: Topic) -> dict[int, int]:
        """Asked by a consumer that never joins: librdkafka 2.16's admin client crashes the process when the answer
        says to ask again, as in the middle of a worker's commit.
        """
        consumer = connect(Consumer, {**self._asked, "logger": _logger(_Lines()), "group.id": group})
        try:
            wanted = [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
            return {each.partition: each.offset for each in consumer.committed(wanted, TIMEOUT) if each.offset >= 0}
        finally:
            consumer.close()

    def transactions(self, transactional_id: str, timeout: float) -> KafkaError | None:
        """Ask for a producer id as a worker does; nothing is produced. Returns what the broker objects to.

        `timeout` of the transaction, in seconds.
        """
        producer = connect(
            Producer,
            {
                **self._asked,
                "logger": _logger(_Lines()),
                "transactional.id": transactional_id,
                "transaction.timeout.ms": int(timeout * 1000),
            },
        )
        try:
            producer.init_transactions(TIMEOUT)
        except KafkaException as error:
            return error_of(error)
        return None

    def sample(self, topic: str, count: int) -> Sample | None:
        """About `count` of the newest committed records, from all partitions; None where there are none."""
        messages: list[Message] = []
        deadline = time.monotonic() + TIMEOUT

        def newest(bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
            share = -(-count // max(1, sum(high > low for low, high in bounds.values())))
            return {partition: max(low, high - share) for partition, (low, high) in bounds.items()}

        with Reader(self._asked, topic, from_beginning=True, first=newest) as reader:
            for batch in reader.batches(until_end=True):
                messages += batch
                if time.monotonic() > deadline:
                    break
        return _columns(messages) if messages else None


def protocol(lines: Iterable[str]) -> dict[str, int]:
    """Greatest version of each request, from the client's log; of several brokers, the least.

    >>> protocol(["x:   ApiKey Fetch (1) Versions 4..18", "y:   ApiKey Fetch (1) Versions 4..17"])
    {'Fetch': 17}
    """
    versions: dict[str, int] = {}
    for match in filter(None, map(_API.search, lines)):
        name, version = match[1], int(match[2])
        versions[name] = min(version, versions.get(name, version))
    return versions


def _columns(messages: list[Message]) -> Sample:
    partition = np.array([message.partition() for message in messages], np.int64)
    order = np.argsort(partition, kind="stable")  # as record_batch puts them: partitions side by side
    types = frozenset(TIMESTAMP_TYPES[message.timestamp()[0]] for message in messages)
    return Sample(batch_of(messages), partition[order], tuple(messages[row].key() for row in order), types)


class _Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _logger(handler: logging.Handler) -> logging.Logger:
    logger = logging.Logger("librdkafka", logging.DEBUG)  # outside the tree of loggers: nobody else hears it
    logger.addHandler(handler)
    return logger
