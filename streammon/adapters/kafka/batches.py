"""Records straight from the client's queues, as columns: no Python object per record.

The Python client makes an object of every record and takes a call for each of its fields, which together cost several
times what the C library needs to deliver it. Here the library's own batch function is called on the same consumer, and
compiled code copies the records into one buffer.

Rebalances and errors of the group still go through the Python client, which has callbacks to run. So only the queues
of the assigned partitions are led away, into one of our own. The library leads a partition's queue back to the consumer
when it starts to fetch it, at a time that nobody sees; so every turn first leads all of them here (`claim`), then takes
what the client still has, then reads here: whatever the client has of a partition is older than what is here.
What belongs to an earlier assignment, or lies before a pause, the library drops as it reads, here as in its own calls.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterable
from typing import Any, NamedTuple
from weakref import WeakSet

import numpy as np
from confluent_kafka import TIMESTAMP_CREATE_TIME, Consumer, KafkaError
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from streammon.adapters.avro.wire import load_u32, load_u64
from streammon.adapters.kafka import librdkafka
from streammon.adapters.records import grouped
from streammon.core.ports import Origin, RecordBatch, Slices

# rd_kafka_message_t, which is part of the library's binary interface
ERROR, PARTITION, VALUE, VALUE_SIZE, KEY, KEY_SIZE, OFFSET = 0, 16, 24, 32, 40, 48, 56

ENOUGH = 1_000  # records that are not made to wait for more
MOST_BYTES = 16 << 20  # of a batch, but for the last SLICE
SLICE = 250  # records asked for at once


class Columns(NamedTuple):
    """n messages. A null value or key starts at -1."""

    buffer: NDArray[np.uint8]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    key_start: NDArray[np.int64]
    key_end: NDArray[np.int64]
    partition: NDArray[np.int64]
    offset: NDArray[np.int64]
    timestamp: NDArray[np.int64]  # microseconds
    error: NDArray[np.int64]  # 0 for a record


class Failure(NamedTuple):
    """What the library says of a partition, in the place of a record."""

    partition: int
    error: KafkaError
    offset: int  # where it was, as far as it has a place


class DirectQueue:
    """The records of some partitions of one topic."""

    def __init__(self, library: ctypes.CDLL, client: int, topic: str, limit: int) -> None:
        """`limit`: records in a batch, at most."""
        self._library, self._client, self._topic = library, client, topic.encode()
        self._queue = library.rd_kafka_queue_new(client)
        self._partitions: list[int] = []  # queues
        self._pointers = np.empty(limit, np.int64)
        self._unfreed: WeakSet[_Messages] = WeakSet()

    @classmethod
    def open(cls, consumer: Consumer, topic: str, limit: int) -> DirectQueue | None:
        """None where the client is not built as expected: then its own calls have to do."""
        library = librdkafka.load()
        client = None if library is None else librdkafka.handle(library, consumer)
        return None if library is None or client is None else cls(library, client, topic, limit)

    def lead(self, partitions: Iterable[int]) -> None:
        """The partitions that were assigned last."""
        self._let_go()
        found = (self._library.rd_kafka_queue_get_partition(self._client, self._topic, p) for p in partitions)
        self._partitions = [queue for queue in found if queue]

    def claim(self) -> None:
        """To be called at each turn, before the client is asked: see above."""
        for queue in self._partitions:
            self._library.rd_kafka_queue_forward(queue, self._queue)

    def read(self, timeout: float) -> tuple[RecordBatch | None, list[Failure]]:
        """What is there; fewer than ENOUGH wait for more, up to `timeout` seconds. MOST_BYTES end a batch early."""
        count = size = 0
        deadline = time.monotonic() + timeout
        while count < len(self._pointers) and size < MOST_BYTES:
            wait = max(0.0, deadline - time.monotonic()) if count < ENOUGH else 0.0
            more = self._consume(count, min(count + SLICE, len(self._pointers)), wait)
            size += _size(self._pointers[count : count + more])
            count += more
            if not more or (more < SLICE and wait > 0):
                break
        if not count:
            return None, []
        messages = _Messages(self._library, self._pointers[:count].copy(), size)
        self._unfreed.add(messages)
        return messages.batch(), messages.failures()

    def close(self) -> None:
        """To be called before the consumer is closed, which must have no messages left."""
        self._let_go()
        for messages in list(self._unfreed):
            messages.free()
        self._library.rd_kafka_queue_destroy(self._queue)

    def _consume(self, low: int, high: int, timeout: float) -> int:
        place = self._pointers.ctypes.data + low * self._pointers.itemsize
        consumed = self._library.rd_kafka_consume_batch_queue(self._queue, int(timeout * 1000), place, high - low)
        return max(0, int(consumed))

    def _let_go(self) -> None:
        for queue in self._partitions:
            self._library.rd_kafka_queue_destroy(queue)
        self._partitions = []


class _Messages:
    """Messages of the library, which are freed with this object: until then their headers can be read."""

    def __init__(self, library: ctypes.CDLL, pointers: NDArray[np.int64], size: int) -> None:
        """`size`: of all values and keys, as _size tells it."""
        self._library, self._pointers = library, pointers
        empty = (np.empty(len(pointers), np.int64) for _ in Columns._fields[1:])
        self._columns = Columns(np.empty(max(1, size), np.uint8), *empty)
        _copy(pointers, librdkafka.address_of(library.rd_kafka_message_timestamp), self._columns)

    def __del__(self) -> None:
        self.free()

    def free(self) -> None:
        pointers, self._pointers = self._pointers, self._pointers[:0]
        if len(pointers):
            _free(pointers, librdkafka.address_of(self._library.rd_kafka_message_destroy))

    def batch(self) -> RecordBatch | None:
        """Those that are records."""
        c = self._columns
        rows = np.flatnonzero(c.error == 0)
        if not len(rows):
            return None
        if len(rows) < len(c.error):
            c = Columns(c.buffer, *(column[rows] for column in c[1:]))
        return grouped(
            Slices(c.buffer, c.start, c.end),
            Slices(c.buffer, c.key_start, c.key_end),
            c.partition,
            c.offset,
            c.timestamp,
            lambda row: self._origin(int(rows[row])),
            lambda row: self._is_by_producer(int(rows[row])),
        )

    def failures(self) -> list[Failure]:
        c = self._columns
        return [
            Failure(
                int(c.partition[row]), KafkaError(_signed(int(c.error[row])), self._reason(row)), int(c.offset[row])
            )
            for row in np.flatnonzero(c.error).tolist()
        ]

    def _origin(self, row: int) -> Origin:
        c = self._columns
        return Origin(
            _bytes(c.buffer, c.key_start[row], c.key_end[row]),
            _bytes(c.buffer, c.start[row], c.end[row]),
            self._headers(row),
        )

    def _is_by_producer(self, row: int) -> bool:
        kind = ctypes.c_int()
        self._library.rd_kafka_message_timestamp(int(self._pointers[row]), ctypes.byref(kind))
        return kind.value == TIMESTAMP_CREATE_TIME

    def _headers(self, row: int) -> tuple[tuple[str, bytes | None], ...]:
        found = ctypes.c_void_p()
        if self._library.rd_kafka_message_headers(int(self._pointers[row]), ctypes.byref(found)):
            return ()
        name, value, size = ctypes.c_char_p(), ctypes.c_void_p(), ctypes.c_size_t()
        places = ctypes.byref(name), ctypes.byref(value), ctypes.byref(size)
        headers: list[tuple[str, bytes | None]] = []
        while not self._library.rd_kafka_header_get_all(found, len(headers), *places):
            data = None if value.value is None else ctypes.string_at(value.value, size.value)
            headers.append(((name.value or b"").decode(errors="replace"), data))
        return tuple(headers)

    def _reason(self, row: int) -> str:
        return (self._library.rd_kafka_message_errstr(int(self._pointers[row])) or b"").decode(errors="replace")


def _bytes(buffer: NDArray[np.uint8], start: np.int64, end: np.int64) -> bytes | None:
    return None if start < 0 else buffer[start:end].tobytes()


def _signed(code: int) -> int:
    """Of 32 bits: the library's own errors are negative."""
    return code - (1 << 32) if code >= 1 << 31 else code


