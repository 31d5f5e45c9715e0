"""Records that come straight from the client's queues are those that the client itself would deliver."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import Producer

from streammon.adapters.kafka import librdkafka
from streammon.adapters.kafka.source import KafkaSource
from streammon.core.errors import UsageError
from streammon.core.ports import Origin, RecordBatch
from tests.broker.kafka_tools import TIMEOUT
from tests.conftest import Topics

pytestmark = pytest.mark.broker

PARTITIONS = 3
Seen = tuple[int, int, Origin]  # offset, timestamp, the record


class Reader:
    """A listener that seeks where it is told, and collects what a source delivers."""

    def __init__(self, source: KafkaSource, positions: Mapping[int, int]) -> None:
        self.source, self.positions, self.is_assigned = source, positions, False
        self.seen: dict[int, list[Seen]] = {partition: [] for partition in positions}

    def assigned(self, partitions: Sequence[int]) -> None:
        self.is_assigned = True
        self.source.seek(self.positions)

    def revoked(self, partitions: Sequence[int]) -> None: ...

    def lost(self, partitions: Sequence[int]) -> None: ...

    def turn(self) -> None:
        records = self.source.poll(0.1)
        if records is not None:
            self.collect(records)

    def collect(self, records: RecordBatch) -> None:
        assert records.keys is not None
        buffer, key_start, key_end = records.keys
        for partition, low, high in records.runs:
            for row in range(low, high):
                origin, (start, end) = records.origin(row), (records.start[row], records.end[row])
                assert origin.value == (None if start < 0 else records.buffer[start:end].tobytes())
                assert origin.key == (None if key_start[row] < 0 else buffer[key_start[row] : key_end[row]].tobytes())
                self.seen[partition].append((int(records.offset[row]), int(records.timestamp[row]), origin))

    def until(self, count: int) -> None:
        deadline = time.monotonic() + TIMEOUT
        while sum(map(len, self.seen.values())) < count:
            assert time.monotonic() < deadline
            self.turn()


@contextmanager
def reading(topic: str, bootstrap: str, group: str, positions: Mapping[int, int], limit: int = 100) -> Iterator[Reader]:
    source = KafkaSource(topic, {"bootstrap.servers": bootstrap, "group.id": group}, limit)
    reader = Reader(source, positions)
    source.start(reader)
    try:
        yield reader
    finally:
        source.close()


def records(count: int) -> list[dict[str, Any]]:
    """Of every shape: null and empty values and keys, headers that repeat or are null, timestamps out of order."""
    rng = random.Random(3)
    shapes: list[bytes | None] = [None, b"", b"v", b"value" * 50]
    headers: list[list[tuple[str, bytes | None]]] = [[], [("a", b"1"), ("a", None), ("ü", b"\xff\x00")], [("b", b"")]]
    return [
        {
            "partition": rng.randrange(PARTITIONS),
            "key": rng.choice(shapes),
            "value": rng.choice([*shapes, rng.randbytes(rng.randrange(2000))]),
            "timestamp": 1_700_000_000_000 + rng.randrange(10**6),
            "headers": rng.choice(headers),
        }
        for _ in range(count)
    ]


@pytest.fixture
def topic(topics: Topics) -> str:
    name = topics.create("events", PARTITIONS, {"message.timestamp.type": "CreateTime"})
    producer = Producer({"bootstrap.servers": topics.bootstrap, "log_level": 3})
    for record in records(5_000):
        producer.produce(name, **record)
    assert producer.flush(TIMEOUT) == 0
    return name


def test_both_ways_deliver_the_same_records(topics: Topics, topic: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Value, key, headers, timestamp, offset: one by one, in the order of each partition."""
    positions = dict.fromkeys(range(PARTITIONS), 0)
    with reading(topic, topics.bootstrap, topics.name("direct"), positions) as direct:
        assert direct.source._direct is not None, "the fast way does not fit this build of the client"
        direct.until(5_000)
    monkeypatch.setattr(librdkafka, "load", lambda: None)
    with reading(topic, topics.bootstrap, topics.name("client"), positions) as plain:
        assert plain.source._direct is None
        plain.until(5_000)
    assert direct.seen == plain.seen
    assert [offset for offset, _, _ in direct.seen[0]] == list(range(len(direct.seen[0])))


def test_after_a_seek_nothing_of_before_is_delivered(topics: Topics, topic: str) -> None:
    """Each partition goes on at exactly its new position, whatever was fetched already."""
    rng = random.Random(5)
    with reading(topic, topics.bootstrap, topics.name("seeks"), dict.fromkeys(range(PARTITIONS), 0)) as reader:
        reader.until(1)
        for _ in range(15):
            reader.positions = {partition: rng.randrange(1_000) for partition in range(PARTITIONS)}
            reader.source.seek(reader.positions)
            reader.seen = {partition: [] for partition in range(PARTITIONS)}
            reader.until(rng.randrange(1, 600))
            for partition, seen in reader.seen.items():
                first = reader.positions[partition]
                assert [offset for offset, _, _ in seen] == list(range(first, first + len(seen)))


def test_an_error_of_a_partition_is_raised_not_swallowed(topics: Topics, topic: str) -> None:
    """A position beyond the log comes from the partition's own queue."""
    positions = {0: 0, 1: 10**6, 2: 0}
    with (
        reading(topic, topics.bootstrap, topics.name("beyond"), positions) as reader,
        pytest.raises(UsageError, match=f"{topic} 1: the log no longer holds the position"),
    ):
        reader.until(5_000)


def test_an_unknown_build_of_the_client_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library, another version of it, or an object that is not the client's: no handle, and no crash."""
    library = librdkafka.load()
    assert library is not None
    assert librdkafka.handle(library, object()) is None  # type: ignore[arg-type]  # that is the point
    monkeypatch.setattr(confluent_kafka, "libversion", lambda: ("0.9.0", 0x000900FF))
    assert librdkafka.load() is None
    monkeypatch.setattr(librdkafka, "_MAPS", Path("/nowhere"))
    assert librdkafka.load() is None
