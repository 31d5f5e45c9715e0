"""Lines of the log: valid JSON or a safe line whatever is in them, and no storm of the client's."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from confluent_kafka import Consumer
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from streammon.core.ports import CommitRefusedError, OutcomeUnknownError, Outputs
from streammon.telemetry import LOGGER, Event, LogObserver, log, set_up
from streammon.telemetry.logs import LONGEST_TEXT, REPEAT_INTERVAL, Console, Json, Repeats
from tests.broker.kafka_tools import eventually
from tests.telemetry.samples import TOPIC, Clock, alert, restored

HOSTILE = 'a"b\\c\nd\x1b[31m\u202e<script>'
KAFKA = logging.getLogger("streammon.kafka")


@pytest.fixture(autouse=True)
def _logger_as_before() -> Iterator[None]:
    before = LOGGER.handlers, LOGGER.level, LOGGER.propagate
    yield
    LOGGER.handlers, LOGGER.propagate = before[0], before[2]
    LOGGER.setLevel(before[1])


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What has been written, as JSON."""
    return [json.loads(line, parse_constant=pytest.fail) for line in capsys.readouterr().err.splitlines()]


def test_a_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "debug")
    log(Event.LIVE, logging.WARNING, topic=TOPIC, partition=3, position=17, positions={0: 1}, rate=0.5)
    (line,) = lines_of(capsys)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    assert abs(datetime.fromisoformat(line.pop("time")).timestamp() - datetime.now().timestamp()) < 60
    assert line == {
        "level": "WARNING",
        "event": "live",
        "topic": TOPIC,
        "partition": 3,
        "position": 17,
        "positions": {"0": 1},
        "rate": 0.5,
    }


class _Unprintable:
    def __str__(self) -> str:
        return HOSTILE


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(_Unprintable()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=20,
)


@given(ANYTHING, st.sampled_from([Json(), Console()]))
@example(float("nan"), Json())
@example({"a": [float("inf")]}, Json())
@example("\ud800", Json())
def test_a_line_is_one_line_whatever_is_in_it(value: Any, formatter: logging.Formatter) -> None:
    """JSON that any parser takes; in the console nothing that breaks the line or commands the terminal."""
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "", 0, Event.ALERT, (), None, extra={"fields": {"x": value}})
    text = formatter.format(record)
    assert text.isprintable()
    if isinstance(formatter, Json):
        assert text.isascii()
        assert json.loads(text, parse_constant=pytest.fail)["event"] == "alert"


@pytest.mark.parametrize("formatter", [Json(), Console()], ids=["json", "console"])
def test_long_values_are_cut(formatter: logging.Formatter) -> None:
    """Said, with their length: a model id may be of any size."""
    fields = {"summary": "x" * 100_000}
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "", 0, Event.ALERT, (), None, extra={"fields": fields})
    text = formatter.format(record)
    assert len(text) < LONGEST_TEXT + 200
    assert "(100,000 characters)" in text


def test_values_with_themselves_inside_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    record = LOGGER.makeRecord(LOGGER.name, logging.INFO, "", 0, Event.ALERT, (), None, extra={"fields": {"x": loop}})
    assert json.loads(Json().format(record))["x"]


def test_an_exception_is_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "debug")
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        log(Event.FAILED, logging.ERROR, error, reason=str(error))
    (line,) = lines_of(capsys)
    assert line["reason"] == HOSTILE
    assert line["exception"].startswith("Traceback (most recent call last):")
    assert HOSTILE in line["exception"]


def test_an_exception_in_the_console_is_escaped_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("console", "info")
    try:
        raise ValueError(HOSTILE)
    except ValueError as error:
        log(Event.FAILED, logging.ERROR, error)
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d error   failed", lines[0])
    assert all(line.isprintable() for line in lines)
    assert any("ValueError" in line for line in lines)


def test_the_console_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("console", "info")
    log(Event.REVOKED, topic=TOPIC, partitions=[0, 1], positions={0: 5, 1: 7})
    log(Event.ALERT, summary=f"P1 slow in {HOSTILE}")
    log(Event.COMMITTED, logging.DEBUG)
    revoked, alerted = capsys.readouterr().err.splitlines()
    assert revoked[9:] == f"info    revoked topic={TOPIC} partitions=0,1 positions=0:5,1:7"
    assert alerted[9:].startswith("info    alert summary=P1 slow in a")
    assert alerted.isprintable()
    assert "<" not in alerted


