"""The demo itself: what it prints, writes and leaves, from a folder that knows nothing of the checkout."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streammon import cli, replay
from streammon.adapters.files import read_outputs
from streammon.adapters.recorded_source import read_journal
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.demo import play as stage
from streammon.demo.folder import MARK, claimed
from streammon.demo.play import Performance, play
from streammon.demo.scenario import Scenario
from streammon.demo.screen import Screen
from streammon.settings import load
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import admin, eventually

ROOT = Path(__file__).parents[2]
NOW = 1_769_860_923_000_000
LONG = ("demo", "--minutes", "600")  # does not end by itself while a test waits
SMALL = ("demo", "--minutes", "10", "--kinds", "latency", "--seed", "7")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel unpacks to, with what is compiled already: the package, and the files that are put into it."""
    site = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "streammon", site / "streammon", ignore=shutil.ignore_patterns("*.pyc"))
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    for source, target in build["targets"]["wheel"]["force-include"].items():
        (site / target).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
        copy(ROOT / source, site / target)
    return site


@contextmanager
def streammon(folder: Path, site: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command in another folder, which imports from `site`. It is killed in the end, should it still run."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "streammon", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(site)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_demo_finds_what_it_injects_and_its_recording_replays_to_the_same(site: Path, tmp_path: Path) -> None:
    """Installed, in another folder: one object, one folder; metric and alert events that a replay repeats exactly."""
    with streammon(tmp_path, site, *SMALL, "--keep", "--json") as process:
        out, err = process.communicate()
        assert (process.returncode, err) == (0, "")
    said = json.loads(out)
    varying = {name: said.pop(name) for name in ("seconds", "events_per_second")}
    assert all(value > 0 for value in varying.values())
    assert said == {
        "events": 25_750,
        "windows": 48,
        "metrics": 48,
        "alerts_before_drift": 0,
        "alerts_after_drift": 1,
        "false_alerts": 0,
        "first_alert_delay_windows": {"latency": 2},
        "rules": {"latency": "slow"},
        "report": "streammon-demo/report.html",
        "out": "streammon-demo",
        "seed": 7,
        "minutes": 10,
        "problem": None,
    }
    assert os.listdir(tmp_path) == ["streammon-demo"]
    folder = tmp_path / "streammon-demo"
    assert "<title>" in (folder / "report.html").read_text(encoding="utf-8")
    settings = load(folder / "settings.yaml")
    log = replay.of_files([folder / "events.avro"], settings)
    journal = read_journal(folder / "journal.avro", log.topic)
    summary = replay.run(settings, log, tmp_path / "replayed", journal=journal)
    assert (summary.comparable, summary.events, summary.dead_letters) == (True, 25_750, {})
    for name, kind in (("metrics.avro", MetricEvent), ("alerts.avro", AlertEvent)):
        assert key_by_identity(folder / name, kind) == key_by_identity(tmp_path / "replayed" / name, kind) != {}


def key_by_identity(path: Path, kind: type[Any]) -> dict[object, Any]:
    events = list(read_outputs(path, kind))
    found = {getattr(event, "event_id", None) or (event.alert_id, event.number): event for event in events}
    assert len(found) == len(events)
    return found


def test_nothing_drifts_nothing_fires(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines for a person, the last of them commands; exit code 0."""
    out = tmp_path / "demo"
    assert cli.main(["demo", "--minutes", "10", "--kinds", "none", "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = said.out.splitlines()
    assert lines[0] == f"streammon demo, seed 1; everything it makes goes to {out}"
    assert "not exactly once" in lines[1]
    assert "alerts before the drift: 0, after: 0" in lines
    assert "without any alert: digits-0/prod, digits-0/canary, digits-1/prod, digits-1/canary" in lines
    assert not any("FIRING" in line for line in lines)
    assert lines[-1].startswith("  streammon demo --bootstrap")


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_not_found_is_exit_code_1(
    tmp_path: Path, as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With everything else said as ever, and a sentence that names the kind."""

    def sabotaged(scenario: Scenario, out: Path, *_: object) -> Performance:
        windows = [f"{number}" for number in range(scenario.windows)]
        return Performance(scenario, out, 100, 1.0, metrics=[_Metric(window) for window in windows])  # type: ignore[misc]

    monkeypatch.setattr(stage, "play", sabotaged)
    assert cli.main([*SMALL, "--out", str(tmp_path), *["--json"] * as_json]) == 1
    said = capsys.readouterr()
    assert said.err == "streammon: demo: injected, but not found by its own rule: latency (rule slow)\n"
    if as_json:
        assert json.loads(said.out)["first_alert_delay_windows"] == {"latency": None}
    else:
        assert "not found" in said.out


class _Metric:
    """As much of a metric event as a summary looks at."""

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id


def test_a_window_that_is_missing_or_published_twice_is_a_problem(tmp_path: Path) -> None:
    """The demo counts what it read back."""
    story = Scenario(now=NOW, kinds=(), minutes=10)
    all_of_them = [_Metric(str(number)) for number in range(story.windows)]
    assert Performance(story, tmp_path, metrics=all_of_them).problem is None  # type: ignore[arg-type]  # enough of one
    for wrong in (all_of_them[1:], [*all_of_them, all_of_them[0]]):
        problem = Performance(story, tmp_path, metrics=wrong).problem  # type: ignore[arg-type]  # enough of one
        assert problem is not None
        assert problem.startswith(f"{story.windows} windows closed, but {len(wrong)} metric events")


@pytest.mark.slow
def test_whenever_it_is_ended_only_its_folder_is_left(site: Path, tmp_path: Path) -> None:
    """By SIGTERM while it works, with what there was and no traceback; by SIGKILL while it begins."""
    ends = {  # exit code, and the file that shows, with these words in it, how far it is
        signal.SIGTERM: (143, "worker.log", "live"),
        signal.SIGKILL: (-9, MARK, ""),
    }
    with ExitStack() as running:
        processes = {}
        for number in ends:
            (tmp_path / number.name).mkdir()
            processes[number] = running.enter_context(streammon(tmp_path / number.name, site, *LONG))
        for number, (code, name, words) in ends.items():
            folder, process = tmp_path / number.name, processes[number]
            file = folder / "streammon-demo" / name
            eventually(partial(_says, file, words), f"{words} in {file}", timeout=100)
            process.send_signal(number)
            out, err = process.communicate(timeout=10)
            assert process.returncode == code, (out, err)
            assert err == ""
            if number is signal.SIGTERM:
                assert "stopped after" in out
                assert (folder / "streammon-demo" / "metrics.avro").exists()
            assert os.listdir(folder) == ["streammon-demo"]
            with claimed(folder / "streammon-demo"):
                assert os.listdir(folder / "streammon-demo") == [MARK]


def _says(file: Path, words: str) -> bool:
    return file.exists() and words in file.read_text(encoding="utf-8")


@pytest.mark.broker
@pytest.mark.slow
def test_on_a_real_broker_the_story_is_the_same_and_nothing_is_left_there(broker: Broker, tmp_path: Path) -> None:
    """Topics and group of its own, gone in the end."""
    client = admin(broker.bootstrap)

    def ours() -> set[str]:
        groups = client.list_consumer_groups().result().valid
        names = {*client.list_topics(timeout=10).topics, *(group.group_id for group in groups)}
        return {name for name in names if name.startswith("streammon-demo")}

    before = ours()
    story = Scenario(now=NOW, seed=7, kinds=("latency",), minutes=10)
    performance = play(story, tmp_path / "demo", broker.bootstrap, False, Screen(silent=True))
    assert performance.problem is None
    assert [finding.delay for finding in performance.verdict.findings] == [2]
    assert len(performance.metrics) == story.windows
    eventually(lambda: ours() == before, "topics and group are gone")
