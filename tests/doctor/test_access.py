"""What a worker has to be allowed: told from a broker that denies, and enough once it is granted."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from tests.broker import kafka_tools
from tests.broker.jvm_broker import JvmBroker
from tests.broker.kafka_tools import eventually
from tests.commands.conftest import Command, finish, spawn
from tests.doctor.conftest import PASSWORD, USER, Place

pytestmark = pytest.mark.broker

Grant = tuple[str, str, str, bool]  # kind of resource, its name, operation, whether the name is a prefix


def needed(place: Place) -> set[Grant]:
    """By hand, from what a worker does: reads the input, writes outputs, reads and writes its own two topics."""
    name = place.topics.name
    return {
        ("topic", name("events"), "Read", False),
        ("topic", name("metrics"), "Write", False),
        ("topic", name("alerts"), "Write", False),
        ("topic", name("dead_letters"), "Write", False),
        ("topic", name("late"), "Write", False),
        ("topic", name("journal"), "Read", False),
        ("topic", name("journal"), "Write", False),
        ("topic", name("changelog"), "Read", False),
        ("topic", name("changelog"), "Write", False),
        ("group", name("group"), "Read", False),
        ("transactional-id", f"streammon.{name('group')}.", "Write", True),
    }


def parse(lines: Iterable[str]) -> set[Grant]:
    """What kafka-acls.sh would make of the lines; it knows these options and no others."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True, choices=[f"User:{USER}"])
    parser.add_argument("--operation", action="append", required=True)
    for kind in ("topic", "group", "transactional-id"):
        parser.add_argument(f"--{kind}")
    parser.add_argument("--resource-pattern-type", default="literal", choices=["literal", "prefixed"])
    grants = set()
    for line in lines:
        tool, *words = shlex.split(line)
        assert tool == "kafka-acls.sh"
        found = parser.parse_args(words)
        ((kind, name),) = [
            (kind, value)
            for kind in ("topic", "group", "transactional-id")
            if (value := getattr(found, kind.replace("-", "_"))) is not None
        ]
        prefixed = found.resource_pattern_type == "prefixed"
        grants |= {(kind, name, operation, prefixed) for operation in found.operation}
    return grants


def binding(grant: Grant) -> dict[str, Any]:
    kind, name, operation, prefixed = grant
    return {
        "restype": ResourceType[kind.replace("-", "_").upper()],
        "name": name,
        "resource_pattern_type": ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL,
        "principal": f"User:{USER}",
        "host": "*",
        "operation": AclOperation["DESCRIBE_CONFIGS" if operation == "DescribeConfigs" else operation.upper()],
        "permission_type": AclPermissionType.ALLOW,
    }


def allow(broker: JvmBroker, grants: Iterable[Grant]) -> None:
    client = kafka_tools.admin(broker.bootstrap)
    for future in client.create_acls([AclBinding(**binding(grant)) for grant in grants]).values():
        future.result(10)


def withdraw(broker: JvmBroker, grant: Grant) -> None:
    client = kafka_tools.admin(broker.bootstrap)
    for future in client.delete_acls([AclBindingFilter(**binding(grant))]).values():
        assert len(future.result(10)) == 1


def examined(command: Command, place: Place) -> tuple[int, dict[str, Any]]:
    result = command("doctor", "--config", place.config, "--json")
    assert PASSWORD not in result.out + result.err
    return result.code, json.loads(result.out)


def denied(report: dict[str, Any]) -> set[Grant]:
    fixes = [f["fixes"] for f in report["findings"] if f["check"] == "access" and f["level"] == "fail"]
    return parse(line for lines in fixes for line in lines)


def becomes(ask: Callable[[], set[Grant]], expected: set[Grant]) -> None:
    """The broker takes a moment to act on changed ACLs."""
    found = ask()
    deadline = time.monotonic() + 10
    while found != expected and time.monotonic() < deadline:
        found = ask()
    assert found == expected