def test_equal_lines_of_the_client_come_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    """A broker that refuses connections: the second line within the interval is left out, and counted."""
    clock = Clock()
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats(clock))
    handler.setFormatter(Json())
    LOGGER.handlers, LOGGER.propagate = [handler], False

    def said() -> list[tuple[str, int]]:
        lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
        assert {line["event"] for line in lines} <= {"client"}
        return [(line["message"], line.get("repeated", 0)) for line in lines]

    for milliseconds in range(20):
        KAFKA.error("FAIL: Connect to 127.0.0.1:%d failed (after %dms in state CONNECT)", 9092, milliseconds)
    KAFKA.error("1/1 brokers are down")
    KAFKA.warning("1/1 brokers are down")
    first = "FAIL: Connect to 127.0.0.1:9092 failed (after 0ms in state CONNECT)"
    assert said() == [(first, 0), ("1/1 brokers are down", 0), ("1/1 brokers are down", 0)]
    clock.seconds += REPEAT_INTERVAL
    KAFKA.error("FAIL: Connect to 127.0.0.1:%d failed (after %dms in state CONNECT)", 9092, 77)
    assert said() == [("FAIL: Connect to 127.0.0.1:9092 failed (after 77ms in state CONNECT)", 19)]


def test_what_is_remembered_of_the_clients_lines_is_bounded() -> None:
    repeats = Repeats(Clock())
    for number in range(10_000):
        text = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        repeats.filter(KAFKA.makeRecord(KAFKA.name, logging.INFO, "", 0, text, (), None))
    assert len(repeats._passed) < 1_000


def test_our_own_lines_are_never_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "debug")
    for _ in range(3):
        log(Event.LIVE, partition=0, position=1)
    assert len(lines_of(capsys)) == 3


def test_rebalances_and_recoveries_name_topic_partitions_and_positions(capsys: pytest.CaptureFixture[str]) -> None:
    set_up("json", "debug")
    loop = LogObserver(TOPIC)
    loop.assigned([1, 0])
    loop.restored(0, restored(5, generation=9), 7, 0.5)
    loop.live(0, 7)
    loop.kept(1, 3)
    loop.committed(Outputs(positions={0: 8, 1: 4}), 0.0123)
    loop.commit_refused(CommitRefusedError("x"))
    loop.rebuilt(OutcomeUnknownError("y"))
    loop.paused(1, 4, "undecodable")
    loop.revoked([0, 1])
    loop.lost([1])
    loop.alert(alert())
    lines = lines_of(capsys)
    assert {line["topic"] for line in lines} == {TOPIC}
    events = [(line["event"], line.get("partition", line.get("partitions"))) for line in lines]
    assert events == [
        ("assigned", [0, 1]),
        ("restored", 0),
        ("live", 0),
        ("kept", 1),
        ("committed", None),
        ("commit_refused", None),
        ("rebuilt", None),
        ("paused", 1),
        ("revoked", [0, 1]),
        ("lost", [1]),
        ("alert", 0),
    ]
    stood = [line.get("position", line.get("positions")) for line in lines]
    both = {"0": 8, "1": 4}
    assert stood == [None, 7, 7, 3, both, both, both, 4, both, {"1": 4}, 17]
    loop.assigned([0])
    loop.live(0, 20)
    loop.rebuilt(OutcomeUnknownError("y"))
    assert lines_of(capsys)[-1]["positions"] == {"0": 20}, "what others have now is not ours to name"


def test_secrets_do_not_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither wrapped ones nor, with everything that the client can say, the password of a connection."""
    set_up("json", "debug")
    log(Event.STARTED, options={"sasl.password": SecretStr("hunter2-wrapped")})
    consumer = Consumer(
        {
            "bootstrap.servers": "127.0.0.1:1",
            "group.id": "g",
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "user",
            "sasl.password": "hunter2-password",
            "debug": "all",
            "logger": KAFKA,
        }
    )
    heard: list[str] = []

    def refused() -> bool:
        consumer.poll(0.05)
        heard.append(capsys.readouterr().err)
        return "Connection refused" in "".join(heard)

    try:
        eventually(refused, "the client says that it cannot connect")
    finally:
        consumer.close()
    said = "".join(heard) + capsys.readouterr().err
    assert "sasl.password" in said
    assert "hunter2" not in said
