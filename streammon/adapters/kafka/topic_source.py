"""A stretch of a topic as a source: read outside any group, read_committed, from given offsets to given ends."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from streammon.adapters.codec import from_bytes
from streammon.adapters.kafka.admin import Admin
from streammon.adapters.kafka.batches import DirectQueue
from streammon.adapters.kafka.errors import connect, refusal
from streammon.adapters.kafka.reader import HARMLESS, Reader, read
from streammon.adapters.kafka.source import PREFETCH, batch_of
from streammon.adapters.recorded_log import Span
from streammon.core.errors import UsageError
from streammon.core.journal import JournalEntry
from streammon.core.ports import Listener, RecordBatch, Run, Slices

MAX_BATCH = 10_000  # records
BEGINNING, NOW = "beginning", "now"


def check_place(text: str, name: str) -> None:
    """UsageError where it is no place in a topic; `name`: the option that says it."""
    if text in {BEGINNING, NOW} or (text.isascii() and text.isdigit()):
        return
    try:
        datetime.fromisoformat(text)
    except ValueError:
        known = f"{BEGINNING}, {NOW}, an offset, or a time such as 2026-01-31T12:00:00Z"
        raise UsageError(f"{name} {text}: give {known}") from None


def find(options: Mapping[str, Any], topic: str, start: str, end: str) -> dict[int, Span]:
    """The stretch of each partition from `start` to `end` (beginning, now, an offset, or a time), as the topic is now.

    UsageError where that holds nothing.
    """
    check_place(start, "--from")
    check_place(end, "--to")
    found: dict[int, tuple[int, int]] = {}

    def place(text: str, bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        if text in {BEGINNING, NOW}:
            return {p: low if text == BEGINNING else high for p, (low, high) in bounds.items()}
        if text.isdigit():
            return dict.fromkeys(bounds, int(text))
        return Admin(options).starts(topic, text)(list(bounds))

    def first(bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        lows, highs = place(start, bounds), place(end, bounds)
        for p, (low, high) in bounds.items():
            begin, stop = min(max(low, lows[p]), high), min(high, highs[p])
            if begin < stop:
                found[p] = begin, stop
        # Where it begins in the middle, the first record is read for its timestamp.
        return {p: found[p][0] if p in found and found[p][0] > 0 else high for p, (_, high) in bounds.items()}

    with Reader(options, topic, from_beginning=True, first=first) as reader:
        wanted = {p for p, (begin, _) in found.items() if begin > 0}
        begins: dict[int, int] = {}
        for messages in reader.batches(until_end=True) if wanted else ():
            for message in messages:
                begins.setdefault(message.partition() or 0, message.timestamp()[1] * 1000)
            if wanted <= begins.keys():
                break
    if not found:
        raise UsageError(f"{topic}: holds no records from {start} to {end}")
    return {p: Span(low, high, high - low, begins.get(p, 0)) for p, (low, high) in sorted(found.items())}


def topic_journal(options: Mapping[str, Any], journal: str, topic: str) -> list[JournalEntry] | None:
    """The entries about a topic that a journal topic holds now; None where it has none, or does not exist."""
    if journal not in Admin(options).partitions():
        return None
    values = (envelope.value for envelope in read(options, journal))
    entries = [from_bytes(JournalEntry, value) for value in values if value is not None]
    return [entry for entry in entries if entry.topic == topic] or None


class TopicSource:
    """Some partitions of such stretches. What lies behind their ends is left out."""

    def __init__(
        self, options: Mapping[str, Any], topic: str, spans: Mapping[int, Span], partitions: Collection[int]
    ) -> None:
        self.topic = topic
        self._ends = {partition: spans[partition].end for partition in partitions}
        self._left = set(partitions)
        self._paused: set[int] = set()
        self._bootstrap = str(options.get("bootstrap.servers"))
        self._consumer = connect(
            Consumer,
            {
                **PREFETCH,
                "log_level": 2,  # errors surface here
                **options,
                "group.id": "streammon-replay",  # the client asks for one; nothing is ever committed under it
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            },
        )
        self._direct = DirectQueue.open(self._consumer, topic, MAX_BATCH)

    def start(self, listener: Listener) -> None:
        listener.assigned(sorted(self._ends))

    def poll(self, timeout: float) -> RecordBatch | None:
        if self._direct is not None:
            self._direct.claim()
        messages = self._consumer.consume(MAX_BATCH, timeout if self._direct is None else 0.0)
        if messages or self._direct is None:
            return self._within(batch_of(good) if (good := self._records(messages)) else None)
        records, failures = self._direct.read(timeout)
        for failure in failures:
            self._check(failure.partition, failure.error)
        return self._within(records)

    def heartbeat(self) -> None:
        """There is no group."""

    def is_member(self) -> bool:
        return True

    def seek(self, positions: Mapping[int, int]) -> None:
        self._left = {partition for partition, position in positions.items() if position < self._ends[partition]}
        starts = [TopicPartition(self.topic, partition, positions[partition]) for partition in sorted(self._left)]
        self._consumer.assign(starts)
        if self._direct is not None:
            self._direct.lead(self._left)

    def pause(self, partitions: Collection[int]) -> None:
        self._paused |= set(partitions)
        self._consumer.pause(self._places(partitions))

    def resume(self, partitions: Collection[int]) -> None:
        self._paused -= set(partitions)
        self._consumer.resume(self._places(partitions))

    def ask_ends(self, partitions: Collection[int]) -> None:
        """What the log and the journal hold is known: nobody waits for silence."""

    def confirmed(self) -> dict[int, int | None]:
        return {}

    def finished(self) -> bool:
        return not self._left - self._paused

    def close(self) -> None:
        if self._direct is not None:
            self._direct.close()
            self._direct = None
        self._consumer.close()

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self.topic, partition) for partition in partitions if partition in self._left]

    def _within(self, records: RecordBatch | None) -> RecordBatch | None:
        """Those before the ends. A partition that has reached its own is read no further."""
        if records is None:
            return None
        beyond = False
        for partition, _, high in records.runs:
            end = self._ends[partition]
            if records.offset[high - 1] >= end - 1:
                self._ended(partition)
            beyond = beyond or bool(records.offset[high - 1] >= end) or partition not in self._ends
        return _before(records, self._ends) if beyond else records

    def _ended(self, partition: int) -> None:
        if partition in self._left:
            self._consumer.pause(self._places([partition]))
            self._left.discard(partition)

    def _records(self, messages: Sequence[Message]) -> list[Message]:
        for message in messages:
            error = message.error()
            if error is not None:
                self._check(message.partition(), error)
        return [message for message in messages if message.error() is None]

    def _check(self, partition: int | None, error: KafkaError) -> None:
        if error.code() == KafkaError._PARTITION_EOF:  # everything that was committed when it was asked for was read
            self._ended(partition or 0)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise UsageError(
                f"{self.topic} {partition}: the log no longer holds the offset to read from ({error.str()}): replay "
                "from the beginning"
            )
        elif not error.retriable() and error.code() not in HARMLESS:
            raise refusal(error, f"reading {self.topic}", self._bootstrap)


def _before(records: RecordBatch, ends: Mapping[int, int]) -> RecordBatch:
    """Without rows at or behind the end of their partition."""
    kept, runs, at = [], [], 0
    for partition, low, high in records.runs:
        count = int(np.searchsorted(records.offset[low:high], ends[partition]))
        if count:
            kept.append(np.arange(low, low + count))
            runs.append(Run(partition, at, at + count))
            at += count
    rows = np.concatenate(kept) if kept else np.empty(0, np.int64)
    keys = records.keys
    return replace(
        records,
        start=records.start[rows],
        end=records.end[rows],
        offset=records.offset[rows],
        timestamp=records.timestamp[rows],
        runs=tuple(runs),
        origin=lambda row: records.origin(int(rows[row])),
        keys=None if keys is None else Slices(keys.buffer, keys.start[rows], keys.end[rows]),
        by_producer=None,  # nobody judges the timestamps again
    )
