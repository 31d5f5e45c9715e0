"""The producer among processes: forks, exits, imports. Each case is a script of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streammon.adapters.kafka.embedded import EmbeddedBroker
from tests.broker.kafka_tools import read_all
from tests.sdk.reading import read

HEAD = """
import atexit, json, logging, os, signal, sys, threading, time
from streammon.sdk import EventProducer
events = EventProducer(sys.argv[1], model_id="fraud", model_version="3")
def show(**values):
    sys.stdout.write(json.dumps(values) + "\\n")  # in one piece: other threads write too
    sys.stdout.flush()
"""


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as found:
        found.create("inference-events", 4)
        yield found


def run(broker: EmbeddedBroker, script: str, status: int = 0, timeout: float = 60) -> list[dict[str, Any]]:
    """What the script shows, one object a line; nothing may stand on its standard error."""
    command = [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(script), broker.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert (done.returncode, done.stderr) == (status, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def on_broker(broker: EmbeddedBroker) -> list[str]:
    records = read_all(broker.address, "inference-events", "read_uncommitted")
    return sorted(read(record.value or b"")["req_id"] for record in records)


def test_a_fork_with_everything_in_use(broker: EmbeddedBroker) -> None:
    """As gunicorn does with preload, and worse: while threads log. Parent and children lose nothing and double nothing,
    the children start empty, and all of them end by themselves."""
    script = """
    stop = threading.Event()
    counts = [0] * 4
    def work(mine):
        while not stop.is_set():
            counts[mine] += events.log(f"parent-{mine}-{counts[mine]}")
            time.sleep(0.002)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads: thread.start()
    children = []
    for child in range(8):
        time.sleep(0.02)
        pid = os.fork()
        if pid == 0:
            assert events.stats() == (0, 0, 0, {}), events.stats()
            for n in range(20): assert events.log(f"child-{child}-{n}")
            sys.exit(0 if child % 2 else (not events.flush(20)))
        children.append(pid)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    stop.set()
    for thread in threads: thread.join()
    assert events.flush(20)
    show(statuses=statuses, counts=counts, stats=events.stats())
    """
    (shown,) = run(broker, script)
    assert shown["statuses"] == [0] * 8
    assert shown["stats"] == [sum(shown["counts"]), sum(shown["counts"]), 0, {}]
    expected = [f"parent-{mine}-{n}" for mine, count in enumerate(shown["counts"]) for n in range(count)]
    expected += [f"child-{child}-{n}" for child in range(8) for n in range(20)]
    assert on_broker(broker) == sorted(expected)


def test_processes_of_multiprocessing(broker: EmbeddedBroker) -> None:
    """They end without the interpreter's usual exit; what they logged arrives."""
    script = """
    import multiprocessing
    def work(child):
        for n in range(10): events.log(f"{child}-{n}")
    events.log("before")
    children = [multiprocessing.get_context("fork").Process(target=work, args=(child,)) for child in range(2)]
    for child in children: child.start()
    for child in children: child.join()
    show(codes=[child.exitcode for child in children])
    """
    assert run(broker, script) == [{"codes": [0, 0]}]
    assert on_broker(broker) == sorted(["before", *(f"{child}-{n}" for child in range(2) for n in range(10))])


def test_what_is_queued_is_flushed_at_exit(broker: EmbeddedBroker) -> None:
    """Whatever ends the script, and also what an exit handler and a thread log at the very end."""
    script = """
    atexit.register(lambda: events.log("from an exit handler"))
    def late():
        time.sleep(0.2)
        events.log("from a thread")
    threading.Thread(target=late).start()
    for n in range(100): events.log(f"r{n}")
    """
    run(broker, script)
    run(broker, script + "sys.exit(3)", status=3)
    expected = ["from an exit handler", "from a thread", *(f"r{n}" for n in range(100))]
    assert on_broker(broker) == sorted(expected * 2)


def test_an_exit_without_a_broker_is_held_up_no_longer_than_agreed(broker: EmbeddedBroker) -> None:
    """Two producers together, not one after the other; the rest is counted, and said in the log."""
    broker.set_down()
    # The shell's clock: exit handlers of the script run before or after the producers', not around them.
    script = """
    logging.basicConfig(stream=sys.stdout, format='{"said": "%(message)s"}')
    events = [EventProducer(sys.argv[1], model_id="m", model_version="1", close_timeout=1.5) for _ in range(2)]
    for each in events: each.log()
    show(ends=time.monotonic())
    """
    lines = run(broker, script)
    seconds = time.monotonic() - next(line["ends"] for line in lines if "ends" in line)
    assert 1.5 <= seconds < 2.9
    assert sum("1 events dropped: closed 1" in line.get("said", "") for line in lines) == 2


def test_the_import_is_light() -> None:
    """In a fresh interpreter: none of what a worker computes with."""
    script = "import sys, streammon.sdk, streammon.sdk.asgi; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "streammon.sdk" in loaded
    assert not loaded & {"numpy", "torch", "numba", "pydantic", "sklearn", "pandas", "starlette", "yaml", "safetensors"}


def test_nothing_is_contacted_before_the_first_event(broker: EmbeddedBroker) -> None:
    """No thread either: a process that only preloads the service may fork."""
    script = """
    show(threads=threading.active_count(), tasks=len(os.listdir("/proc/self/task")))
    events.log()
    show(threads=threading.active_count())
    """
    assert run(broker, script) == [{"threads": 1, "tasks": 1}, {"threads": 2}]
