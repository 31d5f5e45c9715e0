"""The commands that talk to Kafka, against a real broker."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from streammon.adapters.files import read_outputs
from streammon.core.outputs import AlertEvent, MetricEvent
from tests.broker import kafka_tools
from tests.broker.kafka_tools import eventually
from tests.commands.conftest import Command, Files, finish, spawn
from tests.commands.test_wrong_use import assert_refused
from tests.conftest import Topics

pytestmark = pytest.mark.broker

NAMES = ("events", "metrics", "alerts", "dead_letters", "journal", "changelog")


@pytest.fixture
def config(topics: Topics, files: Files, tmp_path: Path) -> Path:
    """The example's settings with the topics, group and broker of this test."""
    text = files.config.read_text().replace("[baselines/digits-0]", f"[{files.baseline}]")
    names = "".join(f"  {name}: {topics.name(name)}\n" for name in NAMES)
    path = tmp_path / "streammon.yaml"
    path.write_text(
        f"{text}\ngroup: {topics.name('group')}\ntopics:\n{names}"
        f"kafka:\n  bootstrap.servers: {topics.bootstrap}\n"
        "delivery:\n  session_timeout: 6s\n  transaction_timeout: 5s\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ended with the test."""
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_topics_are_created_once(command: Command, config: Path, topics: Topics) -> None:
    """The second time nothing happens; journal and changelog have as many partitions as the input."""
    create = ("topics", "create", "--config", config, "--partitions", 3)
    first = command(*create)
    assert (first.code, first.err) == (0, "")
    assert first.out == "".join(f"created  {topics.name(name)}\n" for name in NAMES)
    second = command(*create, "--json")
    assert json.loads(second.out) == {topics.name(name): "exists" for name in NAMES}
    for name in ("events", "journal", "changelog"):
        assert kafka_tools.partitions(topics.bootstrap, topics.name(name)) == [0, 1, 2]


def test_topics_that_do_not_fit_are_refused(command: Command, config: Path, topics: Topics) -> None:
    topics.create("events", 2)
    topics.create("journal", 1)
    result = command("topics", "create", "--config", config)
    assert_refused(result, f"{topics.name('journal')} has 1 partitions, {topics.name('events')} has 2")
    assert_refused(command("run", "--config", config, "--start", "earliest"), "no such topic at", "topics create")


def test_topics_that_do_not_exist(command: Command, config: Path, topics: Topics, tmp_path: Path) -> None:
    """Every command names the topic and the command that makes it."""
    for words in (
        ("run", "--config", config, "--start", "earliest"),
        ("tail", "metrics", "--config", config),
        ("record", "--config", config, "--topic", topics.name("events"), "--out", tmp_path / "out.avro"),
        ("simulate", "--config", config, "--to", "kafka", "--events", 9),
    ):
        assert_refused(command(*words), topics.prefix, "`streammon topics create` makes")
    assert [path.name for path in tmp_path.iterdir()] == ["streammon.yaml"]


def test_a_new_group_has_to_say_where_to_start(command: Command, config: Path) -> None:
    assert command("topics", "create", "--config", config, "--partitions", 1).code == 0
    result = finish(spawn("run", "--config", config))
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    last = result.err.splitlines()[-1]
    assert last.startswith("streammon: ")
    assert "--start earliest, --start latest or --start TIME" in last


@pytest.mark.slow
def test_from_topics_to_a_replay_that_equals_live(
    command: Command, config: Path, topics: Topics, tmp_path: Path, started: list[subprocess.Popen[str]]
) -> None:
    """create, simulate with drift, run, tail, record, replay with the journal: the same events as live published."""
    assert command("topics", "create", "--config", config, "--partitions", 2).code == 0
    simulate = ("--events", 20_000, "--models", 2, "--seed", 7, "--end", "2025-01-31T12:00:00Z")
    said = command("simulate", "--config", config, "--to", "kafka", *simulate, "--drift", "latency", "--drift-at", 0.2)
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith(f"to {topics.name('events')} at {topics.bootstrap}\n")

    worker = spawn("run", "--config", config, "--start", "earliest")
    started.append(worker)
    ends = kafka_tools.end_offsets(topics.bootstrap, topics.name("events"))

    def caught_up() -> bool:
        assert worker.poll() is None, worker.communicate()
        positions = kafka_tools.committed(topics.bootstrap, topics.name("group"), topics.name("events"))
        return all(positions.get(partition, 0) >= end for partition, end in ends.items())

    eventually(caught_up, "the worker has read everything", timeout=60, every=0.2)
    worker.send_signal(signal.SIGTERM)
    stopped = finish(worker)
    assert stopped.code == 0, stopped.err
    assert "Traceback" not in stopped.err

    tail = ("--config", config, "--from-beginning", "--until-end")
    metrics = [json.loads(line) for line in command("tail", "metrics", *tail, "--json").out.splitlines()]
    alerts = [json.loads(line) for line in command("tail", "alerts", *tail, "--json").out.splitlines()]
    assert {metric["series"]["lane"] for metric in metrics} == {"prod", "canary"}
    assert all(m["window"]["end"] - m["window"]["start"] == m["window"]["size"] for m in metrics)
    assert {alert["rule_id"] for alert in alerts} == {"slow"}
    lines = command("tail", "alerts", *tail).out.splitlines()
    assert len(lines) == len(alerts)
    assert all("FIRING" in line and "slow: latency.p95 is" in line for line in lines)
    assert len(command("tail", "metrics", *tail).out.splitlines()) == len(metrics)

    for name in ("events", "journal"):
        recorded = command(
            "record", "--config", config, "--topic", topics.name(name), "--out", tmp_path / f"{name}.avro"
        )
        assert (recorded.code, recorded.err) == (0, "")
    replayed = command(
        *("replay", "--config", config, "--from", tmp_path / "events.avro", "--out", tmp_path / "out", "--json"),
        *("--journal", tmp_path / "journal.avro"),
    )
    summary = json.loads(replayed.out)
    assert summary["comparable"] is True
    assert (summary["events"], summary["metrics"], summary["alerts"]) == (20_000, len(metrics), len(alerts))
    offline = read_outputs(tmp_path / "out" / "metrics.avro", MetricEvent)
    assert {event.event_id: event.n for event in offline} == {m["event_id"]: m["n"] for m in metrics}
    again = read_outputs(tmp_path / "out" / "alerts.avro", AlertEvent)
    assert {(event.alert_id, event.number) for event in again} == {(a["alert_id"], a["number"]) for a in alerts}

    of_topic = ("replay", "--config", config, "--topic", topics.name("events"))
    straight = command(*of_topic, "--out", tmp_path / "straight", "--json", "--compare", "topics")
    assert (straight.code, straight.err) == (0, "")
    said_again = json.loads(straight.out)
    assert (said_again["events"], said_again["files"], said_again["journal"]) == (20_000, 0, summary["journal"])
    assert said_again["compare"]["metrics"]["equal"] == len(metrics)
    for name in ("metrics.avro", "alerts.avro"):
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()

    # From the middle: the broker's times are of today, so nothing of 2025 can be known to be whole.
    part = ("--from", 12_000, "--to", 19_000, "--out", tmp_path / "part", "--journal", "none")
    found = json.loads(command(*of_topic, *part, "--json").out)
    assert (found["events"], found["metrics"], found["journal"], found["comparable"]) == (7_000, 0, None, False)
    assert found["why_not_comparable"].startswith("it begins in the middle and ends before a window")
    misspelt = command(*of_topic, "--out", tmp_path / "x", "--compare", "strait").err
    assert misspelt.startswith(
        "streammon: --compare: strait is no directory here, so taken as a topic: there is no topic"
    )
    assert not (tmp_path / "x").exists()
