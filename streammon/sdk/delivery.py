"""The way of records to Kafka: a bounded queue, and one thread that empties it into the client.

The thread must not hurt the service that it lives in. Whoever wants the interpreter's lock while another thread runs
Python waits for up to 5 ms, so this one works in bursts of some microseconds, and then sleeps or waits in the client,
both of which leave the lock alone. Only it ever touches the client, and so the network.

`_lock` is held for a few assignments at a time, never while anything is waited for. It is reentrant, because a signal
handler or a finalizer may log in the middle of them.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import time
import weakref
from collections import Counter, deque
from collections.abc import Mapping
from threading import RLock, Thread, current_thread
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streammon.sdk.complaints import LOGGER, Complaints
from streammon.sdk.encoding import Record

INVALID, TOO_LARGE, QUEUE_FULL, BROKER, CLOSED = REASONS = ("invalid", "too_large", "queue_full", "broker", "closed")

_BURST, _LONGEST_BURST = 16, 256  # records handed over in one go, 3 microseconds each: more where more wait
_PAUSE = 0.01  # seconds between two bursts
_TICK = 0.05  # seconds between two looks at an empty queue, or into a client that is full
_LOOK = 0.005  # the same, while somebody waits; and between the looks of who waits
_RENEW = 1.0  # seconds before another client, where the broker has refused one for good
_PURGE = 1.0  # seconds for the client to report what it never sent

_PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


class Stats(NamedTuple):
    """Counts of this process since the producer was made. `logged` is the sum of the others."""

    logged: int  # calls of log and log_label
    delivered: int  # acknowledged by the broker
    queued: int  # neither delivered nor dropped yet
    dropped: Mapping[str, int]  # by reason (invalid, too_large, queue_full, broker, closed); absent: none


class Delivery:
    """Takes records from any thread. `options` are those of the client, complete."""

    def __init__(self, options: Mapping[str, Any], *, most: int, most_bytes: int, close_timeout: float) -> None:
        self._options, self._most, self._most_bytes = options, most, most_bytes
        self._close_timeout = close_timeout
        self._closed = False
        self._client: Producer | None = None
        self._start_afresh()
        _ALIVE.add(self)

    def _start_afresh(self) -> None:
        self._lock = RLock()
        self._queue: deque[tuple[str, Record, int]] = deque()
        self._bytes = self._handed_over = self._failed = self._logged = self._delivered = self._waiting = 0
        self._dropped: Counter[str] = Counter()
        self._complaints = Complaints()
        self._thread: Thread | None = None
        self._give_up_at = float("inf")  # monotonic time

    # -- from any thread ---------------------------------------------------------------------------------------------

    def put(self, topic: str, record: Record, timestamp: int, patience: float) -> bool:
        """Queue one record with its timestamp (ms). False, and counted: it is dropped. Waits `patience` s for room."""
        size = len(record.key) + len(record.value)
        if patience:
            self._wait_for_room(size, patience)
        with self._lock:
            if fits := not self._closed and self._has_room(size):
                self._logged += 1
                self._bytes += size
                self._queue.append((topic, record, timestamp))
        if not fits:
            return self.drop(CLOSED if self._closed else QUEUE_FULL)
        if self._thread is None:
            self._start()
        return True

    def drop(self, reason: str, why: str | None = None) -> bool:
        """Count an event that comes no further; False, for who logged it."""
        with self._lock:
            self._logged += 1
            self._dropped[reason] += 1
            if why is not None:
                self._complaints.note(reason, why)
        if self._thread is None:
            self._start()
        return False

    def stats(self) -> Stats:
        with self._lock:
            return Stats(self._logged, self._delivered, self._queued(), dict(self._dropped))

    def flush(self, timeout: float) -> bool:
        """Wait until nothing is queued; False if something still is."""
        deadline = time.monotonic() + timeout
        with self._lock:
            self._waiting += 1
        try:
            while self._queued() and self._thread is not None and time.monotonic() < deadline:
                time.sleep(_LOOK)
            return not self._queued()
        finally:
            with self._lock:
                self._waiting -= 1

    def expire(self) -> None:
        """Take no more; what is queued has the usual time from now."""
        self._expire(self._close_timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Take no more, wait for what is queued, drop the rest; True if there was none."""
        timeout = self._close_timeout if timeout is None else timeout
        self._expire(timeout)
        if self._thread is None:  # nothing was logged, or no thread could be started
            self._drop_rest()
        elif self._thread is not current_thread():
            with contextlib.suppress(RuntimeError):  # another thread is about to start it, and it will end at once
                self._thread.join(timeout + _PURGE + _LOOK)
        return not self._queued() and not self._dropped[CLOSED]

    def _expire(self, timeout: float) -> None:
        with self._lock:
            self._closed = True
            self._give_up_at = min(self._give_up_at, time.monotonic() + timeout)

    def _queued(self) -> int:
        with self._lock:
            return self._logged - self._delivered - self._dropped.total()

    def _has_room(self, size: int) -> bool:
        return len(self._queue) < self._most and self._bytes + size <= self._most_bytes

    def _wait_for_room(self, size: int, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not self._has_room(size):
            if self._closed or time.monotonic() >= deadline:
                return
            if self._thread is None:
                self._start()
            time.sleep(_LOOK)

    def _start(self) -> None:
        """Have a thread that sends what is queued, and says what is dropped."""
        thread = Thread(target=self._run, name="streammon-sdk", daemon=True)
        with self._lock:
            if self._thread is not None or self._closed:  # a signal handler, say, has logged meanwhile
                return
            self._thread = thread
        try:
            thread.start()
        except RuntimeError:  # no more threads, or the interpreter is about to end: the next event tries again
            self._thread = None
            return
        if (processes := sys.modules.get("multiprocessing.util")) is not None:
            processes.Finalize(None, self.close, exitpriority=10)  # its processes end without atexit

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                self._work()
                break
            except Exception:  # no memory, or a fault of ours: what is queued must not wait for ever
                with contextlib.suppress(Exception):  # a handler of the service's, which is perhaps what failed
                    LOGGER.exception("the thread that sends events failed, and goes on")
                time.sleep(_RENEW)
        with contextlib.suppress(Exception):
            self._drop_rest()
            self._complaints.about(self.stats().dropped, last=True)

    def _work(self) -> None:
        """Until the producer is closed, and empty or out of time."""
        while not self._closed or (self._queued() and time.monotonic() < self._give_up_at):
            self._complaints.about(self.stats().dropped)
            try:
                self._client = self._client or self._connect()
                self._turn(self._client)
            except KafkaException as problem:  # it is of no use any more: the broker has refused its idempotence
                self._complaints.note_failure(problem.args[0])
                self._end_client()
                time.sleep(_RENEW)

    def _turn(self, client: Producer) -> None:
        """One burst, and a rest."""
        in_haste = self._closed or self._waiting > 0
        burst = max(_BURST, min(_LONGEST_BURST, len(self._queue) // 16))
        is_full = not self._hand_over(client, _LONGEST_BURST if in_haste else burst)
        if is_full or not self._queue:
            client.poll(_LOOK if in_haste else _TICK)
        else:
            client.poll(0)
            time.sleep(0 if in_haste else _PAUSE)
        self._count(client)

    def _connect(self) -> Producer:
        calls = {"error_cb": self._complaints.note_failure, "on_delivery": self._on_failure}
        return Producer({**self._options, **calls, "delivery.report.only.error": True}, logger=self._complaints)

    def _hand_over(self, client: Producer, most: int) -> bool:
        """Give up to `most` records to the client; False: it has no more room. Raises what leaves it useless."""
        for _ in range(min(most, len(self._queue))):
            topic, record, timestamp = self._queue[0]
            failed: KafkaError | None = None
            try:
                client.produce(topic, record.value, record.key, timestamp=timestamp)
            except BufferError:
                return False
            except KafkaException as problem:
                failed = problem.args[0]
                if failed.code() == KafkaError._FATAL:
                    raise
            with self._lock:
                self._queue.popleft()
                self._bytes -= len(record.key) + len(record.value)
                self._handed_over += 1
            if failed is not None:
                self._on_failure(failed, None)
        return True

    def _count(self, client: Producer) -> None:
        """What the client was given, has not reported as failed, and no longer holds, is delivered.

        A call into Python for each delivery, thousands in a row when a slow broker answers, would be felt.
        """
        with self._lock:
            self._delivered = max(self._delivered, self._handed_over - self._failed - len(client))

    def _on_failure(self, error: KafkaError, _: Message | None) -> None:
        with self._lock:
            self._failed += 1
            too_large = error.code() == KafkaError.MSG_SIZE_TOO_LARGE
            at_end = self._closed and error.code() in _PURGED
            self._dropped[TOO_LARGE if too_large else CLOSED if at_end else BROKER] += 1
        self._complaints.note_failure(error)

    def _drop_rest(self) -> None:
        """Of what nobody sends any more."""
        self._end_client()
        with self._lock:
            if left := self._queued():
                self._dropped[CLOSED] += left
            self._queue.clear()
            self._bytes = 0

    def _end_client(self) -> None:
        """Have it report everything that it still holds, and let it go."""
        if self._client is None:
            return
        with contextlib.suppress(KafkaException):
            self._client.purge(blocking=False)
        deadline = time.monotonic() + _PURGE
        while len(self._client) and time.monotonic() < deadline:
            with contextlib.suppress(KafkaException):
                self._client.poll(_LOOK)
        self._count(self._client)
        if left := len(self._client):
            with self._lock:
                self._failed += left
                self._dropped[CLOSED if self._closed else BROKER] += left
        self._client = None

    # -- the process -------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """In a forked child: what was queued belongs to the parent, and so do the client and the thread."""
        if self._client is not None:
            import ctypes

            # To destroy it here would wait for its threads, which did not come along. So it is never destroyed.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._client))
            self._client = None
        self._start_afresh()


_ALIVE: weakref.WeakSet[Delivery] = weakref.WeakSet()


def _after_fork() -> None:
    for delivery in list(_ALIVE):
        delivery.forget()


def _at_exit() -> None:
    """The time of all runs at once."""
    alive = list(_ALIVE)
    for delivery in alive:
        delivery.expire()
    for delivery in alive:
        delivery.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
