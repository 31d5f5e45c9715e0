"""`streammon doctor` and `topics describe`, against a real broker, and where there is none."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from tests.broker import kafka_tools
from tests.commands.conftest import ROOT, Command, Result
from tests.conftest import Topics
from tests.doctor.conftest import ROLES, settings_of


@pytest.fixture
def config(topics: Topics, tmp_path: Path) -> Path:
    path = tmp_path / "streammon.yaml"
    models = f'[{{match: "digits-*", features: 16, classes: {[str(n) for n in range(10)]}, embedding: 64}}]'
    text = f"{settings_of(topics)}kafka:\n  bootstrap.servers: {topics.bootstrap}\nmodels: {models}\n"
    path.write_text(text, encoding="utf-8")
    return path


def levels(result: Result) -> dict[str, str]:
    """Of each check the worst level."""
    order = ("ok", "unknown", "warn", "fail")
    found: dict[str, str] = {}
    for finding in json.loads(result.out)["findings"]:
        found[finding["check"]] = max(found.get(finding["check"], "ok"), finding["level"], key=order.index)
    return found


def alter(topics: Topics, name: str, setting: str, value: str) -> None:
    change = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topics.name(name), incremental_configs=[change])
    client = kafka_tools.admin(topics.bootstrap)
    for future in client.incremental_alter_configs([resource]).values():
        future.result(10)
    asked = ConfigResource(ResourceType.TOPIC, topics.name(name))

    def shows() -> bool:
        return bool(client.describe_configs([asked])[asked].result(10)[setting].value == value)

    kafka_tools.eventually(shows, f"{setting} of {name} is {value}")


@pytest.mark.broker
def test_before_and_after_the_topics_exist(command: Command, config: Path, topics: Topics) -> None:
    """No topics: it fails and says what to do. With topics and events: all is well, and nothing was changed."""
    before = command("doctor", "--config", config)
    assert before.code == 1
    assert f"there is no {topics.name('events')}" in before.out
    assert "-> streammon topics create" in before.out
    assert before.err == "streammon: doctor: 1 check failed: a worker needs it\n"

    command("topics", "create", "--config", config, "--partitions", 3)
    empty = command("doctor", "--config", config, "--json")
    assert empty.code == 0, empty
    assert levels(empty)["records"] == "unknown"

    simulate = ("--events", 400, "--models", 6)
    assert command("simulate", "--config", config, "--to", "kafka", *simulate).code == 0
    ends = {name: kafka_tools.end_offsets(topics.bootstrap, topics.name(name)) for name in ROLES}
    after = command("doctor", "--config", config, "--json")
    assert after.code == 0, after
    assert json.loads(after.out)["ok"] is True
    found = levels(after)
    assert set(found.values()) == {"ok"}, after.out
    expected = {"versions", "device", "broker", "kafka version", "topics", "partitions", "replication", "timestamps"}
    assert expected | {"group", "time-outs", "access", "memory", "records", "keys", "partitioner", "clocks"} <= set(
        found
    )
    assert ends == {name: kafka_tools.end_offsets(topics.bootstrap, topics.name(name)) for name in ROLES}
    assert topics.name("group") not in groups(topics.bootstrap)


def groups(bootstrap: str) -> set[str]:
    found = kafka_tools.admin(bootstrap).list_consumer_groups().result(10)
    return {group.group_id for group in found.valid}


@pytest.mark.broker
def test_what_is_wrong_is_named(command: Command, config: Path, topics: Topics) -> None:
    """Bytes that no schema explains, a key in the wrong partition, settings that lose state: each has its finding."""
    command("topics", "create", "--config", config, "--partitions", 3)
    alter(topics, "changelog", "cleanup.policy", "delete")
    alter(topics, "events", "message.timestamp.type", "CreateTime")
    kafka_tools.produce(topics.bootstrap, topics.name("events"), [(1, b"abc", b'{"json": true}', 1)] * 5)
    result = command("doctor", "--config", config, "--json")
    assert result.code == 1
    found = levels(result)
    wrong = {check: level for check, level in found.items() if level in ("warn", "fail")}
    assert wrong == {"changelog": "fail", "timestamps": "warn", "records": "fail", "partitioner": "warn"}
    texts = {f["check"]: f["text"] for f in json.loads(result.out)["findings"]}
    assert texts["records"].startswith("5 of the newest 5 would be dead letters, FRAMING; the first at partition 1")
    assert "JSON" in texts["records"]
    described: dict[str, Any] = json.loads(command("topics", "describe", "--config", config, "--json").out)
    differs = {name: topic["differs"] for name, topic in described.items() if topic["differs"]}
    assert differs == {
        topics.name("changelog"): {"cleanup.policy": ["delete", "compact"]},
        topics.name("events"): {"message.timestamp.type": ["CreateTime", "LogAppendTime"]},
    }
    assert described[topics.name("events")]["offsets"] == {"0": [0, 0], "1": [0, 5], "2": [0, 0]}


@pytest.mark.broker
def test_topics_are_described_for_people(
    command: Command, config: Path, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("topics", "create", "--config", config, "--partitions", 2)
    alter(topics, "journal", "retention.ms", "86400000")
    kafka_tools.produce(topics.bootstrap, topics.name("events"), [(1, b"k", b"v", None)] * 3)
    monkeypatch.setenv("STREAMMON_TOPICS__ALERTS", "no-such-topic")
    result = command("topics", "describe", "--config", config)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    events = lines[lines.index(topics.name("events")) + 1]
    assert events.startswith("  events: 2 partitions, 1 replica, LogAppendTime, delete, kept for ")
    assert events.endswith(", 3 offsets (1: 0 to 2)")
    assert lines[lines.index("no-such-topic") + 1].startswith("  alerts: does not exist")
    journal = lines.index(topics.name("journal"))
    assert "kept for 1d, empty" in lines[journal + 1]
    assert lines[journal + 2] == "  retention.ms is 86400000; topics create would set -1"


# --- no broker --------------------------------------------------------------------------------------------------------


@pytest.fixture
def something_else() -> Iterator[str]:
    """The address of a server that answers everybody in HTTP."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # the test is over
                return
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{listening.getsockname()[1]}"
    listening.close()


