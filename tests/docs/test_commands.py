"""Every command of the documentation is run, in a story, or says why not."""

from __future__ import annotations

import io
import json
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fastavro
import pytest

from streammon.adapters.files import read_outputs
from streammon.adapters.schema_files import MARKER
from streammon.core.outputs import AlertEvent
from tests.broker import kafka_tools
from tests.broker.kafka_tools import eventually
from tests.conftest import Topics
from tests.docs.pages import PAGES, ROOT, blocks, read
from tests.docs.stories import Story, lines, of

WORKER = "with: a worker on Kafka"
BASELINE = "with: the digits' baseline"
TOLD = {  # page and mark of the blocks that the stories below run
    ("docs/replay.md", ""),
    ("docs/replay.md", WORKER),
    ("docs/production.md", ""),
    ("docs/production.md", BASELINE),
    ("docs/operating.md", WORKER),
    ("docs/own-schema.md", ""),
    ("README.md", ""),
}
NOT_RUN = 5  # blocks


def checkout(folder: Path) -> Path:
    """The folder with the examples in it, and nothing that they make."""
    ignored = shutil.ignore_patterns("baselines", "__pycache__")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=ignored, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the baseline of the page about replay is built: its first block."""
    folder = checkout(tmp_path_factory.mktemp("good"))
    Story(folder).tell(of("docs/replay.md")[:1])
    return folder


@pytest.fixture
def on_kafka(tmp_path: Path, topics: Topics) -> Iterator[Story]:
    story = Story(checkout(tmp_path), topics)
    yield story
    story.close()


@pytest.mark.slow
def test_a_replay_without_a_broker(good: Path) -> None:
    """Prints what the page shows."""
    Story(good).tell(of("docs/replay.md")[1:])


@pytest.mark.broker
@pytest.mark.slow
def test_a_worker_on_kafka_and_its_replay(on_kafka: Story, topics: Topics, good: Path) -> None:
    """The replay with the journal gives the alerts that live gave."""
    folder = on_kafka.folder
    shutil.copytree(good / "examples" / "baselines", folder / "examples" / "baselines")
    text = (folder / "examples" / "digits.yaml").read_text(encoding="utf-8")
    (folder / "streammon.yaml").write_text(text.replace("[baselines/", "[examples/baselines/"), encoding="utf-8")
    assert "FIRING" in on_kafka.tell(of("docs/production.md", BASELINE))
    alerts = on_kafka.run("streammon tail alerts --config streammon.yaml --from-beginning --json", "here")
    on_kafka.tell(of("docs/replay.md", WORKER))
    replayed = [alert.alert_id for alert in read_outputs(folder / "again" / "alerts.avro", AlertEvent)]
    assert set(re.findall(r'"alert_id": "(\w+)"', alerts)) <= set(replayed)
    assert len(replayed) > 4

    events, letters = topics.name("events"), topics.name("dead_letters")
    kafka_tools.produce(topics.bootstrap, events, [(0, b"digits-0", b"no event", None)])
    on_kafka.rename({"3": "0", "4711": str(kafka_tools.end_offsets(topics.bootstrap, events)[0] - 1)})
    eventually(lambda: any(kafka_tools.end_offsets(topics.bootstrap, letters, "read_committed").values()), "refused")
    refused, late = of("docs/operating.md", WORKER)
    assert "FRAMING" in on_kafka.tell([refused])

    first = next(record for record in kafka_tools.read_all(topics.bootstrap, events) if record.value != b"no event")
    kafka_tools.produce(topics.bootstrap, events, [(first.partition, first.key, first.value, None)])
    ends = partial(kafka_tools.end_offsets, topics.bootstrap, topics.name("late"), "read_committed")
    eventually(lambda: any(ends().values()), "late")
    assert "LATE" in on_kafka.tell([late])
    on_kafka.end()


@pytest.mark.broker
@pytest.mark.slow
def test_the_first_day_with_a_schema_of_ones_own(on_kafka: Story, topics: Topics) -> None:
    """Its own page, then what the README and the page about production add."""
    walk = of("docs/own-schema.md")
    create = next(number for number, block in enumerate(walk) if "topics create" in block.text) + 1
    on_kafka.tell(walk[:create])
    schema = fastavro.parse_schema(json.loads((on_kafka.folder / "prediction.avsc").read_text(encoding="utf-8")))
    kafka_tools.produce(topics.bootstrap, topics.name("events"), [predictions(schema, k) for k in range(200)])
    on_kafka.tell(walk[create:])
    on_kafka.tell(of("docs/production.md"))
    (on_kafka.folder / "streammon.yaml").unlink()
    on_kafka.tell(of("README.md"))
    on_kafka.end()


def predictions(schema: Any, number: int) -> tuple[int | None, bytes, bytes, int | None]:
    """A record as the service of the page writes it."""
    now = int(time.time() * 1000)
    value = {
        "request_id": f"r{number}",
        "created_at": now,
        "model": {"name": "fraud", "version": "3"},
        "duration_ms": 20.0 + number % 7,
        "applicant": {"age": 30 + number % 40, "income": 1000.0 * number},
        "decision": ("approve", "decline", "review")[number % 3],
        "probability": number / 200,
    }
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, value)
    fingerprint = fastavro.schema.fingerprint(fastavro.schema.to_parsing_canonical_form(schema), "CRC-64-AVRO")
    return None, b"fraud", MARKER + bytes.fromhex(fingerprint) + stream.getvalue(), now


def test_every_block_is_told_or_says_why_not() -> None:
    silent = []
    for page in PAGES:
        for block in blocks(page, "sh"):
            if block.mark.startswith("not run: "):
                assert len(block.mark) > 20, f"{block.place}: why?"
                silent.append(block.place)
            else:
                assert (page, block.mark) in TOLD, f"{block.place}: which story runs this?"
    assert len(silent) == NOT_RUN, silent


def test_make_has_every_target_that_is_named() -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    for page in PAGES:
        commands = [line for block in blocks(page, "sh") for line in lines(block.text)]
        named = {line.split()[1] for line in commands if line.startswith("make ")}
        named |= set(re.findall(r"`make (\w+)", read(page)))
        assert named <= targets, page
