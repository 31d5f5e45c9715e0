"""What can be replayed: recordings, a topic, and files of other kinds."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from streammon import assembly
from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.foreign import ForeignSource, RowDecoder, is_foreign
from streammon.adapters.kafka.topic_source import TopicSource, find
from streammon.adapters.recorded_log import RecordedLog, Span
from streammon.adapters.recorded_source import RecordedSource
from streammon.core.errors import UsageError
from streammon.core.plan import Plan
from streammon.core.ports import Source
from streammon.settings import Settings, kafka_options

AnyDecoder = AvroDecoder | RowDecoder


class Log(Protocol):
    """Records of one topic, which several processes may read: it can be pickled."""

    @property
    def topic(self) -> str: ...

    @property
    def spans(self) -> Mapping[int, Span]:
        """What is read of each partition."""

    @property
    def files(self) -> int:
        """How many files it is; 0: a topic."""

    @property
    def identity(self) -> Any:
        """JSON values that tell it from another."""

    @property
    def why_not(self) -> str | None:
        """Why no replay of it gives what live gave; None where one can."""

    @property
    def seconds(self) -> float:
        """That it took to look it through."""

    def open(self, plan: Plan, partitions: Collection[int]) -> tuple[Source, AnyDecoder]:
        """A source of these partitions, and what decodes its records."""


@dataclass(frozen=True)
class Recording:
    recorded: RecordedLog
    seconds: float

    @property
    def topic(self) -> str:
        return self.recorded.topic

    @property
    def spans(self) -> Mapping[int, Span]:
        return self.recorded.spans

    @property
    def files(self) -> int:
        return len(self.recorded.files)

    @property
    def identity(self) -> Any:
        return self.recorded.identity

    @property
    def why_not(self) -> str | None:
        return self.recorded.hole

    def open(self, plan: Plan, partitions: Collection[int]) -> tuple[Source, AnyDecoder]:
        return RecordedSource(self.recorded, partitions), assembly.decoder(plan)


class Foreign:
    """Rows of files, as one partition."""

    def __init__(self, paths: Sequence[Path], settings: Settings) -> None:
        self._paths, self._settings = list(paths), settings
        source = self._source()
        self.topic, self.files, self.why_not = source.topic, len(self._paths), source.why_not_comparable
        (partition,) = source.first
        self.spans = {partition: Span(0, source.records, source.records, 0)}
        self.seconds = 0.0
        stats = [path.stat() for path in self._paths]
        self.identity = [[p.name, s.st_size, s.st_mtime_ns] for p, s in zip(self._paths, stats, strict=True)]
        source.close()

    def open(self, plan: Plan, partitions: Collection[int]) -> tuple[Source, AnyDecoder]:
        source = self._source()
        return source, source.decoder

    def _source(self) -> ForeignSource:
        return assembly.foreign_source(self._paths, self._settings)


@dataclass(frozen=True)
class Stretch:
    """Of a topic."""

    topic: str
    spans: Mapping[int, Span]
    options: Mapping[str, Any] = field(repr=False)
    asked: tuple[str, str]
    seconds: float
    files: int = 0
    why_not: str | None = None

    @property
    def identity(self) -> Any:
        spans = {str(partition): list(span) for partition, span in self.spans.items()}
        return {"topic": self.topic, "asked": list(self.asked), "spans": spans}

    def open(self, plan: Plan, partitions: Collection[int]) -> tuple[Source, AnyDecoder]:
        return TopicSource(self.options, self.topic, self.spans, partitions), assembly.decoder(plan)


def of_files(paths: Sequence[Path], settings: Settings, heard: Callable[[int], None] = lambda records: None) -> Log:
    """Recordings, or files of other kinds. `heard`: see RecordedLog.open."""
    twice = [path for number, path in enumerate(paths) if path in paths[:number]]
    if twice:
        raise UsageError(f"{twice[0]} is named twice")
    foreign = [path for path in paths if is_foreign(path)]
    if not foreign:
        started = time.monotonic()
        recorded = RecordedLog.open(paths, heard)
        return Recording(recorded, time.monotonic() - started)
    if len(foreign) < len(paths):
        other = next(path for path in paths if path not in foreign)
        raise UsageError(f"{other} is a recording, and {foreign[0]} is none: replay one kind at a time")
    return Foreign(paths, settings)


def of_topic(settings: Settings, topic: str, start: str, end: str, before: Mapping[str, Any] | None = None) -> Log:
    """What a topic holds now, from `start` to `end` (topic_source.find).

    `before`: the identity of the log with which an unfinished replay began, whose offsets are kept.
    """
    started = time.monotonic()
    options = kafka_options(settings)
    if before is None:
        spans = find(options, topic, start, end)
    else:
        spans = {int(partition): Span(*span) for partition, span in before["spans"].items()}
    return Stretch(topic, spans, options, (start, end), time.monotonic() - started)
