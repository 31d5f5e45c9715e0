"""A stretch of a topic as a source."""

from __future__ import annotations

import pytest
from confluent_kafka import Producer

from streammon.adapters.kafka.topic_source import TopicSource, find
from streammon.core.errors import UsageError
from streammon.core.ports import RecordBatch
from tests.broker.kafka_tools import produce
from tests.conftest import Topics

pytestmark = pytest.mark.broker


def produced(topics: Topics, records: int) -> str:
    """Half of them in each of two partitions, 7 ms apart, then a transaction that is aborted."""
    name = topics.create("events", 2)
    produce(
        topics.bootstrap,
        name,
        [(number % 2, b"k", str(number).encode(), 1_000_000 + 7 * number) for number in range(records)],
    )
    producer = Producer({"bootstrap.servers": topics.bootstrap, "transactional.id": topics.name("aborts")})
    producer.init_transactions(30)
    producer.begin_transaction()
    for _ in range(10):
        producer.produce(name, b"aborted", partition=1)
    producer.flush(30)
    producer.abort_transaction(30)
    return name


def read(topics: Topics, name: str, start: str, end: str, more: int = 0) -> dict[int, list[int]]:
    """Numbers that were read of each partition; `more` records come when the ends are known."""
    options = {"bootstrap.servers": topics.bootstrap}
    spans = find(options, name, start, end)
    if more:
        produce(topics.bootstrap, name, [(number % 2, b"k", b"-1", None) for number in range(more)])
    source = TopicSource(options, name, spans, list(spans))
    found: dict[int, list[int]] = {}
    try:
        source.seek({partition: span.first for partition, span in spans.items()})
        while not source.finished():
            batch = source.poll(0.1)
            for partition, low, high in () if batch is None else batch.runs:
                assert batch is not None
                found.setdefault(partition, []).extend(int(value(batch, row)) for row in range(low, high))
    finally:
        source.close()
    return found


def value(batch: RecordBatch, row: int) -> bytes:
    read = batch.buffer[batch.start[row] : batch.end[row]].tobytes()
    assert read == batch.origin(row).value
    return read


def test_ends_are_those_of_the_start(topics: Topics) -> None:
    """What comes later is left out, and what was aborted never shows, though it lies at the end."""
    name = produced(topics, 2_000)
    everything = {p: list(range(p, 2_000, 2)) for p in range(2)}
    assert read(topics, name, "beginning", "now") == everything
    assert read(topics, name, "beginning", "now", more=50) == everything


def test_places(topics: Topics) -> None:
    """Offsets and times, in each partition for itself; the first record's timestamp is known where it matters."""
    name = produced(topics, 2_000)
    assert read(topics, name, "900", "903") == {0: [1800, 1802, 1804], 1: [1801, 1803, 1805]}
    assert read(topics, name, "1970-01-01T00:16:40.070Z", "1970-01-01T00:16:40.098Z") == {0: [10, 12], 1: [11, 13]}
    spans = find({"bootstrap.servers": topics.bootstrap}, name, "5", "8")
    assert [tuple(span) for span in spans.values()] == [(5, 8, 3, 1_000_070_000), (5, 8, 3, 1_000_077_000)]
    for start, end in (("5000", "now"), ("now", "now"), ("beginning", "beginning"), ("now", "beginning")):
        with pytest.raises(UsageError, match=f"holds no records from {start} to {end}"):
            find({"bootstrap.servers": topics.bootstrap}, name, start, end)
