"""Errors of the Kafka client, by what to do next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException

from streammon.core.errors import Refusal, Unreachable, UsageError

Client = TypeVar("Client")

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

_DENIED = frozenset(
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


def refusal(error: KafkaError, doing: str, bootstrap: str) -> Refusal:
    """What to tell the user about an error that ends the command."""
    if error.code() in _DENIED:
        return UsageError(f"{doing}: the broker at {bootstrap} denies it ({error.str()}): check credentials and ACLs")
    if error.code() in {KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC}:
        return UsageError(f"{doing}: no such topic ({error.str()}): `streammon topics create` makes the topics")
    return Unreachable(
        f"{doing}: the broker at {bootstrap} does not answer as expected ({error.str()}): is it up and reachable?"
    )


def connect(client: Callable[[dict[str, Any]], Client], options: dict[str, Any]) -> Client:
    """A client of the given kind; an option that it does not know is the user's mistake."""
    try:
        return client(options)
    except KafkaException as exception:
        raise UsageError(f"kafka: the client refuses its options: {error_of(exception).str()}") from exception
