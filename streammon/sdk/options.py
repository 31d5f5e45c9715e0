"""Options of the Kafka client: all of librdkafka's pass through, but for those that would break a promise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from streammon.core.errors import UsageError
from streammon.text import shown

LONGEST_TIMEOUT_MS = 300_000
DEFAULTS: Mapping[str, Any] = {
    "linger.ms": 20,
    "compression.type": "lz4",
    "message.timeout.ms": 30_000,  # then a record is dropped: a broker that comes back gets what is new
    "message.max.bytes": 1_000_000,
    "socket.keepalive.enable": True,
    "log_level": 3,
}
FIXED: Mapping[str, Any] = {
    "partitioner": "murmur2_random",
    "enable.idempotence": True,
    "queue.buffering.max.messages": 2_000,
    "queue.buffering.max.kbytes": 16 * 1024,
}

_ONCE = "records are sent once, which fixes it"
_QUEUE = "set queue_size instead"
RESERVED: Mapping[str, str] = {  # option: why it is not the user's to set
    "bootstrap.servers": "it is the first argument",
    "metadata.broker.list": "it is the first argument",
    "partitioner": "keys go to partitions as Java clients put them (murmur2_random)",
    "enable.idempotence": _ONCE,
    "enable.gapless.guarantee": _ONCE,
    "acks": _ONCE,
    "request.required.acks": _ONCE,
    "retries": _ONCE,
    "message.send.max.retries": _ONCE,
    "max.in.flight": _ONCE,
    "max.in.flight.requests.per.connection": _ONCE,
    "queuing.strategy": _ONCE,
    "transactional.id": "a service has no transactions",
    "queue.buffering.max.messages": _QUEUE,
    "queue.buffering.max.kbytes": _QUEUE,
    "delivery.timeout.ms": "write message.timeout.ms, its other name",
    "delivery.report.only.error": "what is delivered is counted",
    "dr_msg_cb": "it belongs to the program",
    "logger": "it belongs to the program",
    "on_delivery": "it belongs to the program",
    "opaque": "it belongs to the program",
    "log.queue": "it belongs to the program",
    "default.topic.config": "write its options directly",
}
_SERVER = re.compile(r"([A-Za-z0-9_+]+://)?[^\s,:/\[\]]+(:\d+)?|([A-Za-z0-9_+]+://)?\[[0-9A-Fa-f:.%a-z]+\](:\d+)?")


def client_options(bootstrap: str, given: Mapping[str, Any] | None) -> dict[str, Any]:
    """All options of the client. Raises UsageError for what it would refuse, without contacting a broker."""
    if not _is_address(bootstrap):
        raise UsageError(f"bootstrap servers {shown(str(bootstrap))}: HOST:PORT is needed, several between commas")
    for name in given or {}:
        if name in RESERVED or (str(name).endswith("_cb") and name != "oauth_cb"):  # which brings a token
            raise UsageError(f"kafka option {shown(str(name))} is reserved: {RESERVED.get(name, 'a callback')}")
    options = {**DEFAULTS, **(given or {})}
    _check_whole(options, "message.timeout.ms", 1, LONGEST_TIMEOUT_MS)
    _check_whole(options, "message.max.bytes", 1_000, 100_000_000)
    options |= FIXED
    try:
        Producer({**options, "log_level": 0})  # without an address it goes nowhere
    except KafkaException as problem:
        raise UsageError(f"the Kafka client refuses its options: {shown(problem.args[0].str(), 500)}") from None
    except (TypeError, ValueError) as problem:
        raise UsageError(f"the Kafka client refuses its options: {shown(str(problem), 500)}") from None
    return {**options, "bootstrap.servers": bootstrap}


def _is_address(bootstrap: object) -> bool:
    return isinstance(bootstrap, str) and all(_SERVER.fullmatch(part.strip()) for part in bootstrap.split(","))


def _check_whole(options: Mapping[str, Any], name: str, least: int, most: int) -> None:
    try:
        fits = least <= int(options[name]) <= most
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise UsageError(f"kafka option {name} is {shown(str(options[name]))}; it must be {least} to {most}")
