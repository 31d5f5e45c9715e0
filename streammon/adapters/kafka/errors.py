"""Errors of the Kafka client, by what to do next."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streammon.core.errors import Refusal, Unreachable, UsageError

Client = TypeVar("Client")
T = TypeVar("T")

LONGEST_OUTAGE = 240.0  # seconds to wait for a broker that was there; below max.poll.interval

FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
MEMBERSHIP = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
"""The group no longer knows this worker under its old name."""

DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError._AUTHENTICATION,
    }
)


def error_of(exception: KafkaException) -> KafkaError:
    error = exception.args[0]
    assert isinstance(error, KafkaError)
    return error


PERMANENT = DENIED | {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.TOPIC_EXCEPTION,
}
"""Trying again does not help."""

TRANSIENT = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._WAIT_COORD,
        KafkaError._WAIT_CACHE,
        KafkaError._NOENT,  # partitions without a leader
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.KAFKA_STORAGE_ERROR,
    }
)
"""The broker is away, or has just come back: the same question may be answered a little later."""


class Complaints:
    """What a client says about its connection. Its own log lines stay off standard error, where the refusal stands."""

    def __init__(self) -> None:
        self._heard: deque[KafkaError] = deque(maxlen=100)
        # No Python function: a signal that arrives while one runs raises in it, and the client loses that.
        self.options: dict[str, Any] = {"log_level": 2, "error_cb": self._heard.append}

    def heard(self, listen: Callable[[], object]) -> KafkaError | None:
        """The latest complaint; `listen` is a call of the client that delivers what is pending."""
        try:
            listen()
        except KafkaException as exception:
            self._heard.append(error_of(exception))
        telling = (error for error in reversed(self._heard) if error.code() != KafkaError._ALL_BROKERS_DOWN)
        return next(telling, None)  # that one says how many, not why


def refusal(error: KafkaError, doing: str, bootstrap: str, reason: KafkaError | None = None) -> Refusal:
    """What to tell the user about an error that ends the command; `reason` is what the client complained of besides."""
    if reason is not None and reason.code() in DENIED:
        error = reason
    if error.code() in DENIED:
        return UsageError(f"{doing}: the broker at {bootstrap} denies it ({error.str()}): check credentials and ACLs")
    if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:
        return UsageError(f"{doing}: no such topic ({error.str()}): `streammon topics create` makes the topics")
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return UsageError(f"{doing}: a record is too large ({error.str()}): raise message.max.bytes, and the topic's")
    said = (reason or error).str().partition(" (after ")[0]  # without how long it took to fail
    return Unreachable(
        f"{doing}: the broker at {bootstrap} does not answer as expected ({said}): check its address, that "
        "it is up, and that it speaks Kafka there as kafka: security.protocol says"
    )


def connect(client: Callable[[dict[str, Any]], Client], options: dict[str, Any]) -> Client:
    """A client of the given kind; an option that it does not know is the user's mistake."""
    try:
        return client(options)
    except KafkaException as exception:
        raise UsageError(f"kafka: the client refuses its options: {error_of(exception).str()}") from exception


def patiently(ask: Callable[[], T], doing: str, bootstrap: str, meanwhile: Callable[[], None] = lambda: None) -> T:
    """The answer to a question of a worker at work: it outlives an outage of up to LONGEST_OUTAGE; else a Refusal.

    `meanwhile` is called between two attempts.
    """
    deadline = time.monotonic() + LONGEST_OUTAGE
    while True:
        try:
            return ask()
        except KafkaException as exception:
            error = error_of(exception)
            if error.code() not in TRANSIENT or time.monotonic() > deadline:
                raise refusal(error, doing, bootstrap) from exception
        meanwhile()
        time.sleep(0.1)
