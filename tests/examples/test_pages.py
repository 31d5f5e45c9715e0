"""The Python of the pages for those who produce and consume, run against a broker as it stands there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streammon.adapters.kafka.embedded import EmbeddedBroker
from tests.docs.pages import blocks, read
from tests.examples.commands import BROKER, ROOT
from tests.examples.events import events_of
from tests.golden.make import content
from tests.golden.oracle import canonical, crc64, schema, single_object
from tests.sdk.published import alert, publish


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    monkeypatch.chdir(ROOT)  # the pages name files of the repository
    with EmbeddedBroker() as embedded:
        yield embedded


def run(page: str, number: int, address: str, scope: dict[str, Any], **replacements: str) -> None:
    """A block of a page, with the names of `scope`, and pieces of it replaced."""
    text = list(blocks(page, "python"))[number].text.replace(BROKER, address)
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    exec(text, scope)


def test_the_service_of_the_page(broker: EmbeddedBroker) -> None:
    """Context manager, decorator, middleware and label give the events that the page promises."""
    for topic in ("inference-events", "inference-labels"):
        broker.create(topic, 1)
    middleware: list[Any] = []
    scope: dict[str, Any] = {
        "SECRET": b"0123456789abcdef",
        "CLASSES": ["approve", "decline"],
        "model": lambda features: np.array([0.25, 0.75]),
        "app": SimpleNamespace(add_middleware=lambda kind, **options: middleware.append((kind, options))),
        "JSONResponse": dict,
    }
    run("docs/producing.md", 0, broker.address, scope)
    scope["predict"](SimpleNamespace(id="r1", user="alice", features=[1.0, 2.0]))
    run("docs/producing.md", 1, broker.address, scope)
    scope["model"] = lambda row: SimpleNamespace(label="decline")
    assert scope["classify"]([3.0, 4.0]).label == "decline"
    asyncio.run(asked(scope, middleware))
    run("docs/producing.md", 2, broker.address, scope)
    assert scope["events"].flush(10)
    run("docs/producing.md", 3, broker.address, scope)
    first, second, third = events_of(broker.address, "inference-events")
    (label,) = events_of(broker.address, "inference-labels", "inference_label")
    scope["events"].close()
    assert (first["req_id"], first["prediction"], first["score"]) == ("r1", "decline", 0.75)
    assert (second["prediction"], second["features"], second["http_status"]) == ("decline", [3.0, 4.0], 200)
    assert (third["req_id"], third["prediction"], third["http_status"]) == ("r3", "decline", 200)
    assert (label["req_id"], label["label"], label["model_id"]) == ("req-4711", "fraud", "fraud")


async def asked(scope: dict[str, Any], middleware: list[Any]) -> None:
    """A request to the handler of the page, through the middleware that the page adds."""

    async def app(state: Any, receive: Any, send: Any) -> None:
        async def body() -> list[float]:
            return [1.0]

        request = SimpleNamespace(state=SimpleNamespace(**state["state"]), headers={"x-request-id": "r3"}, json=body)
        assert await scope["predict"](request) == {"label": "decline"}
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def nothing(*_: object) -> None:
        pass

    ((kind, options),) = middleware
    await kind(app, **options)({"type": "http", "path": "/predict"}, nothing, nothing)


def test_a_producer_of_ones_own(broker: EmbeddedBroker) -> None:
    """The ten bytes of the page are those of the schema, and the record is what streammon reads."""
    broker.create("inference-events", 1)
    expected = crc64(canonical(schema("inference_event")).encode()).to_bytes(8, "little")
    assert f"`{expected.hex(' ').upper()}`" in read("docs/producing.md")
    run("docs/producing.md", 4, broker.address, {})
    (event,) = events_of(broker.address, "inference-events")
    assert (event["model_id"], event["score"], event["features"], event["timed_out"]) == ("fraud", 0.7, [], False)


@pytest.mark.parametrize(
    "number, replacements", [(0, {'"RESOLVED"]': '"RESOLVED"], start="earliest", timeout=0'}), (2, {"30": "2"})]
)
def test_consumers_of_alerts(broker: EmbeddedBroker, number: int, replacements: dict[str, str]) -> None:
    """Each is told; what cannot be read is passed over."""
    broker.create("streammon-alerts", 1)
    publish(broker.address, "streammon-alerts", [alert(0), b"{}", alert(1, state="RESOLVED")])
    told: list[tuple[str, ...]] = []
    run("docs/consuming.md", number, broker.address, {"notify": lambda *words: told.append(words)}, **replacements)
    assert told == [("P1", "p95 42.5 ms > 35", "FIRING"), ("P1", "p95 42.5 ms > 35", "RESOLVED")]


def test_metrics_as_a_data_frame(broker: EmbeddedBroker) -> None:
    """A row for each measurement."""
    broker.create("streammon-metrics", 1)
    record = content("metric_event.1")
    publish(broker.address, "streammon-metrics", [single_object("metric_event", record)])
    scope: dict[str, Any] = {}
    run("docs/consuming.md", 1, broker.address, scope)
    assert scope["frame"]["value"].tolist()[0] == pytest.approx(record["measurements"][0]["value"])
    assert len(scope["frame"]) == len(record["measurements"])


def test_the_pages_name_every_argument_and_reason() -> None:
    """Arguments of AlertConsumer, reasons of the producer, fields of `log`."""
    import inspect

    from streammon.sdk import AlertConsumer, EventProducer, Fields
    from streammon.sdk.delivery import REASONS

    consuming, producing = read("docs/consuming.md"), read("docs/producing.md")
    arguments = set(inspect.signature(AlertConsumer).parameters) - {"bootstrap"}
    assert {name for name in arguments if f"`{name}`" not in consuming} == set()
    arguments = set(inspect.signature(EventProducer).parameters) - {"bootstrap"}
    assert {name for name in arguments if re.search(rf"\b{name}\b", producing) is None} == set()
    assert set(re.findall(r"^\| `(\w+)` \|", producing, re.MULTILINE)) >= set(REASONS)
    assert {name for name in Fields.__annotations__ if f"`{name}`" not in producing} == set()
