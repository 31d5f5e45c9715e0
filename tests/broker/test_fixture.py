"""The broker under the tests is a real one: it stores, hides what was aborted, and survives a crash."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaException,
    Producer,
    TopicPartition,
)

from tests.broker import jvm_broker
from tests.broker.jvm_broker import KAFKA_VERSION, Broker, JvmBroker, Unavailable, kafka_jars
from tests.broker.kafka_tools import committed, end_offsets, eventually, partitions, produce, read_all
from tests.conftest import Topics

FAR_FUTURE_MS = 4_102_444_800_000  # 2100-01-01
LONG_AGO_MS = 946_684_800_000  # 2000-01-01


def transactional(bootstrap: str, transactional_id: str) -> Producer:
    settings = {"bootstrap.servers": bootstrap, "transactional.id": transactional_id, "transaction.timeout.ms": 5000}
    producer = Producer({**settings, "log_level": 3})
    producer.init_transactions(30)
    return producer


@pytest.mark.broker
def test_records_come_back_as_written(broker: Broker, topics: Topics) -> None:
    """Partition, order, key, value (null too) and any timestamp, past or future, are kept."""
    topic = topics.create("plain", partitions=3)
    produce(
        broker.bootstrap,
        topic,
        [(2, b"k", b"a", FAR_FUTURE_MS), (0, None, b"b", LONG_AGO_MS), (2, b"k", None, 1), (0, b"", b"", 2)],
    )
    assert [(r.partition, r.offset, r.key, r.value, r.timestamp_ms) for r in read_all(broker.bootstrap, topic)] == [
        (0, 0, None, b"b", LONG_AGO_MS),
        (0, 1, b"", b"", 2),
        (2, 0, b"k", b"a", FAR_FUTURE_MS),
        (2, 1, b"k", None, 1),
    ]
    assert end_offsets(broker.bootstrap, topic) == {0: 2, 1: 0, 2: 2}


@pytest.mark.broker
def test_a_topic_has_the_configuration_asked_for(broker: Broker, topics: Topics) -> None:
    """LogAppendTime replaces the producer's timestamp."""
    plain = topics.create("create-time")
    stamped = topics.create("append-time", config={"message.timestamp.type": "LogAppendTime"})
    for topic in (plain, stamped):
        produce(broker.bootstrap, topic, [(0, None, b"a", LONG_AGO_MS)])
    (created,) = read_all(broker.bootstrap, plain)
    (appended,) = read_all(broker.bootstrap, stamped)
    assert (created.timestamp_type, created.timestamp_ms) == (TIMESTAMP_CREATE_TIME, LONG_AGO_MS)
    assert appended.timestamp_type == TIMESTAMP_LOG_APPEND_TIME
    assert appended.timestamp_ms > LONG_AGO_MS


@pytest.mark.broker
def test_topics_are_not_created_by_use(broker: Broker, topics: Topics) -> None:
    """A misspelt topic is an error."""
    with pytest.raises(KafkaException, match="UNKNOWN_TOPIC"):
        partitions(broker.bootstrap, topics.name("nobody-made-me"))


@pytest.mark.broker
def test_keys_go_where_java_would_put_them(broker: Broker, topics: Topics) -> None:
    """Without a partition, murmur2 of the key decides: figures of Java's DefaultPartitioner, modulo 4."""
    topic = topics.create("hashed", partitions=4)
    produce(
        broker.bootstrap,
        topic,
        [(None, key, b"", None) for key in (b"kafka", b"21", b"foobar", b"a-little-bit-long-string")],
    )
    where = {record.key: record.partition for record in read_all(broker.bootstrap, topic)}
    assert where == {
        key: (murmur & 0x7FFFFFFF) % 4
        for key, murmur in {
            b"kafka": 0xD067CF64,
            b"21": -973932308,
            b"foobar": -790332482,
            b"a-little-bit-long-string": -985981536,
        }.items()
    }