@intrinsic
def _copy_bytes(typing_context: Any, to: Any, source: Any, count: Any) -> Any:
    """From address to address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, source = (builder.inttoptr(place, ir.IntType(8).as_pointer()) for place in arguments[:2])
        cgutils.raw_memcpy(builder, to, source, arguments[2], 1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def _call(typing_context: Any, function: Any, pointer: Any) -> Any:
    """Call the C function at an address with a pointer and a null pointer; one that takes one argument sees one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        called = builder.inttoptr(arguments[0], ir.FunctionType(word, [word, word]).as_pointer())
        return builder.call(called, [arguments[1], ir.Constant(word, 0)])

    return types.int64(types.int64, types.int64), generate


@njit(cache=True, nogil=True)
def _size(messages):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """Bytes of all values and keys."""
    total = np.int64(0)
    for message in messages:
        total += load_u64(message + VALUE_SIZE) + load_u64(message + KEY_SIZE)
    return total


@njit(cache=True, nogil=True)
def _copy(messages, timestamp, c):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    base, at = np.int64(c.buffer.ctypes.data), np.int64(0)
    for i in range(len(messages)):
        message = messages[i]
        c.error[i] = load_u32(message + ERROR)
        c.partition[i] = load_u32(message + PARTITION)
        c.offset[i] = load_u64(message + OFFSET)
        c.timestamp[i] = _call(timestamp, message) * 1000
        at = _copy_string(base, at, message + VALUE, c.start, c.end, i)
        at = _copy_string(base, at, message + KEY, c.key_start, c.key_end, i)


@njit(cache=True, nogil=True)
def _copy_string(base, at, field, start, end, row):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """A pointer and a size: where the next string goes."""
    source, size = load_u64(field), load_u64(field + 8)
    if source == 0:
        start[row], end[row] = -1, -1
        return at
    _copy_bytes(base + at, source, size)
    start[row], end[row] = at, at + size
    return at + size


@njit(cache=True, nogil=True)
def _free(messages, function):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for message in messages:
        _call(function, message)
