"""`replay`: several files and processes, what an interruption leaves, where it may begin, what it refuses."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from streammon import replay
from streammon.adapters.envelopes import Envelope, EnvelopeWriter, read_envelopes
from streammon.adapters.files import read_outputs
from streammon.core.commit import CommitPolicy
from streammon.core.errors import UsageError
from streammon.core.outputs import MetricEvent
from streammon.settings import load
from tests.commands.conftest import END, Command, Files, finish, spawn
from tests.commands.test_wrong_use import assert_refused

OUTPUTS = ("metrics.avro", "alerts.avro", "dead_letters.avro", "late.avro")
MINUTE = 60_000_000
SMALL = CommitPolicy(interval=1_500, least=1_500, snapshot_interval=1e18, snapshot_events=4_000)
END_US = 1_769_860_800_000_000  # END


class Crash(Exception):
    """The process dies here."""


@pytest.fixture(scope="module")
def config(files: Files) -> Path:
    """The settings of the example, with a late topic and lateness that some events exceed."""
    path = files.folder / "late.yaml"
    text = files.config.read_text(encoding="utf-8").replace("windows:", "allowed_lateness: 0s\nwindows:", 1)
    assert "allowed_lateness: 0s" in text
    path.write_text(text + "\ntopics: {late: too-late}\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def stream(files: Files) -> list[Envelope]:
    """3 partitions, drift in the second half, and now and then a record that is none."""
    from streammon.cli import main

    path = files.folder / "stream.avro"
    made = ("--models", "4", "--partitions", "3", "--span", "900", "--drift", "latency", "--drift-at", "0.5")
    assert main(["simulate", "--to", str(path), "--events", "24000", "--seed", "3", "--end", END, *made]) == 0
    offsets = [count() for _ in range(3)]
    found = []
    for number, envelope in enumerate(read_envelopes(path)):
        for value in (envelope.value, b"no event")[: 1 + (number % 400 == 0)]:
            found.append(envelope._replace(value=value, offset=next(offsets[envelope.partition])))
    return found


@pytest.fixture(scope="module")
def recording(files: Files, stream: list[Envelope]) -> Path:
    return written(files.folder / "all.avro", stream)


@pytest.fixture(scope="module")
def whole(config: Path, recording: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a replay in one go gives."""
    out = tmp_path_factory.mktemp("whole")
    settings = load(config, {})
    summary = replay.run(settings, replay.of_files([recording], settings), out, jobs=1)
    assert (summary.events, summary.dead_letters) == (24_000 - summary.late, {"FRAMING": 60})
    assert summary.late > 0
    assert summary.alerts > 0
    assert (summary.files, summary.partitions, summary.jobs) == (1, 3, 1)
    assert (summary.comparable, summary.comparable_from, summary.journal) == (True, None, None)
    return outputs(out)


def written(path: Path, envelopes: Iterator[Envelope] | list[Envelope], codec: str = "null") -> Path:
    with EnvelopeWriter(path, bytes(16), codec) as writer:
        writer.write(envelopes)
    return path


def outputs(out: Path) -> dict[str, bytes]:
    assert sorted(path.name for path in out.iterdir()) == sorted(OUTPUTS)
    return {name: (out / name).read_bytes() for name in OUTPUTS}


