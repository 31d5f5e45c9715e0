"""Metric and alert events that were published: the folder of a replay, a demo or a recording, or the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from streammon.adapters.codec import OutputT, from_bytes
from streammon.adapters.containers import read_header
from streammon.adapters.covered import Covered
from streammon.adapters.envelopes import is_recorded, read_envelopes
from streammon.adapters.file_sink import ALERTS, METRICS
from streammon.adapters.files import read_outputs
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.settings import Settings, kafka_options

TOPICS = "topics"  # on the command line: those of the settings
TOPIC = "topic:"  # in front of a name


@dataclass(frozen=True)
class Published:
    """Each call reads from the beginning, in the order of publishing (of one model, where a topic has partitions)."""

    name: str  # for people
    metrics: Callable[[], Iterator[MetricEvent]]
    alerts: Callable[[], Iterator[AlertEvent]] | None  # None: there are none beside the metric events
    covered: Covered | None = None  # of a replay


def named(text: str, settings: Settings | None) -> Published:
    """What the command line calls a directory, `topics`, or the topic of metric events.

    UsageError where it is none of them, or a topic without settings, which name the broker.
    """
    if Path(text).is_dir():
        return directory(Path(text))
    if Path(text).is_file():
        raise UsageError(f"{text} is a file: name the directory that a replay wrote, or a topic of metric events")
    name = text.removeprefix(TOPIC)
    if settings is None:
        raise UsageError(f"there is no directory {text}: name one that a replay wrote; topics need --config as well")
    if "/" in name or not name:
        raise UsageError(f"there is no directory {text}: name one that a replay wrote, or a topic of metric events")
    return topics(settings, settings.topics.metrics if text == TOPICS else name)


def directory(path: Path) -> Published:
    """What `replay` or `demo` wrote to `path`, or `record` to metrics.avro and alerts.avro in it."""
    if not (path / METRICS).is_file():
        raise UsageError(f"{path}: there is no {METRICS} in it: name a directory that `streammon replay --out` wrote")
    return Published(
        str(path),
        lambda: _outputs(path / METRICS, MetricEvent),
        (lambda: _outputs(path / ALERTS, AlertEvent)) if (path / ALERTS).is_file() else None,
        Covered.read(read_header(path / METRICS).metadata),
    )


def topics(settings: Settings, metrics: str | None = None) -> Published:
    """What the topics hold when they are read, read_committed; `metrics`: instead of the settings' topic."""
    from streammon.adapters.kafka.reader import follow

    options, alerts = kafka_options(settings), settings.topics.alerts
    metrics = metrics or settings.topics.metrics
    return Published(
        f"topics {metrics} and {alerts}",
        lambda: follow(options, metrics, MetricEvent, from_beginning=True, until_end=True),
        lambda: follow(options, alerts, AlertEvent, from_beginning=True, until_end=True),
    )


def _outputs(path: Path, kind: type[OutputT]) -> Iterator[OutputT]:
    if not is_recorded(read_header(path).schema):
        yield from read_outputs(path, kind)
        return
    for envelope in read_envelopes(path):
        if envelope.value is not None:
            try:
                yield from_bytes(kind, envelope.value)
            except UsageError as error:
                where = f"{path}: partition {envelope.partition}, offset {envelope.offset}"
                raise UsageError(f"{where}: {error}") from error