@pytest.mark.slow  # the client tries for ten seconds, in case the broker is just starting
def test_who_does_not_answer_as_kafka_does(command: Command, something_else: str, tmp_path: Path) -> None:
    """Another protocol behind the address: exit code 3, one line; what concerns this machine is told all the same."""
    path = tmp_path / "streammon.yaml"
    path.write_text(f"kafka:\n  bootstrap.servers: {something_else}\n", encoding="utf-8")
    result = command("doctor", "--config", path, "--json")
    assert result.code == 3
    assert result.err.count("\n") == 1
    assert something_else in result.err
    assert "security.protocol" in result.err
    found = levels(result)
    assert found["broker"] == "fail"
    assert found["device"] == found["versions"] == "ok"
    described = command("topics", "describe", "--config", path)
    assert (described.code, described.out) == (3, "")
    assert described.err.count("\n") == 1


def test_a_protocol_that_the_client_does_not_know(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "streammon.yaml"
    path.write_text("kafka:\n  security.protocol: tls\n", encoding="utf-8")
    result = command("doctor", "--config", path)
    assert result.code == 2
    assert 'Invalid value "tls" for configuration property "security.protocol"' in result.err


def test_nowhere_to_keep_compiled_code(tmp_path: Path) -> None:
    """As on a read-only file system: a line that says what to set, and no traceback."""
    path = tmp_path / "streammon.yaml"
    path.write_text("group: g\n", encoding="utf-8")
    program = (
        "import sys, numba.core.caching as caching\n"
        "implementation = getattr(caching, 'CacheImpl', None) or caching._CacheImpl  # by version of numba\n"
        "implementation._locator_classes = []\n"
        "from streammon.cli import main\n"
        f"sys.exit(main(['check', '--config', {str(path)!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "set NUMBA_CACHE_DIR" in done.stderr
