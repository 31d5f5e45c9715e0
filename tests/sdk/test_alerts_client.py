"""The consumer of alerts where no real broker is needed: wrong use, outages, ends, and what it costs to import."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError

from streammon.adapters.kafka.embedded import FETCH, JOIN_GROUP, EmbeddedBroker
from streammon.core.errors import Unreachable, UsageError
from streammon.sdk import AlertConsumer, MetricConsumer, consumer, topic_reader
from streammon.sdk.topic_reader import TopicReader
from tests.broker.jvm_broker import free_ports
from tests.broker.kafka_tools import committed, eventually
from tests.golden.make import content
from tests.golden.oracle import single_object
from tests.sdk.published import alert, publish

TOPIC = "streammon-alerts"
OFFSET_COMMIT = 8  # number of the request


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded:
        embedded.create(TOPIC, 1)
        yield embedded


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader with a timeout asks soon whether anybody is there."""
    monkeypatch.setattr(consumer, "PATIENCE", 0.3)
    monkeypatch.setattr(topic_reader, "CONFIRM", 1.0)


def nowhere() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.mark.parametrize(
    "options, told",
    [
        ({"start": "yesterday"}, "earliest"),
        ({"group": ""}, "group is empty"),
        ({"timeout": -1}, "timeout=-1"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"states": ("FIRING", "OPEN")}, "'OPEN' is none; there are FIRING, ONGOING, RESOLVED"),
        ({"kafka": {"isolation.level": "read_uncommitted"}}, "isolation.level is reserved"),
        ({"kafka": {"enable.auto.commit": True}}, "enable.auto.commit is reserved"),
        ({"kafka": {"no.such.option": 1}}, "no.such.option"),
    ],
)
def test_wrong_use_is_refused_at_once(options: dict[str, Any], told: str) -> None:
    """What cannot be meant is refused by the constructor, which contacts nobody."""
    with pytest.raises(UsageError, match=told):
        AlertConsumer(nowhere(), **{"group": "bot", **options})


def test_nothing_heavy_is_imported() -> None:
    """A bot that imports the consumer carries neither torch nor numba nor pydantic."""
    heavy = {"torch", "numba", "pydantic", "sklearn", "pandas"}
    code = f"import sys; from streammon.sdk import AlertConsumer; print(sorted({heavy} & sys.modules.keys()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout == "[]\n"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("group", ["bot", None])
