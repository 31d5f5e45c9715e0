"""From nothing to a worker that runs: init, check, topics create, doctor, run."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.broker import kafka_tools
from tests.broker.kafka_tools import eventually
from tests.commands.conftest import ROOT, Command, finish, spawn
from tests.conftest import Topics
from tests.doctor.conftest import ROLES


@pytest.mark.broker
@pytest.mark.slow
def test_what_init_writes_runs(
    command: Command, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was written: only names and the address, which the test has of its own, come from the environment."""
    for role in ROLES:
        monkeypatch.setenv(f"STREAMMON_TOPICS__{role.upper()}", topics.name(role))
    monkeypatch.setenv("STREAMMON_GROUP", topics.name("group"))
    monkeypatch.setenv("STREAMMON_KAFKA__BOOTSTRAP_SERVERS", topics.bootstrap)
    config = tmp_path / "streammon.yaml"
    schema = ROOT / "schemas" / "inference_event.avsc"
    assert command("init", config, "--schema", schema).code == 0
    assert command("check", "--config", config).code == 0
    assert command("topics", "create", "--config", config, "--partitions", 1).code == 0
    assert command("simulate", "--config", config, "--to", "kafka", "--events", 200).code == 0
    examined = command("doctor", "--config", config, "--json")
    assert examined.code == 0, examined
    assert json.loads(examined.out)["ok"] is True
    worker = spawn("run", "--config", config, "--start", "earliest")
    try:

        def committed() -> bool:
            assert worker.poll() is None, worker.communicate()
            return kafka_tools.committed(topics.bootstrap, topics.name("group"), topics.name("events")) == {0: 200}

        eventually(committed, "the worker has read everything", timeout=60, every=0.1)
        worker.send_signal(signal.SIGTERM)
        assert finish(worker).code == 0
    finally:
        worker.kill()