@pytest.mark.broker
def test_an_aborted_transaction_is_invisible(broker: Broker, topics: Topics) -> None:
    """read_committed sees the committed records only, in order; read_uncommitted sees them all."""
    topic = topics.create("transactions")
    producer = transactional(broker.bootstrap, topics.name("writer"))
    for value, commit in ((b"kept", True), (b"dropped", False), (b"kept too", True)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.flush(30)
        if commit:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    assert [r.value for r in read_all(broker.bootstrap, topic)] == [b"kept", b"kept too"]
    everything = [r.value for r in read_all(broker.bootstrap, topic, "read_uncommitted")]
    assert everything == [b"kept", b"dropped", b"kept too"]


@pytest.mark.broker
def test_an_open_transaction_ends_the_committed_log(broker: Broker, topics: Topics) -> None:
    """While a transaction is open, a read_committed reader stops in front of it, or waits until it is decided."""
    topic = topics.create("open")
    producer = transactional(broker.bootstrap, topics.name("writer"))
    produce(broker.bootstrap, topic, [(0, None, b"before", None)])
    producer.begin_transaction()
    producer.produce(topic, b"undecided")
    producer.flush(30)
    produce(broker.bootstrap, topic, [(0, None, b"after", None)])
    assert end_offsets(broker.bootstrap, topic) == {0: 3}
    assert end_offsets(broker.bootstrap, topic, "read_committed") == {0: 1}
    assert [r.value for r in read_all(broker.bootstrap, topic, wait_for_open=False)] == [b"before"]
    producer.abort_transaction(30)
    assert [r.value for r in read_all(broker.bootstrap, topic)] == [b"before", b"after"]


@pytest.mark.broker
def test_an_abandoned_transaction_is_aborted_by_the_broker(broker: Broker, topics: Topics) -> None:
    """A reader that waits gets its answer soon after the transaction's time-out, though the writer never comes back."""
    topic = topics.create("abandoned")
    code = f"""
import os
from tests.broker.test_fixture import transactional
producer = transactional({broker.bootstrap!r}, {topics.name("dying")!r})
producer.begin_transaction()
producer.produce({topic!r}, b"lost")
producer.flush(30)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[2])
    produce(broker.bootstrap, topic, [(0, None, b"after", None)])
    assert [r.value for r in read_all(broker.bootstrap, topic)] == [b"after"]


@pytest.mark.broker
def test_positions_of_a_group(broker: Broker, topics: Topics) -> None:
    """`committed` tells the positions that a group has, and leaves out the partitions where it has none."""
    topic = topics.create("positions", partitions=3)
    group = topics.name("group")
    assert committed(broker.bootstrap, group, topic) == {}
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": group, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(topic, 1, 7), TopicPartition(topic, 2, 0)], asynchronous=False)
    consumer.close()
    assert committed(broker.bootstrap, group, topic) == {1: 7, 2: 0}


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "stop"])
def test_data_survive_a_restart(breakable_broker: Broker, topics: Topics, how: str) -> None:
    """After a crash or a shut-down the broker is back at the same address with records, transactions and positions."""
    bootstrap = breakable_broker.bootstrap
    topic = topics.create("durable", partitions=2)
    group = topics.name("group")
    produce(bootstrap, topic, [(number % 2, None, b"%d" % number, None) for number in range(1000)])
    producer = transactional(bootstrap, topics.name("writer"))
    producer.begin_transaction()
    producer.produce(topic, b"aborted", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False, "log_level": 0}
    )
    consumer.commit(offsets=[TopicPartition(topic, 0, 123)], asynchronous=False)
    before = read_all(bootstrap, topic)

    getattr(breakable_broker, how)()
    breakable_broker.start()

    assert breakable_broker.bootstrap == bootstrap
    assert read_all(bootstrap, topic) == before
    assert len(before) == 1000
    assert committed(bootstrap, group, topic) == {0: 123}
    consumer.close()


@pytest.mark.broker
@pytest.mark.slow
def test_a_paused_broker_does_not_answer_until_resumed(breakable_broker: Broker, topics: Topics) -> None:
    """Pausing looks like a broker that hangs: requests time out, and go through after it resumes."""
    bootstrap = breakable_broker.bootstrap
    topic = topics.create("paused")
    breakable_broker.pause()
    with pytest.raises(AssertionError, match="not acknowledged"):
        produce(bootstrap, topic, [(0, None, b"lost", None)], timeout=1.0)
    breakable_broker.resume()
    produce(bootstrap, topic, [(0, None, b"kept", None)])
    assert b"kept" in [r.value for r in read_all(bootstrap, topic)]


def alive(pid: int) -> bool:
    """Whether a process with this id exists and has not ended (one that nobody has waited for has ended)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes through /proc")
def test_the_broker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """Killing the tests does not leave a Java process behind, not even a paused one."""
    code = f"""
from pathlib import Path
from tests.broker.jvm_broker import JvmBroker
broker = JvmBroker(Path({str(tmp_path)!r}))
broker.start()
broker.pause()
print(broker.pid, flush=True)
input()
"""
    try:
        JvmBroker(tmp_path)
    except Unavailable as problem:
        pytest.skip(str(problem))
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[2]
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert alive(pid)
        owner.send_signal(signal.SIGKILL)
    eventually(lambda: not alive(pid), "the broker has ended")


class FakeMaven:
    """A `mvn` that notes each call below `folder` and then runs `script` with $out as the output folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = folder / "calls"
        self._program = folder / "bin" / "mvn"
        self._program.parent.mkdir()
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setenv("PATH", f"{self._program.parent}{os.pathsep}{os.environ['PATH']}")

    def does(self, script: str) -> None:
        find_out = 'for word; do case "$word" in -DoutputDirectory=*) out="${word#*=}";; esac; done'
        self._program.write_text(f"#!/bin/sh\necho call >>{self.calls}\n{find_out}\n{script}\n")
        self._program.chmod(0o755)

    @property
    def count(self) -> int:
        return len(self.calls.read_text().split())


@pytest.fixture
def maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMaven:
    return FakeMaven(tmp_path, monkeypatch)


JAR = f"kafka_2.13-{KAFKA_VERSION}.jar"


def test_an_incomplete_download_is_not_taken_for_complete(maven: FakeMaven) -> None:
    """Whatever a failed download left is removed, and the next session downloads again."""
    maven.does(f'touch "$out/{JAR}"; echo no network; exit 1')
    with pytest.raises(Unavailable, match="no network"):
        kafka_jars()
    maven.does("exit 0")
    with pytest.raises(Unavailable):
        kafka_jars()
    maven.does(f'touch "$out/{JAR}"')
    assert (kafka_jars() / JAR).exists()
    assert maven.count == 3
    assert not list(jvm_broker.cache_folder().glob("*.partial"))


def test_parallel_sessions_download_once(maven: FakeMaven) -> None:
    """The second session waits for the first one's download and uses it."""
    maven.does(f'sleep 0.3; touch "$out/{JAR}"')
    with ThreadPoolExecutor(4) as pool:
        folders = {each.result() for each in [pool.submit(kafka_jars) for _ in range(4)]}
    assert len(folders) == 1
    assert maven.count == 1


def test_without_java_the_reason_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Java: the broker is unavailable, and the message says what is needed."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(Unavailable, match="17"):
        JvmBroker(tmp_path)