def test_acls_are_printed_without_a_broker(command: Command, place: Place) -> None:
    """Everything that a worker needs and nothing more, as commands; what looking at topics needs comes apart."""
    words = ("topics", "acls", "--config", place.config, "--principal", f"User:{USER}")
    printed = json.loads(command(*words, "--json").out)
    assert parse(printed["run"]) == needed(place)
    names = {name for kind, name, _, _ in needed(place) if kind == "topic"}
    assert parse(printed["describe"]) == {("topic", name, "DescribeConfigs", False) for name in names}
    lines = command(*words).out.splitlines()
    assert [line for line in lines if not line.startswith("#")] == printed["run"] + printed["describe"]


def test_a_user_who_may_do_nothing(command: Command, place: Place) -> None:
    """Doctor names every operation that is missing, with the command that allows it; others say it in one line."""
    command("topics", "create", "--config", place.open, "--partitions", 2)
    code, report = examined(command, place)
    assert (code, report["ok"]) == (1, False)
    assert denied(report) == needed(place)
    described = command("topics", "describe", "--config", place.config, "--json")
    assert {topic["state"] for topic in json.loads(described.out).values()} == {"denied"}
    run = command("run", "--config", place.config, "--start", "earliest")
    assert run.code == 2
    assert f"does not let this user see {place.topics.name('events')}" in run.err.splitlines()[-1]


@pytest.mark.slow
def test_what_is_printed_is_enough_and_none_of_it_too_much(command: Command, guarded: JvmBroker, place: Place) -> None:
    """With the printed ACLs a worker commits; doctor names exactly the one that is taken away."""
    command("topics", "create", "--config", place.open, "--partitions", 2)
    printed = command("topics", "acls", "--config", place.config, "--principal", f"User:{USER}", "--json")
    grants = parse(json.loads(printed.out)["run"])
    allow(guarded, grants)
    becomes(lambda: denied(examined(command, place)[1]), set())
    assert command("simulate", "--config", place.open, "--to", "kafka", "--events", 500).code == 0

    worker = spawn("run", "--config", place.config, "--start", "earliest")
    try:
        ends = kafka_tools.end_offsets(guarded.bootstrap, place.topics.name("events"))

        def caught_up() -> bool:
            assert worker.poll() is None, worker.communicate()
            group, events = place.topics.name("group"), place.topics.name("events")
            return kafka_tools.committed(guarded.bootstrap, group, events) == ends

        eventually(caught_up, "the worker has committed everything", timeout=60, every=0.1)
        worker.send_signal(signal.SIGTERM)
        assert finish(worker).code == 0
    finally:
        worker.kill()
    code, report = examined(command, place)
    assert (code, report["ok"]) == (0, True), report
    levels = {finding["check"]: finding["level"] for finding in report["findings"]}
    assert levels["settings"] == levels["time-outs"] == "unknown"  # DescribeConfigs is not among what a worker needs
    assert levels["records"] == levels["keys"] == levels["partitioner"] == "ok"
    tailed = command("tail", "metrics", "--config", place.open, "--from-beginning", "--until-end")
    assert tailed.code == 0

    for grant in sorted(grants):
        withdraw(guarded, grant)
        becomes(lambda: denied(examined(command, place)[1]), {grant})
        allow(guarded, [grant])


def test_topics_can_be_read_without_a_right_to_any_group(command: Command, guarded: JvmBroker, place: Place) -> None:
    """`record` and `tail` belong to no group: Read on the topic is enough."""
    command("topics", "create", "--config", place.open, "--partitions", 2)
    assert command("simulate", "--config", place.open, "--to", "kafka", "--events", 50).code == 0
    events = place.topics.name("events")
    allow(guarded, [("topic", events, "Read", False)])
    out = place.config.with_name("events.avro")
    eventually(
        lambda: command("record", "--config", place.config, "--topic", events, "--out", out).code == 0, "it reads"
    )
    assert out.is_file()


def test_a_wrong_password(command: Command, place: Place) -> None:
    """One line that says so, and no password in it."""
    text = place.config.read_text(encoding="utf-8")
    place.config.write_text(text.replace(PASSWORD, "another-word"), encoding="utf-8")
    result = command("topics", "describe", "--config", place.config)
    assert result.code == 2
    assert result.err.count("\n") == 1
    assert "denies it" in result.err
    assert "Authentication failed" in result.err
    assert "another-word" not in result.err
