"""What a line has published, read with read_committed and decoded by fastavro."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro

from tests.broker.kafka_tools import read_all
from tests.faults.line import Line
from tests.oracle.files import SCHEMAS, microseconds

HEADER_BYTES = 10  # of the single-object encoding
ERRORS = "__streammon.errors."
LATE = "__streammon.late."

Event = dict[str, Any]
Headers = Sequence[tuple[str, bytes | None]]


class DeadLetter(NamedTuple):
    topic: str
    partition: int
    offset: int
    code: str


class Late(NamedTuple):
    """A late event, of the input topic's partition and offset."""

    topic: str
    partition: int
    offset: int
    series: tuple[str, str, str]
    pane: tuple[int, int]  # start and end, microseconds


class Published(NamedTuple):
    """Events as they lie in their topics."""

    metrics: list[Event]
    alerts: list[Event]
    journal: list[Event]
    dead_letters: list[DeadLetter]
    late: list[Late]
    changelog: dict[int, dict[tuple[Any, ...], Event | None]]  # by partition: live keys; values of headers only


def read(line: Line) -> Published:
    changelog: dict[int, dict[tuple[Any, ...], Event | None]] = {}
    for record in read_all(line.bootstrap, line.topic("changelog")):
        assert record.key is not None
        kind, series, *rest = json.loads(record.key)
        key = (kind, tuple(series) if isinstance(series, list) else series, *rest)
        live = changelog.setdefault(record.partition, {})
        if record.value is None:
            live.pop(key, None)
        else:
            live[key] = decode("changelog_header", record.value) if kind == "header" else None
    return Published(
        metrics=events(line, "metrics", "metric_event"),
        alerts=events(line, "alerts", "alert_event"),
        journal=events(line, "journal", "journal_entry"),
        dead_letters=[_dead_letter(record.headers) for record in read_all(line.bootstrap, line.topic("dead_letters"))],
        late=[_late(record.headers) for record in read_all(line.bootstrap, line.topic("late"))],
        changelog=changelog,
    )


def events(line: Line, topic: str, schema: str) -> list[Event]:
    return [decode(schema, record.value or b"") for record in read_all(line.bootstrap, line.topic(topic))]


def decode(name: str, value: bytes) -> Event:
    event = fastavro.schemaless_reader(BytesIO(value[HEADER_BYTES:]), _schema(name), None)
    assert isinstance(event, dict)
    return event


def encode(name: str, event: Event) -> bytes:
    """The datum, bit for bit: what tells -0.0 from 0.0, and one NaN from another."""
    out = BytesIO()
    fastavro.schemaless_writer(out, _schema(name), event)
    return out.getvalue()


def read_file(path: Path) -> list[Event]:
    """Events of a container file."""
    with path.open("rb") as file:
        return [_integers(event) for event in fastavro.reader(file) if isinstance(event, dict)]


def _integers(event: Event) -> Event:
    """Times as `decode` gives them."""
    plain = {name: microseconds(value) if isinstance(value, datetime) else value for name, value in event.items()}
    return plain | {"window": _integers(event["window"])} if "window" in event else plain


@cache
def _schema(name: str) -> Any:
    return fastavro.parse_schema(_plain(json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))))


def _plain(schema: Any) -> Any:
    """Without logical types, so that times stay integers."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    return [_plain(item) for item in schema] if isinstance(schema, list) else schema


def dead_letters_in(path: Path) -> list[DeadLetter]:
    """Of a replay."""
    return list(map(_dead_letter, _headers(path)))


def late_in(path: Path) -> list[Late]:
    """Of a replay."""
    return list(map(_late, _headers(path)))


def _headers(path: Path) -> Iterator[Headers]:
    """Of the records in a recorded file."""
    for record in read_file(path):
        yield [(header["key"], header["value"]) for header in record["headers"]]


def _dead_letter(headers: Headers) -> DeadLetter:
    said = _said(headers, ERRORS)
    return DeadLetter(said["topic"], int(said["partition"]), int(said["offset"]), said["code"])


def _late(headers: Headers) -> Late:
    said = _said(headers, LATE)
    assert said["code"] == "LATE"
    return Late(
        said["topic"],
        int(said["partition"]),
        int(said["offset"]),
        (said["model_id"], said["model_version"], said["lane"]),
        (int(said["pane_start"]), int(said["pane_end"])),
    )


def _said(headers: Headers, prefix: str) -> dict[str, str]:
    """What was marked on a record."""
    return {name.removeprefix(prefix): (value or b"").decode() for name, value in headers if name.startswith(prefix)}
