"""When the world is slow or refuses: nothing is lost, nothing is there twice, and memory stays bounded."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from streammon import worker
from streammon.adapters.changelog import Changelog
from streammon.adapters.kafka import sink as kafka_sink
from streammon.adapters.kafka.producer import Record
from streammon.adapters.kafka.sink import FENCINGS, KafkaSink
from streammon.adapters.kafka.source import KafkaSource
from streammon.core.commit import CommitPolicy
from streammon.core.errors import Fenced
from streammon.core.ports import CommitRefusedError
from streammon.settings import load
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import committed, end_offsets, eventually, produce
from tests.conftest import Topics
from tests.faults import verdict
from tests.faults.line import DELIVERY, Line, make_line, send
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import inferences
from tests.faults.workers import crew

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PARTITIONS = 2
PAUSES = 50
GARBAGE = b"{}"
SHORT_SILENCE = 3.0  # seconds: a broker that is slow, not gone
STUTTERS = 12
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Five models in two partitions, 80 s of event time."""
    return inferences(6_000, models=5, partitions=PARTITIONS, span=80.0, seed=17)


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Line:
    return make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS)


class Reader:
    """A listener that reads every partition from its beginning, or from where it has come."""

    def __init__(self, source: KafkaSource) -> None:
        self.source = source
        self.offsets: dict[int, list[int]] = {}

    def assigned(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self.offsets.setdefault(partition, [])
        self.source.seek({partition: len(self.offsets[partition]) for partition in partitions})

    def revoked(self, partitions: Sequence[int]) -> None: ...

    def lost(self, partitions: Sequence[int]) -> None: ...

    def poll(self, timeout: float) -> set[int]:
        """The partitions of which something came."""
        records = self.source.poll(timeout)
        runs = () if records is None else records.runs
        for run in runs:
            assert records is not None
            self.offsets[run.partition] += records.offset[run.low : run.high].tolist()
        return {run.partition for run in runs}


def test_pauses_lose_and_double_no_record(broker: Broker, topics: Topics) -> None:
    """The client throws away what it has fetched of a paused partition, and must find its place again.

    Paused partitions deliver nothing; a new assignment (`seek`) ends a pause.
    """
    count, rng = 40_000, random.Random(5)
    topic = topics.create("events", PARTITIONS)
    produce(broker.bootstrap, topic, [(p, b"k", b"x" * 300, None) for p in range(PARTITIONS) for _ in range(count)])
    options = {"bootstrap.servers": broker.bootstrap, "group.id": topics.name("group")}
    source = KafkaSource(topic, options, max_batch=500)
    reader = Reader(source)
    source.start(reader)
    pauses = 0
    deadline = time.monotonic() + 60
    while sum(map(len, reader.offsets.values())) < PARTITIONS * count:
        assert time.monotonic() < deadline, {p: len(offsets) for p, offsets in reader.offsets.items()}
        reader.poll(rng.choice([0.0, 0.1]))
        if not reader.offsets or pauses == PAUSES:
            continue
        pauses += 1
        paused = set(rng.sample(range(PARTITIONS), rng.choice([1, PARTITIONS])))
        source.pause(paused)
        for _ in range(rng.randrange(4)):
            assert not reader.poll(rng.choice([0.0, 0.05])) & paused
        if rng.random() < 0.2:
            reader.assigned(range(PARTITIONS))
        else:
            source.resume(paused)
    assert pauses == PAUSES
    source.close()
    assert reader.offsets == {partition: list(range(count)) for partition in range(PARTITIONS)}


@pytest.mark.faults  # in memory: tests/laws/test_pressure_laws.py
def test_commits_that_are_refused_again_and_again(
    line: Line, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading stops each time until the outputs are through; 50 times, on what the client has fetched ahead."""
    send(line, records)
    rng = random.Random(7)
    refused = passed = 0
    metadata = KafkaSource.group_metadata

    def sometimes(source: KafkaSource) -> Any:
        nonlocal refused, passed
        if passed and refused < PAUSES and rng.random() < 0.8:
            refused += 1
            raise CommitRefusedError("on purpose")
        passed += 1
        return metadata(source)

    monkeypatch.setattr(KafkaSource, "group_metadata", sometimes)
    hasty = line.with_settings(
        "hasty", delivery={**DELIVERY, "commit_interval": "20ms", "min_commit_interval": "20ms", "max_batch": 50}
    )
    ends = end_offsets(line.bootstrap, line.topic("events"))

    def is_done() -> bool:
        return refused == PAUSES and committed(line.bootstrap, line.group, line.topic("events")) == ends

    worker.run(load(hasty.config), "earliest", stopping=is_done)
    verdict.everything_is_there_once(line)


def test_a_commit_larger_than_the_queue_of_the_client(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Thousands of dead letters through a queue of ten: they wait for room."""
    narrow = line.with_settings(
        "narrow",
        kafka={**line.settings["kafka"], "queue.buffering.max.messages": 10, "linger.ms": 0},
        delivery={**DELIVERY, "commit_interval": "2s", "min_commit_interval": "2s"},
        input={"pause_when_undecodable": False},
        log={"format": "json", "level": "debug"},
    )
    garbage = [records[0]._replace(value=GARBAGE)] * 3_000
    send(line, records[:1_000] + garbage + records[1_000:])
    with crew(narrow.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        await_caught_up(line, worker)
        worker.terminate()
        assert max(event["dead_letters"] for event in worker.events("committed")) > 1_000
    verdict.everything_is_there_once(line)


@pytest.mark.faults  # in memory: tests/laws/test_pressure_laws.py
def test_large_dead_letters_do_not_wait_for_the_clock(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Half a gigabyte of them, and no commit for a minute if time decided: size does, many times."""
    patient = line.with_settings(
        "patient",
        delivery={**DELIVERY, "commit_interval": "60s", "min_commit_interval": "60s"},
        input={"pause_when_undecodable": False},
        log={"format": "json", "level": "debug"},
    )
    size, count = MEGABYTE // 2, 1_000
    with crew(patient.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        worker.await_event("live", PARTITIONS)
        send(line, records[:500])
        batch = [records[0]._replace(value=bytes(size))] * 50
        for _ in range(count // len(batch)):
            send(line, batch)
        dead, waiting = line.topic("dead_letters"), CommitPolicy().most_bytes // size + 1
        eventually(lambda: sum(end_offsets(line.bootstrap, dead).values()) > count - waiting, "they are published")
        assert max(event["dead_letters"] for event in worker.events("committed")) < count / 2
        worker.terminate()
    verdict.everything_is_there_once(line)


class Quiet:
    """A group that names no twin."""

    heartbeat_seconds = 0.0

    def heartbeat(self) -> None: ...


def test_fencing_is_believed_when_no_outage_explains_it(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, or a few times in a row, it may be an epoch that the broker timed out; any other trouble starts anew."""
    monkeypatch.setattr(kafka_sink, "GROUP_SPEAKS", 0.0)
    topics = kafka_sink.Topics(**line.settings["topics"])
    options = {"bootstrap.servers": line.bootstrap}
    sink = KafkaSink(cast(KafkaSource, Quiet()), options, f"{line.group}.sink", topics, Changelog(), timeout=5.0)
    for fenced in [True] * (FENCINGS - 1) + [False] + [True] * (FENCINGS - 1):
        sink.reset(fenced)
    with pytest.raises(Fenced, match="another worker has taken over"):
        sink.reset(True)


@pytest.mark.faults
def test_a_broker_that_is_slow(breakable_broker: Broker, line: Line, records: list[Record], tmp_path: Path) -> None:
    """It stands still for some seconds in the middle of a commit, then works a third of the time: the worker waits."""
    send(line, records[:3_000])
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest", stop_at="before_commit:2")
        worker.await_stopped()
        breakable_broker.pause()
        worker.resume()
        time.sleep(SHORT_SILENCE)
        for _ in range(STUTTERS):
            breakable_broker.resume()
            time.sleep(0.3)
            breakable_broker.pause()
            time.sleep(0.6)
        breakable_broker.resume()
        send(line, records[3_000:])
        await_caught_up(line, worker)
        worker.terminate()
    verdict.everything_is_there_once(line)


def test_a_partition_that_cannot_be_decoded_waits(line: Line, records: list[Record], tmp_path: Path) -> None:
    """The other one goes on; what was read is committed; the log says what is wrong. Told not to pause, all is read."""
    send(line, records)
    topic = line.topic("events")
    where = end_offsets(line.bootstrap, topic)
    produce(line.bootstrap, topic, [(0, b"k", GARBAGE, None)] * 2_000)
    with crew(line.config, tmp_path / "logs") as workers:
        only = workers.start(start="earliest")
        only.await_event("paused")
        (event,) = only.events("paused")
        assert where[0] + 480 < event["position"] <= where[0] + 501, "a few of those before are bad as well"
        assert (event["topic"], event["partition"]) == (topic, 0)
        for words in ("501 of the last 1,000", "FRAMING", "input.pause_when_undecodable: false"):
            assert words in event["reason"]
        produce(line.bootstrap, topic, [(1, r.key, r.value, r.timestamp) for r in records[:10]])
        where = {0: event["position"], 1: where[1] + 10}
        eventually(lambda: committed(line.bootstrap, line.group, topic) == where, "the other partition goes on")
        only.terminate()
        assert committed(line.bootstrap, line.group, topic) == where
        told = line.with_settings("told", input={"pause_when_undecodable": False})
        worker = workers.start(config=told.config)
        await_caught_up(line, worker)
        worker.terminate()
    verdict.everything_is_there_once(line)
