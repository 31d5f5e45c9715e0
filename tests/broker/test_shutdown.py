"""How a worker and the other commands end when they are told to: in order, in time, at once, and without a trace."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streammon.adapters.kafka.producer import Record
from streammon.adapters.kafka.sink import STEPS
from streammon.cli import main
from tests.broker.jvm_broker import START_TIMEOUT, Broker, await_ready, free_ports
from tests.broker.kafka_tools import TIMEOUT, end_offsets, eventually, produce
from tests.conftest import Topics
from tests.faults import verdict
from tests.faults.line import Line, make_line, send
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import inferences
from tests.faults.workers import ROOT, START_SECONDS, Worker, crew

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTITIONS = 2
PATIENCE = 10.0  # seconds that a supervisor gives at least
AT_ONCE = 4.0  # seconds, with room for a busy machine
BOTH = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Five models in two partitions, 80 s of event time."""
    return inferences(6_000, models=5, partitions=PARTITIONS, span=80.0, seed=13)


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Line:
    return make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS)


def ends(worker: Worker, *signals: signal.Signals, within: float, code: int = 0) -> None:
    """The worker ends with that exit code and no traceback, in time after these signals."""
    started = time.monotonic()
    for number in signals:
        worker.process.send_signal(number)
    assert worker.exit_code() == code, worker.tail()
    assert time.monotonic() - started < within
    assert not worker.complaints()


def finish(line: Line, worker: Worker) -> None:
    """The worker takes the rest and leaves in order; then every output is there once."""
    worker.go()
    await_caught_up(line, worker)
    worker.terminate()
    verdict.everything_is_there_once(line)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("steps", [("after_outputs", "before_commit"), pytest.param(STEPS, marks=pytest.mark.faults)])
def test_a_second_signal_ends_a_worker_at_once_at_any_step_of_a_commit(
    line: Line, records: list[Record], tmp_path: Path, steps: tuple[str, ...]
) -> None:
    """It has no time for more; what it was about to publish, its successor does. Every output is there once."""
    part = len(records) // (len(steps) + 1)
    with crew(line.config, tmp_path / "logs") as workers:
        last = workers.prepare(start="earliest")
        for number, step in enumerate(steps):
            send(line, records[number * part : (number + 1) * part])
            worker = workers.start(start="earliest", stop_at=f"{step}:{1 + number % 2}")
            worker.await_stopped()
            for each in BOTH:
                worker.process.send_signal(each)
            started = time.monotonic()
            worker.resume()
            assert worker.exit_code() in {128 + each for each in BOTH}, worker.tail()
            assert time.monotonic() - started < AT_ONCE
            assert not worker.complaints()
        send(line, records[len(steps) * part :])
        finish(line, last)


@pytest.mark.parametrize("step", ["after_outputs:2", pytest.param(None, marks=pytest.mark.faults)])
def test_a_broker_that_does_not_answer_holds_up_no_shutdown(
    breakable_broker: Broker, line: Line, records: list[Record], tmp_path: Path, step: str | None
) -> None:
    """At rest, or in the middle of a commit: the worker leaves without its last commit, with exit code 0."""
    send(line, records[:3_000])
    with crew(line.config, tmp_path / "logs") as workers:
        worker, successor = workers.prepare(start="earliest", stop_at=step), workers.prepare()
        worker.go()
        if step is None:
            await_caught_up(line, worker)
            send(line, records[3_000:])
        else:
            worker.await_stopped()
        breakable_broker.pause()
        if step is not None:
            worker.resume()
        ends(worker, signal.SIGTERM, within=PATIENCE)
        assert worker.events("gave_up")
        breakable_broker.resume()
        await_ready(line.bootstrap, START_TIMEOUT)
        if step is not None:
            send(line, records[3_000:])
        finish(line, successor)


