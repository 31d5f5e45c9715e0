"""The way of a new user, on files: simulate, build a baseline, replay."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest

from streammon import __version__
from streammon.adapters.files import read_outputs
from streammon.commands import COMMANDS
from streammon.commands.common import Progress
from streammon.commands.tail import metric_line, metric_values
from streammon.core.outputs import AlertEvent, AlertState, MetricEvent
from tests.commands.conftest import END, ROOT, Command, Files, finish, spawn

HEAVY = ("torch", "numba", "numpy", "pydantic", "confluent_kafka", "fastavro", "yaml", "sklearn")
ALL = (
    *(("run",), ("replay",), ("report",), ("simulate",), ("record",), ("tail",), ("topics",), ("baseline",)),
    *(("demo",), ("compare",), ("backtest",)),
    *(("topics", "create"), ("baseline", "build"), ("baseline", "show")),
    *(("dead-letters",), ("dead-letters", "list"), ("dead-letters", "show")),
    *(("init",), ("check",), ("doctor",), ("topics", "describe"), ("topics", "acls")),
)
RULE_OF = {
    "covariate": "feature-drift",
    "class_mix": "class-mix",
    "latency": "slow",
    "errors": "server-errors",
    "missing": "missing-features",
}


def simulate(command: Command, to: Path, *more: object, events: int = 20_000) -> str:
    result = command("simulate", "--to", to, "--events", events, "--seed", 7, "--end", END, *more)
    assert (result.code, result.err) == (0, "")
    return result.out


def replay(command: Command, files: Files, recording: Path, out: Path, *more: object) -> dict[str, object]:
    result = command("replay", "--config", files.config, "--from", recording, "--out", out, "--json", *more)
    assert (result.code, result.err) == (0, "")
    summary: dict[str, object] = json.loads(result.out)
    return summary


def test_same_seed_and_end_give_the_same_bytes(command: Command, files: Files, tmp_path: Path) -> None:
    said = simulate(command, tmp_path / "again.avro")
    assert (tmp_path / "again.avro").read_bytes() == files.recording.read_bytes()
    assert said == (
        "20,000 events of 1 model x 2 lanes, 2026-01-31T11:50:00Z to 2026-01-31T12:00:00Z, "
        f"to {tmp_path / 'again.avro'}\n"
    )


def test_a_replay_of_clean_events_has_no_alerts_and_the_same_bytes_twice(
    command: Command, files: Files, tmp_path: Path
) -> None:
    first = replay(command, files, files.recording, tmp_path / "one")
    second = replay(command, files, files.recording, tmp_path / "two")
    assert list(first) == [
        *("events", "windows", "metrics", "alerts", "late", "dead_letters", "tombstones"),
        *("seconds", "events_per_second", "cpu_seconds", "files", "partitions", "jobs", "journal"),
        *("comparable", "comparable_from", "why_not_comparable"),
    ]
    assert (first["events"], first["alerts"], first["late"], first["dead_letters"]) == (20_000, 0, 0, {})
    assert first["comparable"] is True
    assert first["windows"] == first["metrics"] == second["metrics"] != 0
    for name in ("metrics.avro", "alerts.avro"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize("kind", RULE_OF)
def test_each_kind_of_drift_fires_its_own_rule(command: Command, files: Files, tmp_path: Path, kind: str) -> None:
    """And no other rule; the embedding has no measurement yet, so its drift is not seen."""
    # 20 minutes, from 11:40; drift from 11:45, so that three windows of 5 minutes follow.
    said = simulate(command, tmp_path / "in.avro", "--drift", kind, "--drift-at", 0.25, events=40_000)
    assert f"{kind} drift from 2026-01-31T11:45:00Z" in said
    replay(command, files, tmp_path / "in.avro", tmp_path / "out")
    alerts = list(read_outputs(tmp_path / "out" / "alerts.avro", AlertEvent))
    fired = [alert for alert in alerts if alert.state is AlertState.FIRING]
    assert {alert.rule_id for alert in fired} == {RULE_OF[kind]}
    assert {alert.series.lane for alert in fired} == {"prod", "canary"}
    drift_start = 1_769_859_900_000_000  # 11:45
    assert all(drift_start < alert.opened_at <= drift_start + 5 * 60_000_000 for alert in fired)


def test_the_summary_for_people(command: Command, files: Files, tmp_path: Path) -> None:
    result = command("replay", "--config", files.config, "--from", files.recording, "--out", tmp_path / "out")
    lines = dict(line.split(maxsplit=1) for line in result.out.splitlines() if not line.startswith(("dead", "events ")))
    assert lines["comparable"] == "yes"
    assert "dead letters       none" in result.out
    assert "events             20,000" in result.out
    assert result.err == ""


def test_replace_overwrites_an_earlier_replay(command: Command, files: Files, tmp_path: Path) -> None:
    """And nothing else in its directory."""
    replay(command, files, files.recording, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    before = (tmp_path / "out" / "metrics.avro").read_bytes()
    (tmp_path / "out" / "metrics.avro").write_bytes(b"old")
    replay(command, files, files.recording, tmp_path / "out", "--replace")
    assert (tmp_path / "out" / "metrics.avro").read_bytes() == before
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["alerts.avro", "dead_letters.avro", "metrics.avro", "notes.txt"]


def test_a_window_is_one_line_for_people_and_one_object_for_scripts(
    command: Command, files: Files, tmp_path: Path
) -> None:
    replay(command, files, files.recording, tmp_path / "out")
    event = next(read_outputs(tmp_path / "out" / "metrics.avro", MetricEvent))
    assert re.fullmatch(
        r"2026-01-31T11:5\d:00Z    1m  digits-0/v1/(prod|canary)  +n \d+ +5xx +\d.\d\d%  p95 +\d+\.\d ms  "
        r"classes psi \d\.\d{3}  features psi \d\.\d{3} \w+",
        metric_line(event),
    )
    values = json.loads(json.dumps(metric_values(event)))
    assert values["series"] == {"model_id": "digits-0", "model_version": "v1", "lane": event.series.lane}
    window = {"size": 60_000_000, "slide": 60_000_000, "offset": 0, "start": event.start, "end": event.end}
    assert values["window"] == window
    assert {"name", "value", "feature", "n", "flag"} <= values["measurements"][0].keys()


def test_a_baseline_is_shown(command: Command, files: Files) -> None:
    text = command("baseline", "show", files.baseline)
    assert (text.code, text.err) == (0, "")
    assert "saturated_share" in text.out
    shown = json.loads(command("baseline", "show", files.baseline, "--json").out)
    assert shown["n"] == 20_000
    assert shown["model_id"] == "digits-0"


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example(
    words: tuple[str, ...], command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        command(*words, "--help")
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert f"usage: streammon {' '.join(words)}" in said
    assert "\nexample:\n  streammon " in said


def test_no_command_is_forgotten_here() -> None:
    names = {module.__name__.rpartition(".")[2].replace("_", "-") for module in COMMANDS}
    assert names == {words[0] for words in ALL}


def test_help_imports_nothing_heavy() -> None:
    """So it is there at once."""
    code = (
        "import sys\nfrom streammon.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "replay" in done.stdout
    assert done.stderr == "[]\n"


@pytest.mark.parametrize("on_terminal", [True, False])
def test_progress_is_for_terminals_and_leaves_no_trace(on_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: on_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    clock = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    with Progress("replay") as progress:
        progress(500, 2000, "now")
    assert stream.getvalue() == ("\rreplay: 500 of 2,000 (500/s, 3 s left) now\x1b[K\r\x1b[K" if on_terminal else "")


def test_the_module_runs_as_a_program() -> None:
    assert finish(spawn("--version")) == (0, f"streammon {__version__}\n", "")


def test_a_reader_that_has_seen_enough_is_no_error(files: Files) -> None:
    """`streammon ... | head` ends quietly."""
    process = spawn("baseline", "show", files.baseline)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 0
    process.stderr.close()


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    target = tmp_path / "big.avro"
    process = spawn("simulate", "--to", target, "--events", 50_000_000)
    while not any(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    assert (result.code, result.out, result.err) == (130, "", "")
    assert not list(tmp_path.iterdir())
