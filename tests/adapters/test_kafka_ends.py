"""Questions where partitions end: answered, refused, or never answered."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, NamedTuple

import pytest
from confluent_kafka import KafkaError, KafkaException

from streammon.adapters.kafka import ends
from streammon.adapters.kafka.ends import LOST, Ends


class Info(NamedTuple):
    offset: int


class Client:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.open: dict[int, Future[Info]] = {}
        self.asked: list[int] = []

    def list_offsets(self, asked: Any, request_timeout: float) -> dict[Any, Future[Info]]:
        self.asked += [where.partition for where in asked]
        found: dict[Any, Future[Info]] = {where: Future() for where in asked}
        self.open |= {where.partition: future for where, future in found.items()}
        return found


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    client = Client()
    monkeypatch.setattr(ends, "connect", lambda kind, options: client)
    return client


def test_an_answer_is_given_once_and_known_ever_after(client: Client) -> None:
    asking = Ends("t", {})
    asking.ask([0, 1])
    assert asking.answers() == {}
    client.open[0].set_result(Info(42))
    asking.ask([0, 1])
    assert client.asked == [0, 1]  # both are still open, as far as anybody has looked
    assert asking.answers() == {0: 42}
    assert asking.answers() == {}
    assert asking.known([0, 1]) == {0: 42}


@pytest.mark.parametrize("offset", [None, -1001])
def test_a_broker_that_does_not_say_is_no_end(client: Client, offset: int | None) -> None:
    """An error, or the client's own number for nothing."""
    asking = Ends("t", {})
    asking.ask([0])
    if offset is None:
        client.open[0].set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
    else:
        client.open[0].set_result(Info(offset))
    assert asking.answers() == {0: None}
    assert asking.known([0]) == {}


def test_a_question_that_the_client_loses_is_asked_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever: the partition would never be silent."""
    now = [0.0]
    monkeypatch.setattr("streammon.adapters.kafka.ends.time.monotonic", lambda: now[0])
    asking = Ends("t", {})
    asking.ask([0])
    now[0] = LOST
    assert asking.answers() == {}
    now[0] = LOST + 0.1
    assert asking.answers() == {0: None}
    asking.ask([0])
    client.open[0].set_result(Info(7))
    assert asking.answers() == {0: 7}


def test_what_was_asked_before_is_forgotten(client: Client) -> None:
    asking = Ends("t", {})
    asking.ask([0])
    asking.forget()
    client.open[0].set_result(Info(7))
    assert asking.answers() == {}
    assert asking.known([0]) == {}
