"""The example of a service, as uvicorn runs it."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from streammon.adapters.kafka.embedded import EmbeddedBroker
from tests.broker.kafka_tools import eventually
from tests.examples.commands import BROKER, ROOT, command
from tests.examples.events import events_of


@contextmanager
def service(address: str) -> Iterator[httpx.Client]:
    """The command of its head, on a port that is free; ended in order."""
    arguments, variables = command("service/app.py", 1, {BROKER: address})
    variables["USER_KEY"] = "a secret of this test, long enough"
    with subprocess.Popen(
        [*arguments, "--port", "0"],
        env=variables,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"running on (http://\S+)", line):
                    break
            else:
                pytest.fail("the service has ended")
            with httpx.Client(base_url=found[1], timeout=30) as client:
                yield client
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        finally:
            process.kill()


@pytest.mark.slow
def test_the_service_tells_of_each_prediction() -> None:
    """Status, latency, user and what the model saw are in the events; health checks are not; labels follow."""
    with EmbeddedBroker() as broker:
        for topic in ("inference-events", "inference-labels"):
            broker.create(topic, 1)
        with service(broker.address) as client:
            assert client.get("/health").json()["events"]["logged"] == 0
            image = client.get("/sample").json()
            answers = [client.post("/predict", json=image, headers={"x-user": "anna"}).json() for _ in range(2)]
            assert client.post("/predict", json={"pixels": [1, 2]}).status_code == 400
            assert client.post("/label", json={"req_id": answers[0]["req_id"], "digit": 3}).status_code == 202
            eventually(lambda: client.get("/health").json()["events"]["delivered"] == 4, "all is delivered")
            assert client.get("/health").json()["events"]["logged"] == 4
        events = events_of(broker.address, "inference-events")
        labels = events_of(broker.address, "inference-labels", "inference_label")
    good, again, bad = events
    assert [event["http_status"] for event in events] == [200, 200, 400]
    assert [event["req_id"] for event in (good, again)] == [answer["req_id"] for answer in answers]
    assert all(0 < event["latency_ms"] < 30_000 for event in events)
    assert good["prediction"] == str(answers[0]["digit"])
    assert good["score"] == pytest.approx(answers[0]["probability"], rel=1e-6)
    assert (len(good["features"]), len(good["probs"]), len(good["embedding"])) == (16, 10, 64)
    assert sum(good["probs"]) == pytest.approx(1, abs=1e-5)
    assert re.fullmatch("[0-9a-f]{32}", good["user_id_hash"])
    assert good["user_id_hash"] == again["user_id_hash"]
    assert good["feature_hash"] == again["feature_hash"]
    assert (bad["features"], bad["prediction"], bad["user_id_hash"]) == ([], None, None)
    assert [(label["req_id"], label["label"]) for label in labels] == [(answers[0]["req_id"], "3")]
