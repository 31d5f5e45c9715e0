"""Reading what streammon publishes, in another program: what consumers of alerts and of metric events share."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

from confluent_kafka import Message

from streammon.adapters.codec import from_bytes
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.scopes import Closed
from streammon.sdk.topic_reader import TopicReader

EventT = TypeVar("EventT", AlertEvent, MetricEvent)
Start = Literal["earliest", "latest"]

WAIT = 0.2  # seconds inside the client: between two of them Ctrl-C and `close` are noticed
PATIENCE = 10.0  # seconds without a record before a reader with a timeout asks whether anybody is there
COMMIT_INTERVAL = 1.0  # seconds between two commits of positions that nobody handled an event for
REMEMBERED = 10_000  # identities, to know a repeat by


class EventConsumer(Closed, Generic[EventT]):
    """Events of one topic, read_committed, in the order of its partitions. An iterator and a context manager:

        with AlertConsumer("broker:9092", group="rollback-bot") as alerts:
            for alert in alerts:
                ...

    **At least once.** The position behind an event is committed when the loop asks for the next one (or by `commit`),
    never before: what was in hand when the program died, or left the loop by `break` or an exception, comes again. What
    this process has seen does not: repeats are dropped by identity (the last 10,000 are remembered).

    `group` shares the partitions among all programs that name it, and keeps their positions in the broker. Where it has
    none, `start` says where to begin: "latest", at what is published from now on, or "earliest". None: no group, all
    partitions, from `start` each time; nothing is committed.

    The loop waits for ever, through outages too, which are logged (logger `streammon.sdk`). With `timeout` it ends when
    all is read and nothing has come for so many seconds; 0: at what is there now. A record that cannot be read is
    logged, counted in `skipped` and passed over.

    `kafka`: further options of librdkafka, such as security.protocol and sasl.*.

    Raises UsageError for wrong arguments, and in the loop where the topic does not exist or the broker denies access;
    Unreachable in the loop, with a timeout only, where no broker answers.
    """

    _kind: type[EventT]
    _prompt: ClassVar[bool]  # whether the position behind each event is committed by itself, or those of a second

    def __init__(
        self,
        bootstrap: str,
        *,
        group: str | None,
        topic: str,
        start: Start = "latest",
        timeout: float | None = None,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        """Starts the client, but contacts nobody yet."""
        if start not in {"earliest", "latest"}:
            raise UsageError(f"start={start!r}: give 'earliest' or 'latest'")
        if group == "":
            raise UsageError("group is empty: name one, or give None to read without")
        if timeout is not None and not timeout >= 0:
            raise UsageError(f"timeout={timeout!r}: give seconds, or None to wait for ever")
        self.topic, self.group = topic, group
        self.skipped = 0
        """Records that could not be read."""
        self.repeated = 0
        """Events that were dropped because this process had seen them."""
        self._timeout = timeout
        self._seen: dict[str, int] = {}  # greatest number by identity, the oldest first
        self._in_hand: tuple[int, int] | None = None  # partition and position behind the event that the caller has
        self._closed = self._ended = False  # whether the end was asked for, and whether it has come
        self._lock = RLock()  # held while the client works; reentrant, because a signal handler may come in between
        self._is_working = False  # whether a call of the client is going on
        self._reader = TopicReader(bootstrap, topic, group, start == "earliest", kafka or {})

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> EventT:
        """The next event; ends by `close` and, with a timeout, when all is read."""
        self._put_down(0.0 if self._prompt else COMMIT_INTERVAL)
        heard = time.monotonic()  # when a record came last; the caller's own time does not count
        while True:
            with self._alone():
                message = None if self._closed else self._reader.poll(WAIT)
                if self._closed:
                    raise StopIteration
                if message is not None:
                    heard = time.monotonic()
                    if (event := self._take(message)) is not None:
                        return event
                self._reader.commit(COMMIT_INTERVAL)
                if self._timeout is not None:
                    patience = self._timeout if self._reader.complete else max(self._timeout, PATIENCE)
                    if time.monotonic() - heard >= patience:
                        if self._reader.confirm():
                            self._reader.commit()
                            raise StopIteration
                        heard = time.monotonic()  # somebody is there: it takes longer

    def commit(self) -> None:
        """Commit behind the event in hand: for a program that is done with it and leaves the loop by `break`."""
        self._put_down(0.0)

    def close(self) -> None:
        """Leave the group; the loop, in whatever thread, ends within a second. The event in hand comes again."""
        self._closed = True
        with self._lock:
            if not self._is_working:  # else this is a signal handler in the midst of it, and `_alone` will do it
                self._end()

    @abstractmethod
    def _identity(self, event: EventT) -> tuple[str, int]:
        """What makes a repeat visible: a name, and a number that only grows under it."""

    def _wants(self, event: EventT) -> bool:
        return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """With the client, which is closed behind its work if that was asked for meanwhile."""
        with self._lock:
            self._is_working = True
            try:
                yield
            finally:
                self._is_working = False
                if self._closed:
                    self._end()

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            self._reader.close()

    def _put_down(self, interval: float) -> None:
        """The caller is done with the event in hand."""
        with self._alone():
            if self._in_hand is not None and not self._closed:
                self._reader.done(*self._in_hand)
                self._in_hand = None
                self._reader.commit(interval)

    def _take(self, message: Message) -> EventT | None:
        """The event in a record, if the caller shall have it; the position moves over all others."""
        partition, position = message.partition() or 0, (message.offset() or 0) + 1
        event = self._read(message)
        if event is None or self._is_repeat(event) or not self._wants(event):
            self._reader.done(partition, position)
            return None
        self._in_hand = partition, position
        return event

    def _read(self, message: Message) -> EventT | None:
        try:
            return from_bytes(self._kind, message.value() or b"")
        except UsageError as error:
            self.skipped += 1
            where = f"{self.topic} {message.partition()}, offset {message.offset()}"
            self._reader.complain("record", "%s is passed over (%d so far): %s", where, self.skipped, str(error))
            return None

    def _is_repeat(self, event: EventT) -> bool:
        name, number = self._identity(event)
        if number <= self._seen.get(name, -1):
            self.repeated += 1
            return True
        self._seen.pop(name, None)
        self._seen[name] = number
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return False