@pytest.mark.parametrize("number", BOTH)
def test_a_worker_that_starts_ends_at_once(line: Line, tmp_path: Path, number: signal.Signals) -> None:
    """The broker is not reachable; or does not answer; nothing was read yet."""
    nowhere = line.with_settings("nowhere", kafka={"bootstrap.servers": f"127.0.0.1:{free_ports(1)[0]}"})
    with crew(nowhere.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        eventually(lambda: listens(worker.process), "it listens to signals", START_SECONDS)
        ends(worker, number, within=AT_ONCE)


def test_a_worker_that_reads_back_its_state_ends_at_once(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Somebody's open transaction holds the recovery up. Whoever comes next, recovers in its place."""
    send(line, records[:3_000])
    with crew(line.config, tmp_path / "logs") as workers:
        first, stuck, last = (workers.prepare(start="earliest") for _ in range(3))
        first.go()
        await_caught_up(line, first)
        first.terminate()
        stranger = open_transaction(line, line.topic("changelog"))
        stuck.go()
        stuck.await_event("assigned")
        ends(stuck, signal.SIGTERM, within=AT_ONCE)
        assert not stuck.events("restored")
        stranger.abort_transaction()
        send(line, records[3_000:])
        finish(line, last)


@pytest.mark.faults
def test_a_worker_that_compiles_ends_in_time(
    line: Line, records: list[Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first records make numba compile, for seconds in which nothing else happens."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    send(line, records[:3_000])
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        worker.await_event("live", PARTITIONS)
        ends(worker, signal.SIGTERM, within=PATIENCE)
        monkeypatch.undo()
        finish(line, workers.prepare(start="earliest"))


def test_the_command_ends_in_order(line: Line, records: list[Record], tmp_path: Path) -> None:
    """`streammon run` as a person ends it, with Ctrl-C: exit code 0, the last line of its log says so."""
    send(line, records)
    command = start("run", "--config", str(line.config), "--start", "earliest", log=tmp_path / "run")
    await_caught_up(line)
    code, said = end(command, signal.SIGINT, tmp_path / "run")
    assert code == 0, said
    assert '"event": "stopped"' in said.splitlines()[-1]
    verdict.everything_is_there_once(line)


@pytest.mark.timeout(240)
def test_commands_leave_nothing_behind(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Ctrl-C or SIGTERM in the middle: no traceback, no half file, the exit code that a shell expects. A replay leaves
    its work, from which it can go on.
    """
    config, out, recording = ["--config", str(line.config)], tmp_path / "out", tmp_path / "whole.avro"
    out.mkdir()
    assert main(["simulate", "--to", str(recording), "--events", "200000", "--seed", "3"]) == 0
    produce(line.bootstrap, line.topic("dead_letters"), [(None, b"k", b"x" * 1_000, None)] * 200_000)
    send(line, records[:2_000])
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        await_caught_up(line, worker)
        worker.terminate()
    before = end_offsets(line.bootstrap, line.topic("events"))

    def a_file_is_begun(log: Path) -> bool:
        return any(path.suffix in {".partial", ".sqlite"} for path in out.rglob("*"))

    def something_is_printed(log: Path) -> bool:
        return log.stat().st_size > 0

    def something_is_sent(log: Path) -> bool:
        return end_offsets(line.bootstrap, line.topic("events")) != before

    # A fetch a second, so that the command is in the middle whenever the signal comes.
    throttle = {"queued.max.messages.kbytes": 1, "fetch.queue.backoff.ms": 1_000}
    slow = ["--config", str(line.with_settings("slow", kafka=line.settings["kafka"] | throttle).config)]
    cases: list[tuple[list[str], Callable[[Path], bool]]] = [
        (["simulate", "--to", str(out / "events.avro"), "--events", "5000000"], a_file_is_begun),
        (["record", *slow, "--topic", line.topic("dead_letters"), "--out", str(out / "r.avro")], a_file_is_begun),
        (["replay", *config, "--from", str(recording), "--out", str(out / "replayed")], a_file_is_begun),
        (["tail", "metrics", *config, "--from-beginning"], something_is_printed),
        (["simulate", *config, "--to", "kafka", "--events", "5000000", "--pace", "5000"], something_is_sent),
    ]
    for (arguments, has_begun), number in zip(cases, cycle(BOTH), strict=False):
        log = tmp_path / f"{arguments[0]}.{number}"
        command = start(*arguments, log=log)
        eventually(lambda: has_begun(log), f"{arguments[0]} is at work", START_SECONDS)  # noqa: B023  # called here
        code, said = end(command, number, log)
        assert code == 128 + number, said
        assert [path for path in out.rglob("*") if path.is_file() and ".work" not in path.parts] == []
        before = end_offsets(line.bootstrap, line.topic("events"))


def start(*arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """A command of streammon, in a process of its own."""
    with log.open("wb") as file:
        return subprocess.Popen([sys.executable, "-m", "streammon", *arguments], stdout=file, stderr=file, cwd=ROOT)


def end(process: subprocess.Popen[bytes], number: signal.Signals, log: Path) -> tuple[int, str]:
    """The exit code after the signal, which must come in time, and all that the command has said: no traceback."""
    process.send_signal(number)
    try:
        code = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert "Traceback" not in said, said
    return code, said


def listens(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has a handler for SIGTERM (proc(5): SigCgt, a mask whose bit 0 is signal 1)."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def open_transaction(line: Line, topic: str) -> Producer:
    """Of a stranger: one record is in the topic, undecided."""
    producer = Producer({"bootstrap.servers": line.bootstrap, "transactional.id": f"{topic}.stranger", "log_level": 3})
    producer.init_transactions(TIMEOUT)
    producer.begin_transaction()
    producer.produce(topic, b"", b"nothing", 0)
    assert producer.flush(TIMEOUT) == 0
    return producer
