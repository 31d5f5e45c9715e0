"""Whatever the user does wrong: one line that says what and what to do, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fastavro
import pytest

from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope, EnvelopeWriter
from tests.commands.conftest import ROOT, Command, Files, Result, finish, spawn

CLOSED = "127.0.0.1:1"  # nobody listens there
USAGE, UNREACHABLE = 2, 3


def assert_refused(result: Result, *words: str, code: int = USAGE, lines: int = 1) -> None:
    assert result.code == code, result
    assert result.out == ""
    said = result.err.splitlines()
    assert len(said) == lines, result.err
    assert all(line.startswith("streammon: ") for line in said)
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """For outputs: nothing may lie there in the end."""
    target = tmp_path / "target"
    target.mkdir()
    yield target
    assert not list(target.iterdir())


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    """Writes settings."""

    def write(text: str) -> Path:
        path = tmp_path / "streammon.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("", "COMMAND; see --help"),
        ("frobnicate", "'frobnicate' (choose from 'demo'"),
        ("replay", "--config, --out; see streammon replay --help"),
        ("baseline", "ACTION; see streammon baseline --help"),
        ("topics create --config c --partitions 0", "at least 1; see streammon topics create --help"),
        ("tail alarms --config c", "'alarms' (choose from 'metrics', 'alerts')"),
        ("run --config c --strat earliest", "unrecognized arguments: --strat"),
        ("run --conf c", "--config; see streammon run --help"),
        ("simulate --to x --events 1e6", "--events: '1e6' is not a whole number of at least 1"),
        ("simulate --to x --events 0", "'0' is not a whole number of at least 1"),
        ("simulate --to x --events 9 --seed one", "--seed: invalid int value: 'one'"),
        ("simulate --to x --events 9 --seed -1", "the seed is -1; it must be at least 0"),
        ("simulate --to x --events 9 --end yesterday", "'yesterday' is no time: write now, or 2026-01-31T12:00:00Z"),
        ("simulate --to x --events 9 --end 0001-01-01", "before 1970; give a later end"),
        ("simulate --to x --events 9 --drift heat", "'heat'; there are covariate, class_mix, embedding, latency"),
        ("simulate --to x --events 9 --drift latency --drift-at 2", "drift_at is 2.0; it must be at least 0"),
        ("simulate --to x --events 9 --drift latency@2", "drift_at is 2.0; it must be at least 0"),
        ("simulate --to x --events 9 --drift latency@half", "'half' is not a fraction of the span, 0 to 1"),
        ("simulate --to x --events 9 --incidents no/such/x.json", "there is no directory no/such: make it"),
        ("demo --minutes 25", "25 minutes do not do: give a multiple of 5, at least 30 for 3 kinds of drift"),
        ("demo --kinds embedding", "no rule watches drift 'embedding'; there are covariate"),
        ("demo --seed -1", "the seed is -1; it must be at least 0"),
        ("demo --out nowhere/else.yaml --bootstrap", "argument --bootstrap: expected one argument"),
        ("simulate --to x --events 9 --drift latency --drift-in a/b", "only in 'a', but the models are digits-0"),
        ("simulate --to x --events 9 --lanes a,,b", "a lane has no name; give names such as prod,canary"),
        ("simulate --to x --events 9 --span 0", "--span: '0' is not a number greater than 0"),
        ("simulate --to x --events 9 --pace 5", "--pace is for --to kafka"),
        ("simulate --to kafka --events 9 --partitions 3", "--partitions is for files: a topic has its own"),
        ("simulate --to no/such/x.avro --events 9", "there is no directory no/such: make it"),
        ("simulate --to . --events 9", ". is a directory: name a file"),
        (
            "baseline show nowhere",
            "nowhere/baseline.json: cannot be read (No such file or directory): name the directory",
        ),
        ("record --topic t --out no/such/x.avro", "there is no directory no/such: make it"),
    ],
)
def test_wrong_arguments(
    arguments: str, words: str, command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert_refused(command(*arguments.split()), words)


def test_as_a_process_too(folder: Path) -> None:
    assert_refused(
        finish(spawn("simulate", "--to", folder / "x.avro", "--events", "many")), "'many' is not a whole number"
    )


def test_a_start_that_is_none(command: Command, config: Callable[[str], Path]) -> None:
    """Refused before anything is connected."""
    result = command("run", "--config", config(""), "--start", "soon", "--bootstrap", CLOSED)
    assert_refused(result, "--start soon: give earliest, latest or a time such as")


def test_record_overwrites_nothing(command: Command, files: Files) -> None:
    before = files.recording.read_bytes()
    assert_refused(command("record", "--topic", "t", "--out", files.recording), "exists: choose another --out")
    assert files.recording.read_bytes() == before


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, words",
    [
        ("windows: [1m\n", ":2: expected ',' or ']'"),
        ("windows: [1m]\ntopic: x\n", ":2: topic: unknown key; did you mean topics?"),
        ("windows: [1x]\n", ":1: windows[0]: '1x' is not understood: should be SIZE [every SLIDE]"),
        ("- 1m\n", ":1: should be a mapping"),
        ("input: {schemas: nowhere.avsc}\n", ":1: input.schemas[0]: there is no file"),
        ("input: {schemas: streammon.yaml}\n", "is not JSON, which an Avro schema is"),
        ("input: {mapping: {ts: created.at}}\n", "'created' of schema streammon.v1.InferenceEvent does not exist"),
        ("baselines: [nowhere]\n", "nowhere/baseline.json: cannot be read (No such file or directory): name the"),
    ],
)
def test_wrong_settings(
    text: str, words: str, command: Command, files: Files, config: Callable[[str], Path], folder: Path
) -> None:
    """With the file and the line where there is one."""
    path = config(text)
    result = command("replay", "--config", path, "--from", files.recording, "--out", folder / "out")
    assert_refused(result, words, *[f"{path}:"] * words.startswith(":"))


def test_several_problems_are_a_line_each(command: Command, config: Callable[[str], Path]) -> None:
    path = config("group: 1\nwindows: [1x]\ntopic: x\n")
    result = command("tail", "alerts", "--config", path)
    assert_refused(result, f"{path}:1: group", f"{path}:2: windows[0]", f"{path}:3: topic", lines=3)


def test_settings_that_do_not_exist(command: Command, files: Files, folder: Path) -> None:
    result = command("replay", "--config", folder / "no.yaml", "--from", files.recording, "--out", folder / "out")
    assert_refused(result, "no.yaml: cannot be read (No such file or directory): name another file of settings")


def test_a_baseline_of_another_dimension(
    command: Command, files: Files, config: Callable[[str], Path], folder: Path
) -> None:
    text = files.config.read_text().replace("embedding: 64", "embedding: 32")
    path = config(text.replace("[baselines/digits-0]", f"[{files.baseline}]"))
    result = command("replay", "--config", path, "--from", files.recording, "--out", folder / "out")
    assert_refused(
        result, f"{files.baseline}: baseline of digits-0 v1 has", "64; the settings (models) declare", "of 32"
    )


def test_two_baselines_of_one_version(
    command: Command, files: Files, config: Callable[[str], Path], folder: Path
) -> None:
    path = config(f"baselines: [{files.baseline}, {files.baseline}]\n")
    result = command("replay", "--config", path, "--from", files.recording, "--out", folder / "out")
    assert_refused(result, "two baselines for model 'digits-0', version 'v1'", "name one of them only")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def wrong_files(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of files that are no whole recording."""
    there = tmp_path_factory.mktemp("wrong")
    (there / "text.avro").write_text("not at all")
    whole = files.recording.read_bytes()
    (there / "cut.avro").write_bytes(whole[: len(whole) // 2])
    with (there / "plain.avro").open("wb") as file:
        fastavro.writer(file, json.loads((ROOT / "schemas" / "inference_event.avsc").read_text()), [])
    with EnvelopeWriter(there / "empty.avro", bytes(16)):
        pass
    with EnvelopeWriter(there / "two.avro", bytes(16)) as writer:
        writer.write(Envelope(topic, 0, 0, 0, LOG_APPEND_TIME, None, b"") for topic in ("a", "b"))
    return there


@pytest.mark.parametrize(
    "name, words",
    [
        ("none.avro", "cannot read {path}: No such file or directory"),
        ("text.avro", "{path}, read as CSV: no column model_id, which every event needs: say in input.mapping"),
        ("cut.avro", "is truncated: "),
        ("plain.avro", "{path}: no rows"),
        ("empty.avro", "{path}: holds no records: record again"),
        ("two.avro", "{path}: holds several topics, a, b: record one topic to a file"),
        (".", "Is a directory"),
    ],
)
@pytest.mark.parametrize("kind", ["replay", "baseline"])
def test_wrong_recordings(
    kind: str, name: str, words: str, command: Command, wrong_files: Path, folder: Path, files: Files
) -> None:
    path = wrong_files / name
    where = ("--config", files.config, "--from", path, "--out", folder / "deep" / "out")
    result = (
        command("replay", *where) if kind == "replay" else command("baseline", "build", *where, "--model", "digits-0")
    )
    assert_refused(result, words.format(path=path))


@pytest.mark.parametrize(
    "name, words",
    [
        ("none.avro", "cannot read {path}: No such file"),
        ("plain.avro", "{path}: holds no recorded envelopes: give what `streammon record` took of the journal topic"),
        ("clean.avro", "{path}: is not a recording of a journal topic"),
    ],
)
def test_wrong_journals(name: str, words: str, command: Command, wrong_files: Path, folder: Path, files: Files) -> None:
    path = files.recording if name == "clean.avro" else wrong_files / name
    out = folder / "out"
    result = command("replay", "--config", files.config, "--from", files.recording, "--out", out, "--journal", path)
    assert_refused(result, words.format(path=path))


def test_a_model_that_does_not_occur(command: Command, files: Files, folder: Path) -> None:
    build = ("baseline", "build", "--config", files.config, "--from", files.recording, "--out", folder / "out")
    assert_refused(command(*build, "--model", "resnet"), "no event of model 'resnet' among 20000", "'digits-0'")
    result = command(*build, "--model", "digits-0", "--version", "v9")
    assert_refused(result, "no event of version 'v9' of model 'digits-0'; there are 'v1'")


def test_nothing_is_overwritten_without_replace(command: Command, files: Files, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    where = ("--config", files.config, "--from", files.recording, "--out", tmp_path)
    assert_refused(command("replay", *where), f"{tmp_path} is not empty: choose another --out, or add --replace")
    build = ("baseline", "build", *where, "--model", "digits-0")
    assert_refused(command(*build), "is not empty: choose another path")
    assert_refused(command(*build, "--replace"), "holds more than a baseline (notes.txt) and is not replaced")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_target_that_cannot_be_written(command: Command, files: Files, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        result = command("replay", "--config", files.config, "--from", files.recording, "--out", out)
        assert_refused(result, f"cannot write to {out}: Not a directory: choose another --out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_target_without_permission(command: Command, files: Files, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = command("replay", "--config", files.config, "--from", files.recording, "--out", tmp_path / "out")
    assert_refused(result, "Permission denied: choose another --out")


def test_a_disk_that_is_full_leaves_only_the_work(
    command: Command, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even the first of the two files, which had its name already; when there is room, --resume writes them."""

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    calls: list[int] = []
    monkeypatch.setattr(os, "fsync", full)
    where = ("--config", files.config, "--from", files.recording, "--out", tmp_path / "out")
    assert_refused(command("replay", *where), "alerts.avro: No space left on device")
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".work"]
    assert command("replay", *where, "--resume").code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("alerts.avro", "dead_letters.avro", "metrics.avro")
    ]


# --- no broker --------------------------------------------------------------------------------------------------------


@pytest.mark.slow  # the client tries for ten seconds, in case the broker is just starting
def test_no_broker(config: Callable[[str], Path], folder: Path) -> None:
    """Each command gives up in seconds and says why, with nothing of the client's own log around it."""
    path = config("")
    started = time.monotonic()
    running = [
        spawn(*words, "--config", path, "--bootstrap", CLOSED)
        for words in (
            ("run", "--start", "earliest"),
            ("topics", "create"),
            ("tail", "metrics", "--from-beginning"),
            ("record", "--topic", "t", "--out", folder / "t.avro"),
            ("simulate", "--to", "kafka", "--events", 9),
        )
    ]
    for process in running:
        assert_refused(finish(process), CLOSED, "Connection refused", code=UNREACHABLE)
    assert time.monotonic() - started < 30  # all at once
