"""`replay` and `baseline build` of files that nobody recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from streammon.adapters.containers import read_records
from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope, EnvelopeWriter
from streammon.adapters.files import read_outputs
from streammon.adapters.schema_files import load_schema
from streammon.core.outputs import MetricEvent
from tests.commands.conftest import Command

NOON = 1_769_860_800  # 2026-01-31T12:00:00Z, seconds
SETTINGS = {
    "input": {"mapping": {"ts": "when", "features": ["age", "income"]}, "defaults": {"lane": "prod"}},
    "models": [{"match": "*", "features": ["age", "income"]}],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "streammon.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


@pytest.fixture
def exports(tmp_path: Path) -> list[Path]:
    """300 rows over five minutes, in two files; one row is bad."""
    rows = [f"{NOON + i},fraud,3,{20 + i % 10},{'old' if i == 7 else 30 + i % 40},{i}" for i in range(300)]
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for path, part in zip(paths, (rows[:150], rows[150:]), strict=True):
        path.write_text("\n".join(["when,model_id,model_version,latency_ms,age,income", *part]))
    return paths


def test_a_replay_of_rows(command: Command, config: Path, exports: list[Path], tmp_path: Path) -> None:
    """Windows as of any events; the run is not comparable, and says why; the bad row names its place."""
    out = tmp_path / "out"
    result = command("replay", "--config", config, "--from", *exports, "--out", out, "--json")
    assert (result.code, result.err) == (0, "")
    summary = json.loads(result.out)
    assert (summary["events"], summary["dead_letters"], summary["files"]) == (299, {"RANGE": 1}, 2)
    assert summary["comparable"] is False
    assert summary["why_not_comparable"] == "rows of a file have no partition, offset and timestamp of a record"
    windows = {(event.series.lane, event.start, event.n) for event in read_outputs(out / "metrics.avro", MetricEvent)}
    minutes = [(NOON + 60 * k) * 1_000_000 for k in range(4)]  # the fifth is not sealed
    assert windows == {("prod", start, 59 if start == minutes[0] else 60) for start in minutes}
    (letter,) = read_records(out / "dead_letters.avro", load_schema("recorded_envelope"))
    headers = {header["key"]: header["value"] for header in letter["headers"]}
    assert headers["__streammon.errors.message"] == b"first.csv, line 9, column age: not a number: old"
    assert headers["__streammon.errors.offset"] == b"7"
    assert letter["value"] == f"{NOON + 7},fraud,3,27,old,7".encode()


def test_a_baseline_of_rows(command: Command, config: Path, exports: list[Path], tmp_path: Path) -> None:
    """The features are those of the settings, from the columns that the mapping names."""
    out = tmp_path / "fraud-3"
    result = command("baseline", "build", "--config", config, "--from", *exports, "--model", "fraud", "--out", out)
    assert result.out.endswith(f": 299 events, 2 features, 0 classes, in {out}\n"), result.err


def test_what_does_not_go_together(command: Command, config: Path, exports: list[Path], tmp_path: Path) -> None:
    """Rows with a recording; rows with a journal, which says at which offsets of a topic it was decided."""
    recording = tmp_path / "events.avro"
    with EnvelopeWriter(recording, bytes(16)) as writer:
        writer.write([Envelope("inference-events", 0, 0, 0, LOG_APPEND_TIME, None, b"")])
    replay = ("replay", "--config", config, "--out", tmp_path / "out", "--from", *exports)
    assert "replay one kind at a time" in command(*replay, recording).err
    assert "rows of files have none: leave it out" in command(*replay, "--journal", recording).err