def test_processes_share_the_partitions(
    command: Command, config: Path, recording: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """With the same bytes as one process alone."""
    result = command("replay", "--config", config, "--from", recording, "--out", tmp_path, "--jobs", 3, "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out)["jobs"] == 3
    assert outputs(tmp_path) == whole


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_several_files(
    codec: str, config: Path, stream: list[Envelope], whole: dict[str, bytes], tmp_path: Path
) -> None:
    """A partition for itself, and the others cut in the middle; named in any order."""
    middle = len(stream) // 2
    paths = [
        written(tmp_path / "b.avro", [e for e in stream[middle:] if e.partition], codec),
        written(tmp_path / "p0.avro", [e for e in stream if e.partition == 0], codec),
        written(tmp_path / "a.avro", [e for e in stream[:middle] if e.partition], codec),
    ]
    settings = load(config, {})
    summary = replay.run(settings, replay.of_files(paths, settings), tmp_path / "out")
    assert (summary.files, summary.comparable) == (3, True)
    assert outputs(tmp_path / "out") == whole


@pytest.mark.parametrize("turns", [1, 2, 4, 7])
def test_whoever_goes_on_after_a_crash_gets_the_same_bytes(
    turns: int, config: Path, recording: Path, whole: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed again and again, after so many turns of the loop; the work files hold whole commits only."""
    monkeypatch.setattr("streammon.adapters.recorded_source.BATCH_BYTES", 1)
    settings = load(config, {})
    log = replay.of_files([recording], settings)

    def run(left: int, resume: bool) -> replay.Summary:
        turn = count()

        def dies(done: int, total: int, reached: int | None) -> None:
            if next(turn) >= left:
                raise Crash

        return replay.run(settings, log, tmp_path, jobs=1, resume=resume, progress=dies, commits=SMALL)

    with pytest.raises(Crash):
        run(turns, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == [".work"]
    with pytest.raises(Crash):
        run(2, resume=True)
    summary = run(10_000, resume=True)
    assert summary.events + summary.late == 24_000
    assert summary.dead_letters == {"FRAMING": 60}
    assert outputs(tmp_path) == whole


def test_ctrl_c_leaves_something_to_go_on_with(
    config: Path, files: Files, command: Command, tmp_path: Path, recording: Path, whole: dict[str, bytes]
) -> None:
    """Exit code 130, a sentence, and --resume; with other settings it is refused, and so is beginning anew."""
    out = tmp_path / "out"
    arguments = ("replay", "--config", config, "--from", recording, "--out", out)
    process = spawn(*arguments, "--jobs", 2)
    while not list(out.glob(".work/partition-*.sqlite")):
        assert process.poll() is None, finish(process)
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    result = finish(process)
    said = f"streammon: {out} holds the unfinished work: the same command with --resume goes on\n"
    assert (result.code, result.out, result.err) == (130, "", said)
    assert_refused(command(*arguments), f"{out} holds a replay that was not finished", "--resume", "--replace")
    other = ("replay", "--config", files.config, *arguments[3:])
    assert_refused(
        command(*other, "--resume"),
        f"{out}: the unfinished replay there had another late topic and another plan",
        "--re",
    )
    again = command(*arguments, "--resume")
    assert (again.code, again.err) == (0, "")
    assert outputs(out) == whole
    assert_refused(command(*arguments, "--resume"), f"{out}: there is no unfinished replay to go on with")


def test_work_of_which_nobody_knows_what_it_is_about_is_removed(
    config: Path, recording: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    """Killed while it was removing what other settings had left, a replay leaves nothing that the next one adopts."""
    settings = load(config, {"allowed_lateness": "1m"})
    log = replay.of_files([recording], settings)

    def dies(done: int, total: int, reached: int | None) -> None:
        if done > 10_000:
            raise Crash

    with pytest.raises(Crash):
        replay.run(settings, log, tmp_path, jobs=1, progress=dies, commits=SMALL)
    assert list(tmp_path.glob(".work/partition-*.sqlite"))
    (tmp_path / ".work" / "about.json").unlink()
    (tmp_path / ".work-removed").mkdir()
    settings = load(config, {})
    replay.run(settings, replay.of_files([recording], settings), tmp_path, jobs=1)
    assert outputs(tmp_path) == whole


def test_two_at_once(config: Path, recording: Path, whole: dict[str, bytes], tmp_path: Path) -> None:
    """The second is refused, whether it would begin anew or go on, and the first does not notice."""
    settings = load(config, {})
    log = replay.of_files([recording], settings)
    refused: list[str] = []

    def second(done: int, total: int, reached: int | None) -> None:
        for resume in (False, True) if not refused else ():
            with pytest.raises(UsageError, match="another replay is at work there") as told:
                replay.run(settings, log, tmp_path, jobs=1, resume=resume)
            refused.append(str(told.value))

    replay.run(settings, log, tmp_path, jobs=1, progress=second)
    assert len(refused) == 2
    assert outputs(tmp_path) == whole


def test_one_that_begins_in_the_middle_warms_up(
    command: Command, config: Path, stream: list[Envelope], tmp_path: Path, whole: dict[str, bytes]
) -> None:
    """│ first record read at 11:52
    live  ────┼──────────────────────────── 12:00
    replay    │ + max_future_skew (1 m) │ from here: the same events, bit for bit, but for the alerts
    """
    cut = END_US - 8 * MINUTE
    late = [e for e in stream if e.timestamp * 1000 >= cut]
    settings = load(config, {"max_future_skew": "1m"})
    live = replay.run(settings, replay.of_files([written(tmp_path / "all.avro", stream)], settings), tmp_path / "live")
    log = replay.of_files([written(tmp_path / "late.avro", late)], settings)
    summary = replay.run(settings, log, tmp_path / "late")
    since = {p: min(e.timestamp for e in late if e.partition == p) * 1000 + MINUTE for p in range(3)}
    assert (live.comparable_from, summary.comparable_from, summary.comparable) == (None, max(since.values()), True)
    metrics = {out: list(read_outputs(tmp_path / out / "metrics.avro", MetricEvent)) for out in ("live", "late")}
    assert metrics["late"] == [event for event in metrics["live"] if event.start >= since[event.partition]]
    assert 0 < summary.metrics < summary.windows < live.windows
    compared = command("compare", tmp_path / "live", tmp_path / "late", "--json")
    assert json.loads(compared.out)["metrics"]["equal"] == summary.metrics


def test_one_that_is_too_short_to_warm_up_says_so(
    command: Command, config: Path, stream: list[Envelope], tmp_path: Path
) -> None:
    late = written(tmp_path / "late.avro", [e for e in stream if e.timestamp * 1000 >= END_US - 4 * MINUTE])
    result = command("replay", "--config", config, "--from", late, "--out", tmp_path / "out")
    assert result.code == 0
    assert (
        "comparable         no: it begins in the middle and ends before a window that live saw the same" in result.out
    )


Wrong = Callable[[list[Envelope]], dict[str, list[Envelope]]]
WRONG: dict[str, tuple[Wrong, tuple[str, ...]]] = {
    "overlap": (
        lambda all_: {"a": all_[:5_000], "b": all_[4_000:]},
        ("a.avro and ", "b.avro both hold offset", "of partition", "give each record once"),
    ),
    "cycle": (
        lambda all_: {
            "a": [e for e in all_ if (e.partition == 0) == (e.offset < 3_000)],
            "b": [e for e in all_ if (e.partition == 0) != (e.offset < 3_000)],
        },
        ("one is ahead in one partition and behind in another",),
    ),
    "backwards": (
        lambda all_: {"a": [*all_[100:200], *all_[:100]]},
        ("a.avro: offset 0 of partition", "comes after offset", "record again"),
    ),
    "topics": (
        lambda all_: {"a": all_[:50], "b": [e._replace(topic="other") for e in all_[50:99]]},
        ("b.avro is of topic other, and ", "a.avro of inference-events: replay one topic"),
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_files_that_do_not_fit_together(
    name: str, command: Command, config: Path, stream: list[Envelope], tmp_path: Path
) -> None:
    make, words = WRONG[name]
    paths = [written(tmp_path / f"{part}.avro", envelopes) for part, envelopes in make(stream).items()]
    assert_refused(command("replay", "--config", config, "--from", *paths, "--out", tmp_path / "out"), *words)
    assert not (tmp_path / "out").exists()


def test_a_file_that_was_forgotten(command: Command, config: Path, stream: list[Envelope], tmp_path: Path) -> None:
    """The run goes on, as an exploration."""
    paths = [written(tmp_path / "a.avro", stream[:5_000]), written(tmp_path / "c.avro", stream[9_000:])]
    result = command("replay", "--config", config, "--from", *paths, "--out", tmp_path / "out", "--json")
    why = json.loads(result.out)["why_not_comparable"]
    assert why.startswith("offsets ")
    assert why.endswith(f"lie in no file (between {paths[0]} and {paths[1]})")


def test_a_comparison_that_cannot_be_made_is_refused_before_the_work(
    command: Command, config: Path, stream: list[Envelope], tmp_path: Path
) -> None:
    """With itself; of files with a hole."""
    paths = [written(tmp_path / "a.avro", stream[:5_000]), written(tmp_path / "c.avro", stream[9_000:])]
    other, out = tmp_path / "other", tmp_path / "out"
    assert command("replay", "--config", config, "--from", paths[0], "--out", other).code == 0
    arguments = ("replay", "--config", config, "--from", *paths, "--out")
    assert_refused(
        command(*arguments, out, "--compare", other), "out cannot be compared: offsets", "leave --compare out"
    )
    assert not out.exists()
    same = other / ".." / "other"
    assert_refused(command(*arguments, other, "--replace", "--compare", same), f"{same} is what --out writes")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ((), "--from: name recorded files, or a --topic"),
        (("--from", "a", "--to", "5"), "--to goes with --topic"),
        (("--topic", "t", "--from", "a", "b"), "--from is one place: beginning, an offset, or a time"),
        (("--topic", "t", "--from", "noon"), "--from noon: give beginning, now, an offset, or a time such as"),
        (("--topic", "t", "--to", "later"), "--to later: give beginning, now, an offset, or a time such as"),
        (("--topic", "t", "--journal", "j.avro"), "the journal is the one of the settings"),
        (("--from", "a", "--resume", "--replace"), "give one of them"),
        (("--from", "a", "--out", "streammon-metrics"), "is a live topic: a replay writes files"),
        (("--from", "a", "--out", "topic:too-late"), "is a live topic: a replay writes files"),
        (("--from", "a", "--jobs", "0"), "'0' is not a whole number of at least 1"),
    ],
)
def test_wrong_arguments(
    arguments: tuple[str, ...], words: str, command: Command, config: Path, tmp_path: Path
) -> None:
    assert_refused(command("replay", "--config", config, "--out", tmp_path / "out", *arguments), words)
