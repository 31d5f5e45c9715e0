"""Late events on the command line: where a replay keeps them, and how they are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import fastavro
import pytest

from streammon.adapters.envelopes import EnvelopeWriter
from tests.bad_input.line import HEADERS, MINUTE, START, TOPIC, Stream, event
from tests.commands.conftest import Command
from tests.commands.test_wrong_use import assert_refused
from tests.oracle import files

PREFIX = "__streammon.late."

#   minutes    12:00     │ 12:01     │ 12:02        a record a second, allowed_lateness 0
#   offsets    0 ... 59  │ 60 .. 119 │ 120 ... 149
#                ^ 151       ^ 152                  behind them: 150 is no event, 151 and 152 come too late
LATE = {151: START, 152: START + MINUTE + 5_000_000}


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    stream = Stream()
    stream.good(150)
    stream.add(b"{}")
    for ts in LATE.values():
        stream.add(files.encode(event(ts=ts)))
    stream.good()
    path = tmp_path / "in.avro"
    with EnvelopeWriter(path, bytes(16)) as writer:
        writer.write(stream.envelopes)
    return path


def config(folder: Path, late: str | None = "late-events") -> Path:
    path = folder / "c.yaml"
    topics = "{}" if late is None else f"{{late: {late}}}"
    path.write_text(f"allowed_lateness: 0s\ndevice: cpu\ntopics: {topics}\n", encoding="utf-8")
    return path


def replay(command: Command, recording: Path, config: Path, *more: object) -> Path:
    out = recording.parent / "out"
    result = command("replay", "--config", config, "--from", recording, "--out", out, *more, "--json")
    assert (result.code, result.err) == (0, "")
    summary = json.loads(result.out)
    assert (summary["late"], summary["dead_letters"]) == (2, {"FRAMING": 1})
    return out


def test_a_replay_keeps_them_where_the_settings_name_a_topic(command: Command, recording: Path, tmp_path: Path) -> None:
    """As the records that live would write, in late.avro."""
    out = replay(command, recording, config(tmp_path))
    with (out / "late.avro").open("rb") as file:
        records = [record for record in fastavro.reader(file) if isinstance(record, dict)]
    assert [record["key"] for record in records] == [b"fraud"] * 2
    for record, (offset, ts) in zip(records, LATE.items(), strict=True):
        assert files.decode(record["value"])["ts"] == ts
        headers = [(header["key"], header["value"]) for header in record["headers"]]
        assert headers[: len(HEADERS)] == list(HEADERS)
        said = {name.removeprefix(PREFIX): value.decode() for name, value in headers[len(HEADERS) :]}
        pane = ts // MINUTE * MINUTE
        expected = {"offset": str(offset), "pane_start": str(pane), "pane_end": str(pane + MINUTE), "lane": "prod"}
        assert said | expected == said


def test_without_one_they_are_counted(command: Command, recording: Path, tmp_path: Path) -> None:
    """And those of an earlier replay do not stay beside the new results."""
    out = replay(command, recording, config(tmp_path))
    assert (out / "late.avro").exists()
    replay(command, recording, config(tmp_path, None), "--replace")
    assert sorted(path.name for path in out.iterdir()) == ["alerts.avro", "dead_letters.avro", "metrics.avro"]


def test_list_and_show(command: Command, recording: Path, tmp_path: Path) -> None:
    """With the tools of dead letters, which are not among them."""
    settings = config(tmp_path)
    source = ("--late", "--config", settings, "--from-dir", replay(command, recording, settings))
    result = command("dead-letters", "list", *source)
    assert (result.code, result.err) == (0, "")
    table, _, counts = result.out.partition("\n\n")
    rows = [re.split(r"  +", row) for row in table.splitlines()[1:]]
    assert [(row[1], row[3], int(row[5]), row[-1]) for row in rows] == [
        ("LATE", TOPIC, 151, "the pane 2026-01-31T12:00:00Z to 2026-01-31T12:01:00Z of fraud 1 prod was sealed"),
        ("LATE", TOPIC, 152, "the pane 2026-01-31T12:01:00Z to 2026-01-31T12:02:00Z of fraud 1 prod was sealed"),
    ]
    assert counts == "2 listed\n        2  LATE\n"
    listed = json.loads(command("dead-letters", "list", *source, "--json").out)
    assert [letter["offset"] for letter in listed["late_events"]] == [151, 152]
    shown = command("dead-letters", "show", *source, 0, 151).out.splitlines()
    assert shown[0] == f"{TOPIC} partition 0, offset 151  (late event: partition 0, offset 0)"
    assert "every byte decodes; it was late" in shown


def test_wrong_use(command: Command, recording: Path, tmp_path: Path) -> None:
    """Each refusal says where late events would be."""
    out = replay(command, recording, config(tmp_path, None))
    without = ("--late", "--config", config(tmp_path, None))
    assert_refused(command("dead-letters", "list", *without), "topics.late is not set", "name a topic")
    assert_refused(command("dead-letters", "list", *without, "--from-dir", out), "no late.avro", "topics.late")
    replay(command, recording, config(tmp_path), "--replace")
    source = ("--late", "--config", config(tmp_path), "--from-dir", out)
    assert_refused(
        command("dead-letters", "show", *source, 0, 150), "no late event", "`streammon dead-letters list --late`"
    )
    assert_refused(command("dead-letters", "list", *source, "--code", "RANGE"), "codes are LATE")
