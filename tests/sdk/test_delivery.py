"""The way to Kafka, on the embedded broker: well, gone, slow, refusing. Nothing blocks, nothing is lost uncounted."""

from __future__ import annotations

import itertools
import logging
import math
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from streammon.adapters.kafka.embedded import PRODUCE, EmbeddedBroker
from streammon.sdk import EventProducer, Stats
from streammon.sdk import delivery as module
from streammon.sdk.complaints import Complaints
from tests.broker.kafka_tools import eventually, read_all
from tests.sdk.reading import read

TOPIC = "inference-events"
SOON = 0.5  # seconds: far more than `log` takes, far less than any time-out of the client


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as found:
        found.create(TOPIC, 4)
        found.create("inference-labels", 4)
        yield found


def producer(broker: EmbeddedBroker, **arguments: Any) -> EventProducer:
    return EventProducer(broker.address, **{"model_id": "fraud", "model_version": "3", **arguments})


def on_broker(broker: EmbeddedBroker, topic: str = TOPIC) -> list[str]:
    """The req_ids of a topic."""
    records = read_all(broker.address, topic, "read_uncommitted")
    schema = topic.replace("-", "_").removesuffix("s")
    return [read(record.value or b"", schema)["req_id"] for record in records]


def test_what_is_logged_is_on_the_broker(broker: EmbeddedBroker) -> None:
    """Each event once, under the model's key in one partition, events and labels to their topics."""
    events = producer(broker)
    assert all(events.log(f"r{number}", features=[1.0]) for number in range(500))
    assert events.log_label("r1", "cat")
    assert events.flush(10)
    assert events.stats() == Stats(501, 501, 0, {})
    assert sorted(on_broker(broker)) == sorted(f"r{number}" for number in range(500))
    assert on_broker(broker, "inference-labels") == ["r1"]
    records = read_all(broker.address, TOPIC, "read_uncommitted")
    assert {record.key for record in records} == {b"fraud"}
    assert len({record.partition for record in records}) == 1
    assert all(abs(record.timestamp_ms / 1000 - time.time()) < 60 for record in records)
    assert events.close()


