"""A broker inside this process: the mock cluster of librdkafka, which speaks the real protocol on loopback.

For the demo and for fast tests of clients. It ends with the process and writes no file. It is not Kafka (LACKS), and
keeps 5 MiB of a partition, of which it drops the oldest records.
"""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Callable
from typing import Any

from confluent_kafka import Producer

from streammon.adapters.kafka import librdkafka
from streammon.core.errors import UsageError
from streammon.scopes import Closed

LACKS = "no transactions, kept positions or fencing: not exactly once"
"""What it cannot do, for people."""

BROKER = 1  # number of its only broker
PARTITIONS = 4  # of a topic where the C library cannot be reached
TIMEOUT = 10.0  # seconds

PRODUCE, FETCH, JOIN_GROUP = 0, 1, 11  # numbers of requests, for `push_errors`

_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {  # result and arguments
    "rd_kafka_handle_mock_cluster": (_POINTER, (_POINTER,)),
    "rd_kafka_mock_topic_create": (_INT, (_POINTER, _TEXT, _INT, _INT)),
    "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_push_request_errors_array": (None, (_POINTER, ctypes.c_int16, ctypes.c_size_t, _POINTER)),
    "rd_kafka_mock_clear_request_errors": (None, (_POINTER, ctypes.c_int16)),
    "rd_kafka_mock_broker_set_down": (_INT, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_up": (_INT, (_POINTER, ctypes.c_int32)),
    "rd_kafka_mock_broker_set_rtt": (_INT, (_POINTER, ctypes.c_int32, _INT)),
}


class EmbeddedBroker(Closed):
    """Runs from when it is made until `close`, or the end of a `with`. `address` is its HOST:PORT.

    What injects faults raises RuntimeError where the C library below the Python client cannot be reached.
    """

    def __init__(self) -> None:
        # Its thread inherits what is blocked here: it takes a system call that a signal interrupts for its end.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._client = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        broker = self._client.list_topics(timeout=TIMEOUT).brokers[BROKER]
        self.address = f"{broker.host}:{broker.port}"
        self._library, self._cluster = _mock_cluster(self._client)
        if self._library is not None:
            self._library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)  # else 3 s

    def create(self, topic: str, partitions: int = PARTITIONS) -> None:
        """Make a topic, which must not exist. Where the C library cannot be reached, it has PARTITIONS, as it comes."""
        if self._library is not None:
            error = self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)
            if error:
                raise UsageError(f"the embedded broker does not make topic {topic} (librdkafka's error {error})")
            return
        self._client.list_topics(topic, timeout=TIMEOUT)  # to ask for a topic is to make it

    # -- faults ------------------------------------------------------------------------------------------------------

    def push_errors(self, request: int, *codes: int) -> None:
        """Answer the next requests of a kind (PRODUCE, ...) with these error codes (KafkaError's), one for each."""
        self._call("rd_kafka_mock_push_request_errors_array", request, len(codes), (_INT * len(codes))(*codes))

    def clear_errors(self, request: int) -> None:
        """Forget the errors that were not answered yet."""
        self._call("rd_kafka_mock_clear_request_errors", request)

    def set_down(self) -> None:
        """Close all connections and refuse new ones."""
        self._call("rd_kafka_mock_broker_set_down", BROKER)

    def set_up(self) -> None:
        """Take connections again."""
        self._call("rd_kafka_mock_broker_set_up", BROKER)

    def set_rtt(self, milliseconds: int) -> None:
        """Answer each request so much later; 0: at once."""
        self._call("rd_kafka_mock_broker_set_rtt", BROKER, milliseconds)

    # ----------------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End it, with all that it holds. Clients that still run will complain."""
        self._library = None
        del self._client  # the cluster belongs to it

    def _call(self, function: str, *arguments: Any) -> None:
        if self._library is None:
            raise RuntimeError("the C library of the Kafka client cannot be reached")
        call: Callable[..., Any] = getattr(self._library, function)
        call(self._cluster, *arguments)


def _mock_cluster(client: Producer) -> tuple[ctypes.CDLL | None, int | None]:
    """The C library and the address of the client's mock cluster; nothing where either cannot be told."""
    library = librdkafka.load()
    address = None if library is None else librdkafka.handle(library, client)
    if library is None or address is None:
        return None, None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    cluster = library.rd_kafka_handle_mock_cluster(address)
    return (library, cluster) if cluster else (None, None)
