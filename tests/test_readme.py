"""The README's examples, run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import eventually
from tests.conftest import Topics

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
VARYING = ("seconds", "events per second")  # lines of a summary that the README leaves out


def block(after: str, language: str) -> str:
    """The first fenced block of a language behind a line of text."""
    found = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE).search(README, README.index(after))
    assert found is not None
    return found[1]


def commands(after: str) -> list[list[str]]:
    """The `streammon` commands of a block, without comments and `&`."""
    lines = [line.partition("#")[0].strip() for line in block(after, "sh").splitlines()]
    return [shlex.split(line.rstrip("&"))[1:] for line in lines if line.startswith("streammon ")]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the examples in it, and nothing that they make."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("baselines"))
    return tmp_path


def streammon(folder: Path, arguments: list[str], **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "streammon", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_quick_start_prints_what_the_readme_shows(checkout: Path) -> None:
    printed = ""
    for arguments in [*commands("No broker is needed"), *commands("Then a day on which")]:
        printed = streammon(checkout, arguments)
    kept = [line for line in printed.splitlines() if not line.startswith(VARYING)]
    assert kept == block("Then a day on which", "text").splitlines()


@pytest.fixture
def environment(broker: Broker, topics: Topics) -> dict[str, str]:
    """Settings that keep the example apart from other tests."""
    names = ("events", "metrics", "alerts", "dead_letters", "journal", "changelog")
    return {
        "STREAMMON_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap,
        "STREAMMON_GROUP": topics.name("readme"),
        **{f"STREAMMON_TOPICS__{name.upper()}": topics.name(name) for name in names},
    }


@pytest.mark.broker
@pytest.mark.slow
def test_the_example_on_kafka_ends_in_alerts(checkout: Path, environment: dict[str, str]) -> None:
    """The commands of the README; the last one is asked again until the worker has got there."""
    for arguments in commands("No broker is needed"):
        streammon(checkout, arguments)
    create, run, simulate, tail = commands("## On Kafka")
    streammon(checkout, create, **environment)
    pace = simulate.index("--pace")
    streammon(checkout, simulate[:pace] + simulate[pace + 2 :], **environment)
    worker = subprocess.Popen(
        [sys.executable, "-m", "streammon", *run],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
    )
    try:
        eventually(
            lambda: "FIRING" in streammon(checkout, [*tail, "--until-end"], **environment),
            "an alert",
            timeout=60,
            every=1,
        )
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0
    finally:
        worker.kill()
