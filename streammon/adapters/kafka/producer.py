"""Writing a stream of ready-made records to Kafka, as fast as the broker takes them or at a steady rate.

Idempotent, with the partitioner that Java's clients use, so that a key's partition is the same for every producer.
Plain production outside transactions: for simulated input, not for the worker's outputs.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from streammon.core.errors import Unreachable, UsageError

CONNECT_SECONDS = 10.0
DELIVERY_SECONDS = 30.0
_SLICE = 1_000  # records between two looks at the clock and at failures, at most
_SLICE_SECONDS = 0.02  # a paced stream comes in slices of this length, so that it looks even
_WAIT_SECONDS = 0.1  # for room in a full queue, between two looks at failures

_SETTINGS: dict[str, Any] = {
    "enable.idempotence": True,
    "partitioner": "murmur2_random",
    "linger.ms": 20,
    "delivery.timeout.ms": int(DELIVERY_SECONDS * 1000),
    "topic.metadata.propagation.max.ms": 5_000,  # how long a topic may be unknown before that is an error
    "delivery.report.only.error": True,  # one Python call per record would cost more than sending it
    "log_level": 2,  # failures are raised, not printed by the client
}


class Record(NamedTuple):
    """What to send."""

    key: bytes
    value: bytes
    timestamp: int  # milliseconds since the epoch; a LogAppendTime topic replaces it


class Client(Protocol):
    """The part of confluent_kafka.Producer that is used here."""

    def produce(self, topic: str, *, key: bytes, value: bytes, timestamp: int) -> None: ...
    def poll(self, timeout: float) -> int: ...
    def flush(self, timeout: float) -> int: ...
    def list_topics(self, *, timeout: float) -> Any: ...


class KafkaProducer:
    """Sends records to one topic. A context manager: leaving it waits until everything is delivered.

    `rate` is in records per second of wall time, None for no limit. A failure is raised by the call after it.
    """

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        *,
        rate: float | None = None,
        settings: Mapping[str, Any] | None = None,
        client: Callable[[dict[str, Any]], Client] = Producer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bootstrap, self._topic, self._rate, self._clock = bootstrap, topic, rate, clock
        self._complaints: deque[KafkaError] = deque(maxlen=1)  # the client's latest
        self._failed: KafkaError | None = None  # the first record that was not delivered
        self._sent = 0
        self._started: float | None = None
        # No Python function hears complaints: see errors.Complaints.
        callbacks = {"error_cb": self._complaints.append, "on_delivery": self._on_delivery}
        try:
            self._client = client({**(settings or {}), **_SETTINGS, "bootstrap.servers": bootstrap, **callbacks})
        except KafkaException as error:
            raise UsageError(f"the Kafka client refuses its settings: {error.args[0].str()}") from error
        try:
            self._client.list_topics(timeout=CONNECT_SECONDS)
        except KafkaException as error:
            raise self._unreachable(error.args[0]) from error

    def send(self, records: Iterable[Record]) -> None:
        """Hand the records over, in order; returns when the last one is in the client's queue."""
        for record in records:
            if self._sent % self._slice == 0:
                self._wait_until_due()
                self._raise_failure()
            self._produce(record)
            self._sent += 1

    def flush(self) -> None:
        """Wait until everything that was handed over is delivered."""
        undelivered = self._client.flush(DELIVERY_SECONDS + CONNECT_SECONDS)
        self._raise_failure()
        if undelivered:
            raise Unreachable(f"{self._bootstrap}: {undelivered} records are not delivered to {self._topic}{self._why}")

    def __enter__(self) -> KafkaProducer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()

    @property
    def _slice(self) -> int:
        return _SLICE if self._rate is None else max(1, min(_SLICE, int(self._rate * _SLICE_SECONDS)))

    @property
    def _why(self) -> str:
        return f" ({self._complaints[0].str()})" if self._complaints else ""

    def _wait_until_due(self) -> None:
        if self._started is None:
            self._started = self._clock()
        self._client.poll(0)
        while self._rate is not None and (wait := self._started + self._sent / self._rate - self._clock()) > 0:
            self._client.poll(wait)

    def _produce(self, record: Record) -> None:
        while True:
            try:
                self._client.produce(self._topic, key=record.key, value=record.value, timestamp=record.timestamp)
                return
            except BufferError:
                self._client.poll(_WAIT_SECONDS)
                self._raise_failure()
            except KafkaException as error:
                raise self._unreachable(error.args[0]) from error

    def _on_delivery(self, error: KafkaError | None, _: object) -> None:
        self._failed = self._failed or error

    def _raise_failure(self) -> None:
        if self._failed is None:
            return
        if self._failed.code() in (KafkaError._UNKNOWN_TOPIC, KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise UsageError(f"{self._bootstrap} has no topic {self._topic}; `streammon topics create` makes it")
        raise self._unreachable(self._failed)

    def _unreachable(self, error: KafkaError) -> Unreachable:
        with suppress(KafkaException):
            self._client.poll(0)  # lets the client say why
        what = f"{self._bootstrap}: cannot write to {self._topic}: {error.str()}{self._why}"
        return Unreachable(f"{what}; check that the broker is up and that this is its address")