def test_a_script_with_a_timeout_is_told_that_no_broker_answers(
    group: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not take silence for the end of the alerts; the log says meanwhile what is waited for."""
    address = nowhere()
    with (
        AlertConsumer(address, group=group, timeout=0) as alerts,
        pytest.raises(Unreachable, match=f"reading {TOPIC}: the broker at {address} does not answer"),
    ):
        list(alerts)
    assert f"waiting for the broker at {address}" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_the_end_is_not_reported_while_the_broker_is_away(broker: EmbeddedBroker) -> None:
    """All was read, then the connection broke: whether there is more nobody knows."""
    with AlertConsumer(broker.address, group=None, start="earliest", timeout=0) as alerts:
        publish(broker.address, TOPIC, [alert(0)])
        assert [each.number for each in alerts] == [0]
        broker.set_down()
        with pytest.raises(Unreachable):
            list(alerts)
        broker.set_up()
        publish(broker.address, TOPIC, [alert(1)])
        assert [each.number for each in alerts] == [1]


def test_a_loop_lives_through_an_outage(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    """What is published after the broker came back is seen, in order, once; the outage is in the log."""
    options = {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100}
    numbers: list[int] = []
    with AlertConsumer(broker.address, group="bot", start="earliest", kafka=options) as alerts:

        def follow() -> None:
            for each in alerts:
                numbers.append(each.number)

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        publish(broker.address, TOPIC, [alert(0)])
        eventually(lambda: numbers == [0], "the first alert is seen")
        broker.set_down()
        eventually(lambda: "waiting for the broker" in caplog.text, "the outage is logged")
        broker.set_up()
        publish(broker.address, TOPIC, [alert(1), alert(2)])
        eventually(lambda: numbers == [0, 1, 2], "the others are seen")
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "request_kind, code",
    [(JOIN_GROUP, KafkaError.GROUP_AUTHORIZATION_FAILED), (FETCH, KafkaError.TOPIC_AUTHORIZATION_FAILED)],
)
def test_a_denial_ends_the_loop_with_what_to_do(broker: EmbeddedBroker, request_kind: int, code: int) -> None:
    """Waiting does not help against a missing permission."""
    broker.push_errors(request_kind, *[code] * 5)
    with (
        AlertConsumer(broker.address, group="bot") as alerts,
        pytest.raises(UsageError, match="check credentials and ACLs"),
    ):
        next(alerts)


def test_ctrl_c_rises_from_a_loop_that_waits_for_a_broker() -> None:
    """Within a second, and as itself, though the client calls back with its troubles meanwhile."""
    code = f"""
import subprocess, time
from streammon.sdk import AlertConsumer
for tenths in range(1, 6):
    alerts = AlertConsumer({nowhere()!r}, group="bot")
    subprocess.Popen(["sh", "-c", f"sleep 0.{{tenths}}; kill -INT $PPID"])
    started = time.monotonic()
    try:
        next(alerts)
    except KeyboardInterrupt as interrupt:
        print(interrupt.__cause__, time.monotonic() - started < tenths / 10 + 1)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.splitlines() == ["None True"] * 5


def test_a_commit_that_fails_is_tried_again(broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture) -> None:
    """The alert is handled, so it must not come again; the log says that the broker refused."""
    publish(broker.address, TOPIC, [alert(0)])
    broker.push_errors(OFFSET_COMMIT, KafkaError.INVALID_COMMIT_OFFSET_SIZE)
    with AlertConsumer(broker.address, group="bot", start="earliest", timeout=1.5) as alerts:
        assert len(list(alerts)) == 1
    assert committed(broker.address, "bot", TOPIC) == {0: 1}
    assert f"a position in {TOPIC} is not committed" in caplog.text


def test_close_ends_a_loop_in_another_thread(broker: EmbeddedBroker) -> None:
    """The waiting loop ends as a loop does; further calls do nothing."""
    alerts = AlertConsumer(broker.address, group="bot")
    thread = threading.Thread(target=lambda: list(alerts), daemon=True)
    thread.start()
    alerts.close()
    thread.join(5)
    assert not thread.is_alive()
    alerts.close()
    alerts.commit()
    assert list(alerts) == []


@pytest.mark.parametrize("group", ["bot", None])
def test_close_from_a_signal_handler_ends_the_loop(broker: EmbeddedBroker, group: str | None) -> None:
    """As a loop ends, though the signal comes while the client waits for records."""
    with AlertConsumer(broker.address, group=group, start="earliest") as alerts:
        before = signal.signal(signal.SIGUSR1, lambda *_: alerts.close())
        publish(broker.address, TOPIC, [alert(0)])
        assert next(alerts).number == 0
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert list(alerts) == []
        signal.signal(signal.SIGUSR1, before)


def test_close_within_a_callback_of_the_client_waits_for_its_end(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal may come there too, where to leave the group would be to wait for oneself."""
    assigned = TopicReader._on_assign

    def interrupted(reader: TopicReader, *arguments: Any) -> None:
        signal.raise_signal(signal.SIGUSR1)
        assigned(reader, *arguments)

    monkeypatch.setattr(TopicReader, "_on_assign", interrupted)
    publish(broker.address, TOPIC, [alert(0)])
    with AlertConsumer(broker.address, group="bot", start="earliest") as alerts:
        before = signal.signal(signal.SIGUSR1, lambda *_: alerts.close())
        assert list(alerts) == []
        signal.signal(signal.SIGUSR1, before)


def test_a_member_that_does_not_loop_yet_keeps_nothing_from_the_others(broker: EmbeddedBroker) -> None:
    """A consumer joins its group when its loop begins, not when it is made."""
    publish(broker.address, TOPIC, [alert(0)])
    with (
        AlertConsumer(broker.address, group="bot", start="earliest"),
        AlertConsumer(broker.address, group="bot", start="earliest") as alerts,
    ):
        assert next(alerts).number == 0


def test_the_log_shows_no_control_characters_of_others(
    broker: EmbeddedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged record does not write on the terminal."""
    caplog.set_level(logging.INFO, logger="streammon.sdk")
    broken = alert(0, state="\x1b[2J\nFIRING: all is well")  # a state that nobody knows
    publish(broker.address, TOPIC, [broken])
    with AlertConsumer(broker.address, group=None, start="earliest", timeout=0) as alerts:
        assert list(alerts) == []
        assert alerts.skipped == 1
    (line,) = (record.getMessage() for record in caplog.records if record.name == "streammon.sdk")
    assert line.isprintable()


def test_only_the_newest_identities_are_remembered(broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded; an alert that goes on counts as new."""
    monkeypatch.setattr(consumer, "REMEMBERED", 2)
    ids = ["a", "b", "a", "c", "a", "b"]
    values = [alert(number, alert_id=each) for number, each in enumerate(ids)]
    publish(broker.address, TOPIC, [*values, values[4], values[0], values[5]])
    with AlertConsumer(broker.address, group=None, start="earliest", timeout=0) as alerts:
        assert len(list(alerts)) == len(ids)
        assert alerts.repeated == 3
    publish(broker.address, TOPIC, [values[3]])
    with AlertConsumer(broker.address, group=None, start="earliest", timeout=0) as alerts:
        assert len(list(alerts)) == len(ids) + 1  # c was forgotten for a and b


def test_metric_events_are_read_from_the_beginning(broker: EmbeddedBroker) -> None:
    """Without a group all that the topic holds comes, typed, and repeats are dropped."""
    record = content("metric_event.1")
    value = single_object("metric_event", record)
    broker.create("streammon-metrics", 2)
    publish(broker.address, "streammon-metrics", [value, value], partition=1)
    with MetricConsumer(broker.address, timeout=0) as metrics:
        (event,) = metrics
    assert (event.event_id, event.n) == (record["event_id"], record["n"])
    assert len(event.measurements) == len(record["measurements"])
