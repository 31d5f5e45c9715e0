"""Recorded events: Kafka records kept in a file, so that a replay sees exactly what a worker saw."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

from streammon.adapters.containers import ContainerWriter, read_records
from streammon.adapters.schema_files import full_name, load_schema, parsed, read_datum

CREATE_TIME = "CreateTime"
LOG_APPEND_TIME = "LogAppendTime"
NOT_AVAILABLE = "NotAvailable"

SCHEMA = "recorded_envelope"

Headers = tuple[tuple[str, bytes | None], ...]


class Envelope(NamedTuple):
    """A Kafka record, as it lay in its topic."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds
    timestamp_type: str  # CREATE_TIME, LOG_APPEND_TIME or NOT_AVAILABLE
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class EnvelopeWriter(ContainerWriter[Envelope]):
    """Writes a recorded file.

    `sync` (16 bytes) must follow from what is recorded, so that equal streams give equal files.
    """

    def __init__(self, path: Path, sync: bytes, codec: str = "null") -> None:
        super().__init__(path, load_schema(SCHEMA), _record, sync=sync, codec=codec)


def read_envelopes(path: Path) -> Iterator[Envelope]:
    """One by one, for small files and tests; large ones are decoded from `read_container_blocks`."""
    return map(_envelope, read_records(path, load_schema(SCHEMA)))


def to_datum(envelope: Envelope) -> bytes:
    """As a recorded file holds it (containers.ContainerWriter.write_data)."""
    return load_schema(SCHEMA).datum(_record(envelope))


def from_datum(data: bytes) -> Envelope:
    return _envelope(read_datum(BytesIO(data), load_schema(SCHEMA).plain, None, SCHEMA))


def headers_from_datum(data: bytes) -> Headers:
    """The field `headers` of an envelope, as a recorded file holds it."""
    found: Any = read_datum(BytesIO(data), _headers_type(), None, SCHEMA)
    return _headers(found)


@cache
def _headers_type() -> Any:
    fields = load_schema(SCHEMA).definition["fields"]
    return parsed(next(field["type"] for field in fields if field["name"] == "headers"))


def is_recorded(schema: Any) -> bool:
    """Whether a container file with this schema holds envelopes, rather than events of the user's own."""
    return full_name(schema) == load_schema(SCHEMA).full_name


def _record(envelope: Envelope) -> dict[str, Any]:
    record: dict[str, Any] = dict(zip(Envelope._fields, envelope, strict=True))
    record["headers"] = [{"key": key, "value": value} for key, value in envelope.headers]
    return record


def _envelope(record: dict[str, Any]) -> Envelope:
    record["headers"] = _headers(record["headers"])
    return Envelope(**record)


def _headers(records: Iterable[Mapping[str, Any]]) -> Headers:
    return tuple((header["key"], header["value"]) for header in records)
