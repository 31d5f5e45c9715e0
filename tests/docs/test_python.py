"""Python in the documentation: it compiles, and what the README shows works. (Other pages: tests/examples.)"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streammon.adapters.kafka.embedded import EmbeddedBroker
from tests.docs.pages import PAGES, Block, blocks
from tests.examples.events import events_of

PYTHON = [block for page in PAGES for block in blocks(page, "python")]


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: block.place)
def test_it_compiles(block: Block) -> None:
    compile(block.text, block.place, "exec")


def test_the_service_of_the_readme_is_seen() -> None:
    """One request: its event says who, what and how long, and who asked only as a hash."""
    (block,) = blocks("README.md", "python")
    with EmbeddedBroker() as broker:
        broker.create("inference-events", 1)
        scope: dict[str, Any] = {
            "SECRET": b"0123456789abcdef",
            "CLASSES": ["approve", "decline"],
            "model": lambda features: np.array([0.25, 0.75], np.float32),
        }
        exec(block.text.replace("localhost:9092", broker.address), scope)
        scope["predict"](SimpleNamespace(id="r1", user="alice", features=[1.0, 2.0]))
        assert scope["events"].flush(10)
        (event,) = events_of(broker.address, "inference-events")
        scope["events"].close()
    assert (event["req_id"], event["model_id"], event["lane"], event["http_status"]) == ("r1", "fraud", "prod", 200)
    assert (event["prediction"], event["score"], event["features"]) == ("decline", 0.75, [1.0, 2.0])
    assert 0 < event["latency_ms"] < 10_000
    assert event["user_id_hash"] not in (None, "alice")
