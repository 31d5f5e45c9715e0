"""From a service to what the worker sees, on a real broker."""

from __future__ import annotations

import json

import pytest

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.core.errors import Code
from streammon.core.events import MODEL_ID, REQ_ID
from streammon.sdk import EventProducer
from streammon.simulate.partitioner import partition_of
from tests.adapters.avro_cases import batch
from tests.broker.kafka_tools import read_all
from tests.conftest import Topics
from tests.sdk.reading import SCHEMAS

pytestmark = pytest.mark.broker

PARTITIONS, MODELS, EVENTS = 3, 7, 3_000


def test_every_event_once_in_its_models_partition(topics: Topics) -> None:
    """As Java's clients would place it; decoded by the worker's decoder, all of them good."""
    topic = topics.create("events", PARTITIONS)
    with EventProducer(topics.bootstrap, model_id="m0", model_version="1", topic=topic, wait_for_room=30) as events:
        for number in range(EVENTS):
            assert events.log(f"r{number}", model_id=f"m{number % MODELS}", features=[1.0] * 16)
        assert events.flush(30)
    assert events.stats() == (EVENTS, EVENTS, 0, {})
    records = read_all(topics.bootstrap, topic)
    for record in records:
        assert record.key is not None
        assert record.partition == partition_of(record.key, PARTITIONS)
    schema = json.loads((SCHEMAS / "inference_event.avsc").read_text(encoding="utf-8"))
    decoded = AvroDecoder([schema], "single_object").decode(batch([record.value for record in records]))
    assert decoded.code.tolist() == [Code.OK] * EVENTS
    assert sorted((decoded.text(row, REQ_ID), decoded.text(row, MODEL_ID)) for row in range(EVENTS)) == sorted(
        (f"r{number}", f"m{number % MODELS}") for number in range(EVENTS)
    )
    assert [decoded.text(row, MODEL_ID) for row in range(EVENTS)] == [
        (record.key or b"").decode() for record in records
    ]


def test_a_topic_that_is_not_there(topics: Topics, caplog: pytest.LogCaptureFixture) -> None:
    """Is what most first attempts end in: dropped, counted, and the reason is said."""
    kafka = {"topic.metadata.propagation.max.ms": 300, "topic.metadata.refresh.interval.ms": 300}
    events = EventProducer(topics.bootstrap, model_id="m", model_version="1", topic=topics.name("none"), kafka=kafka)
    events.log("r1")
    assert events.flush(20)
    assert events.stats() == (1, 0, 0, {"broker": 1})
    events.close()
    assert "Unknown topic" in caplog.text