def test_many_threads(broker: EmbeddedBroker) -> None:
    """No event is lost or doubled between them."""
    with producer(broker) as events:
        threads = [
            threading.Thread(target=lambda mine: [events.log(f"{mine}-{n}") for n in range(250)], args=(number,))
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert events.stats() == Stats(2_000, 2_000, 0, {})
    assert len(set(on_broker(broker))) == 2_000


def test_a_broker_that_is_gone(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    """`log` does not wait, the queue is bounded, what fails is counted and warned of with the broker's reason; when it
    is back, so is the rest."""
    broker.set_down()
    kafka = {"message.timeout.ms": 1_000, "reconnect.backoff.max.ms": 100}
    events = producer(broker, queue_size=50, kafka=kafka)
    started = time.monotonic()
    queued = sum(events.log(f"r{number}") for number in range(5_000))
    assert time.monotonic() - started < SOON
    stats = events.stats()
    assert stats.dropped["queue_full"] == 5_000 - queued > 0
    assert stats.queued == queued
    eventually(lambda: events.stats().dropped.get("broker") == queued, "all have timed out")
    broker.set_up()
    eventually(lambda: events.log("later") and events.stats().delivered > 0, "the broker is back", every=0.2)
    assert events.close()
    stats = events.stats()
    assert stats.logged == stats.delivered + sum(stats.dropped.values())
    assert on_broker(broker) == ["later"] * stats.delivered
    warnings = [record.getMessage() for record in caplog.records if "events dropped" in record.getMessage()]
    assert "Connection refused" in "".join(warnings)
    assert len(warnings) <= 3
    assert all(record.name == "streammon.sdk" for record in caplog.records)


def test_a_broker_that_is_slow(broker: EmbeddedBroker) -> None:
    """It gets everything; whoever logs notices nothing."""
    events = producer(broker)
    broker.set_rtt(100)
    started = time.monotonic()
    assert all(events.log(f"r{number}") for number in range(200))
    assert time.monotonic() - started < SOON
    assert events.flush(30)
    assert sorted(on_broker(broker)) == sorted(f"r{number}" for number in range(200))
    events.close()


@pytest.mark.parametrize(
    "code,reason", [(KafkaError.TOPIC_AUTHORIZATION_FAILED, "broker"), (KafkaError.MSG_SIZE_TOO_LARGE, "too_large")]
)
def test_a_broker_that_refuses(broker: EmbeddedBroker, code: int, reason: str) -> None:
    """What it refuses is dropped, once, and counted under its reason."""
    events = producer(broker)
    broker.push_errors(PRODUCE, *[code] * 1_000)
    for number in range(100):
        events.log(f"r{number}")
    assert events.flush(20)
    assert events.stats() == Stats(100, 0, 0, {reason: 100})
    events.close()


def test_an_error_that_passes(broker: EmbeddedBroker) -> None:
    """Is tried again: nothing is dropped, nothing is doubled."""
    events = producer(broker)
    broker.push_errors(PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.REQUEST_TIMED_OUT)
    for number in range(100):
        events.log(f"r{number}")
    assert events.flush(30)
    assert events.stats() == Stats(100, 100, 0, {})
    assert sorted(on_broker(broker)) == sorted(f"r{number}" for number in range(100))
    events.close()


def test_an_error_that_the_client_does_not_survive(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A client without idempotence any more is replaced; what it held is counted."""
    monkeypatch.setattr(module, "_RENEW", 0.05)
    events = producer(broker)
    broker.push_errors(PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
    events.log("first")
    eventually(lambda: bool(events.stats().dropped), "the fatal error")
    events.log("second")
    assert events.flush(10)
    assert events.stats() == Stats(2, 1, 0, {"broker": 1})
    assert on_broker(broker) == ["second"]
    assert "out of order" in caplog.text
    events.close()


def test_a_service_whose_every_event_is_wrong_is_told(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing was ever queued, and still the log says so."""
    with producer(broker) as events:
        events.log(nonsense=1)  # type: ignore[call-arg]  # what mypy would have found
        eventually(lambda: "1 events dropped: invalid 1 (latest: nonsense" in caplog.text, "a line")


def test_a_log_handler_that_fails_does_not_keep_events_from_the_broker(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the service's own, and fails at the line about its failure too."""
    monkeypatch.setattr(module, "_RENEW", 0.01)
    handler = _Failing()
    logger = logging.getLogger("streammon.sdk")
    logger.addHandler(handler)
    with producer(broker) as events:
        events.log(nonsense=1)  # type: ignore[call-arg]  # what mypy would have found
        eventually(lambda: handler.failed > 1, "it fails twice")
        events.log("r1")
        assert events.flush(10)
    logger.removeHandler(handler)
    assert on_broker(broker) == ["r1"]


class _Failing(logging.Handler):
    failed = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.failed += 1
        raise ValueError("a handler of the service's")


def test_a_thread_that_cannot_be_started_is_started_later(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the queue is full by then; what did not fit is counted, the rest arrives."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    events = producer(broker, queue_size=2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert [events.log(f"r{number}") for number in range(3)] == [True, True, False]
    assert not events.log("r3")
    assert events.flush(10)
    assert events.stats() == Stats(4, 2, 0, {"queue_full": 2})
    assert on_broker(broker) == ["r0", "r1"]
    events.close()


def test_the_queue_is_bounded_in_bytes(broker: EmbeddedBroker) -> None:
    """Few large events fill it as well as many small ones."""
    broker.set_down()
    events = producer(broker, queue_bytes=100_000)
    # What the client below has taken is bounded by its own limits.
    events._delivery._thread = threading.current_thread()  # so that none is started
    assert [events.log(embedding=[0.0] * 10_000) for _ in range(4)] == [True, True, False, False]
    assert events.log()
    assert events.stats().dropped == {"queue_full": 2}


def test_a_batch_job_may_wait_for_room(broker: EmbeddedBroker) -> None:
    """With `wait_for_room` nothing is dropped that the broker takes in time."""
    with producer(broker, queue_size=20, wait_for_room=30) as events:
        assert all(events.log(f"r{number}") for number in range(1_000))
    assert events.stats() == Stats(1_000, 1_000, 0, {})


def test_after_close(broker: EmbeddedBroker) -> None:
    """Events are dropped and counted as such; closing twice changes nothing; one never used closes at once."""
    events = producer(broker)
    events.log("a")
    assert events.close()
    assert not events.log("b")
    assert events.stats() == Stats(2, 1, 0, {"closed": 1})
    events.close()
    started = time.monotonic()
    assert producer(broker).close()
    assert time.monotonic() - started < SOON


def test_close_gives_up_in_time(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    """What a broker that is gone did not take by then is dropped, counted, and said."""
    broker.set_down()
    events = producer(broker)
    for number in range(3_000):  # more than the client below takes
        events.log(f"r{number}")
    started = time.monotonic()
    assert not events.close(0.3)
    assert time.monotonic() - started < 0.3 + 2
    assert events.stats() == Stats(3_000, 0, 0, {"closed": 3_000})
    assert "closed 3,000" in caplog.text


def test_flush_tells_whether_it_is_done(broker: EmbeddedBroker) -> None:
    broker.set_down()
    events = producer(broker)
    assert events.flush(0)
    events.log()
    assert not events.flush(0.05)
    events.close(0)


def test_a_signal_handler_may_log(broker: EmbeddedBroker) -> None:
    """In the middle of a `log` too: each of its events is counted once, and delivered."""
    events = producer(broker, queue_size=100_000)
    handled = itertools.count()
    signal.signal(signal.SIGUSR1, lambda *_: next(handled) is not None and events.log("from the handler"))
    interrupter = threading.Thread(target=_interrupt, args=(events,))
    interrupter.start()
    for number in range(20_000):
        events.log(f"r{number}")
    interrupter.join()
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    assert events.close()
    logged = 20_000 + next(handled)
    assert events.stats() == (logged, logged, 0, {})


def _interrupt(events: EventProducer) -> None:
    """The main thread, hundreds of times while it logs."""
    for _ in range(300):
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        time.sleep(0.000_3)


def test_warnings_are_seldom_and_show_nothing_of_an_event(caplog: pytest.LogCaptureFixture) -> None:
    """One line in ten seconds, with each reason and its latest explanation; the rest waits for the next line."""
    now = 100.0
    complaints = Complaints(lambda: now)
    complaints.note("invalid", "features: TypeError")
    complaints.about({"invalid": 1})
    complaints.about({"invalid": 4, "queue_full": 2_000})
    assert [record.getMessage() for record in caplog.records] == [
        "1 events dropped: invalid 1 (latest: features: TypeError)"
    ]
    now = 110.0
    complaints.note("invalid", "<b>\x1b[2J: no such field")
    complaints.about({"invalid": 4, "queue_full": 2_000})
    complaints.about({"invalid": 4, "queue_full": 2_000})
    assert [record.getMessage() for record in caplog.records][1:] == [
        r"2,003 events dropped: invalid 3 (latest: \x3cb\x3e\x1b[2J: no such field), queue_full 2,000"
    ]
    now = 111.0
    complaints.about({"invalid": 4, "queue_full": 2_001}, last=True)
    assert caplog.records[-1].levelno == logging.WARNING
    assert "queue_full 1" in caplog.text


def test_lines_of_the_client_are_seldom(caplog: pytest.LogCaptureFixture) -> None:
    now = -math.inf
    complaints = Complaints(lambda: now)
    for now in (0.0, 1.0, 9.0, 10.0):
        complaints.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#1", f"line {now:g}")
    assert [record.getMessage()[-6:] for record in caplog.records] == ["line 0", "ine 10"]
