"""Silence as a worker measures it on a real broker, and what it does where producers stamp the records themselves.

Windows of 10 s, half a second of lateness. The last event lies 1 s before the end of a window, so that 1.5 s of silence
would close it; `idle_timeout` is 2 s.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streammon import worker
from streammon.core.ports import Observer
from streammon.settings import load
from tests.broker.jvm_broker import START_TIMEOUT, Broker, await_ready
from tests.broker.kafka_tools import create_topic, end_offsets, eventually, produce, read_all
from tests.conftest import Topics
from tests.faults import published
from tests.faults.line import SECOND, Line, make_line
from tests.oracle import files, oracle
from tests.oracle.compare import compare_metrics
from tests.oracle.streams import random_stream

pytestmark = pytest.mark.broker

TEN = 10 * SECOND
IDLE = 2.0  # seconds
SOON = 60.0  # seconds in which an advance that is to come has come, also on a machine that has much else to do
YEAR = 365 * 24 * 3600 * SECOND
TEMPLATE = next(item.event for item in random_stream(1, 50).partitions[0] if item.event and item.event["features"])


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Line:
    return line_of(broker, topics, tmp_path)


def line_of(broker: Broker, topics: Topics, folder: Path, **changes: Any) -> Line:
    settings: dict[str, Any] = {
        "windows": ["10s"],
        "models": [{"match": "*", "features": 3, "classes": ["cat", "dog"], "embedding": 2}],
        "rules": [],
        "idle_timeout": "2s",
        "telemetry": {"enabled": False},
    }
    return make_line(broker.bootstrap, topics.prefix, folder, partitions=2, **settings | changes)


def value_of(ts: int) -> bytes:
    return files.encode(TEMPLATE | {"ts": ts, "model_id": "m", "model_version": "1", "lane": "prod"})


def send(line: Line, *times: int, stamp: int | None = None) -> None:
    """Events into partition 0, which always follows partition 1 in nothing: that one stays empty."""
    records = [(0, b"m", value_of(ts), None if stamp is None else stamp // 1000) for ts in times]
    produce(line.bootstrap, line.topic("events"), records)


def edge() -> int:
    """The start of the window that holds now - 20 s: nothing there is from the future."""
    return (time.time_ns() // 1000 - 2 * TEN) // TEN * TEN


class Died(Exception):
    """The worker ends here."""


class Life(Observer):
    """A worker in a thread, and what it says of silence. `dies`: right behind the commit of its first advance."""

    def __init__(self, line: Line, dies: bool = False) -> None:
        self.advances: list[tuple[int, int, float, int]] = []
        self.commits = 0
        self.warnings = 0
        self.failure: BaseException | None = None
        self._line, self._dies = line, dies
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._work)

    def advanced(self, partition: int, position: int, seconds: float, windows: int) -> None:
        self.advances.append((partition, position, seconds, windows))

    def producers_clocks(self) -> None:
        self.warnings += 1

    def committed(self, *_: object) -> None:
        self.commits += 1

    def stop(self) -> None:
        self._stop.set()
        self.thread.join(60.0)
        assert not self.thread.is_alive()

    def _step(self, step: str) -> None:
        if self._dies and self.advances and step == "after_commit":
            raise Died

    def _work(self) -> None:
        try:
            worker.run(load(self._line.config), "earliest", self._stop.is_set, self._step, self)
        except BaseException as error:
            self.failure = error


@contextmanager
def life(line: Line, dies: bool = False) -> Iterator[Life]:
    made = Life(line, dies)
    made.thread.start()
    try:
        yield made
    finally:
        made.stop()
    if made.failure is not None and not isinstance(made.failure, Died):
        raise made.failure


def assert_right(line: Line, advances: int) -> list[dict[str, Any]]:
    """What was published is what the oracle says for the log and the decisions, so many of them advances; each once."""
    found = published.read(line)
    entries = [entry | {"value": json.loads(entry["value"])} for entry in found.journal if entry["partition"] == 0]
    idle = [(entry["position"], entry["value"]["advance"]) for entry in entries if entry["kind"] == "idle"]
    future = [entry["position"] for entry in entries if entry["kind"] == "verdict"]
    records = [
        files.Record(r.offset, r.timestamp_ms * 1000, r.key, r.value)
        for r in read_all(line.bootstrap, line.topic("events"))
    ]
    config = line.oracle() | {"idle": {0: idle}, "future": {0: future}}
    expected = oracle.run({0: records}, line.topic("events"), config)
    assert compare_metrics(expected, found.metrics) == []
    letters = [(letter.partition, letter.offset, letter.code) for letter in found.dead_letters]
    assert sorted(letters) == sorted(expected.dead_letters)
    assert len(idle) == advances
    assert [entry["sequence"] for entry in entries] == list(range(len(entries)))
    return found.metrics


def test_decisions_are_made_once_also_across_a_crash(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    """A silent partition closes its window; the worker ends right behind that commit, and the next one reads on.

    The topic has its producers' timestamps, which is said once: an event of a year ahead, whose record is too, is one
    for the worker's own clock to judge.
    """
    create_topic(broker.bootstrap, topics.name("events"), 2, {"message.timestamp.type": "CreateTime"})
    line = line_of(broker, topics, tmp_path)
    start = edge()
    send(line, start + TEN)
    send(line, start + YEAR, stamp=start + YEAR)
    send(line, start + TEN + 9 * SECOND)
    with life(line, dies=True) as first:
        eventually(lambda: not first.thread.is_alive(), "the worker dies behind its advance", SOON)
    [(partition, position, seconds, windows)] = first.advances
    assert (partition, position, windows) == (0, 3, 1)
    assert IDLE <= seconds < SOON
    assert first.warnings == 1
    send(line, start + 2 * TEN + 9 * SECOND)
    with life(line) as second:
        eventually(lambda: bool(second.advances), "the next window closes", SOON)
    assert [(m["window"]["start"], m["n"], m["n_late"], m["closing_position"]) for m in assert_right(line, 2)] == [
        (start + TEN, 2, 0, 3),
        (start + 2 * TEN, 1, 0, 4),
    ]
    assert [(letter.offset, letter.code) for letter in published.read(line).dead_letters] == [(1, "FUTURE")]


@pytest.mark.parametrize("seconds", [4.0, pytest.param(30.0, marks=pytest.mark.faults)])
def test_a_broker_that_is_gone_for_a_while_makes_nothing_late(
    breakable_broker: Broker, line: Line, seconds: float
) -> None:
    """
    ts       ... +9.0 s |  1 s of silence, then no broker for longer than idle_timeout  | +9.1 s: not late
    """
    start = edge()
    send(line, start + TEN, start + TEN + 9 * SECOND)
    with life(line) as one:
        eventually(lambda: one.commits > 1, "the records are read", SOON)
        time.sleep(1.2)  # the first of the silence, which has to be forgotten
        assert not one.advances
        breakable_broker.pause()
        time.sleep(seconds)
        breakable_broker.resume()
        await_ready(line.bootstrap, START_TIMEOUT)
        send(line, start + TEN + 9 * SECOND + SECOND // 10)
        eventually(lambda: bool(one.advances), "it goes on to measure silence", SOON + seconds)
    assert [(m["n"], m["n_late"]) for m in assert_right(line, 1)] == [(3, 0)]


def test_an_open_transaction_is_no_silence(line: Line) -> None:
    """Nobody can read behind where it begins. Then it is committed: silence may begin, though its mark is no record."""
    start, topic = edge(), line.topic("events")
    send(line, start + TEN + 9 * SECOND)
    producer = Producer({"bootstrap.servers": line.bootstrap, "transactional.id": f"{line.group}.upstream"})
    producer.init_transactions(30.0)
    producer.begin_transaction()
    producer.produce(topic, value_of(start + TEN + 9 * SECOND), b"m", 0)
    assert producer.flush(30.0) == 0
    with life(line) as one:
        eventually(lambda: one.commits > 1, "the record before it is read", SOON)
        time.sleep(3 * IDLE)  # the window of the record would close
        assert not one.advances
        producer.commit_transaction(30.0)
        del producer  # or it goes on looking for a broker that is gone
        eventually(lambda: bool(one.advances), "the window closes", SOON)
    assert end_offsets(line.bootstrap, topic)[0] == 3
    assert [(m["n"], m["closing_position"]) for m in assert_right(line, 1)] == [(2, 2)]
