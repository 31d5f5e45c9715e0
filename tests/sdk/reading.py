"""What a producer makes, read by somebody else: fastavro, on the schemas as they lie in the repository."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from streammon.sdk import EventProducer
from streammon.sdk.encoding import Record

SCHEMAS = Path(__file__).parents[2] / "schemas"
USER_KEY = b"sixteen bytes or more"


@cache
def written(schema: str) -> tuple[Any, bytes]:
    """A schema for fastavro, with times as integers, and the frame of its data."""
    definition = json.loads((SCHEMAS / f"{schema}.avsc").read_text(encoding="utf-8"))
    frame = b"\xc3\x01" + bytes.fromhex(fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO"))
    fields = [field | {"type": "long"} if field["name"] == "ts" else field for field in definition["fields"]]
    return fastavro.parse_schema({**definition, "fields": fields}), frame


def read(value: bytes, schema: str = "inference_event", frame: bytes | None = None) -> dict[str, Any]:
    """The datum behind its frame (default: single-object encoding); times as integers. Nothing may follow it."""
    definition, usual = written(schema)
    frame = usual if frame is None else frame
    assert value[: len(frame)] == frame
    datum = io.BytesIO(value[len(frame) :])
    found = fastavro.schemaless_reader(datum, definition, None)
    assert not datum.read(), "bytes follow the datum"
    assert isinstance(found, dict)
    return found


class Kept:
    """In the place of the way to Kafka: keeps what would be sent, and why something is not."""

    def __init__(self) -> None:
        self.records: list[tuple[str, Record, int]] = []
        self.dropped: list[tuple[str, str | None]] = []

    def put(self, topic: str, record: Record, timestamp: int, patience: float) -> bool:
        self.records.append((topic, record, timestamp))
        return True

    def drop(self, reason: str, why: str | None = None) -> bool:
        self.dropped.append((reason, why))
        return False


class Service:
    """A producer whose records are kept here; its address is nobody's."""

    def __init__(self, **arguments: Any) -> None:
        given = {"model_id": "fraud", "model_version": "3", "lane": "prod", **arguments}
        self.events = EventProducer("nobody.invalid:9092", **given)
        self.kept = Kept()
        self.events._delivery = self.kept  # type: ignore[assignment]  # all that is used of it

    def event(self, req_id: Any = "r1", **fields: Any) -> dict[str, Any]:
        """Log one event, and read it."""
        assert self.events.log(req_id, **fields), self.kept.dropped
        return read(self.kept.records[-1][1].value)

    def refusal(self, req_id: Any = "r1", **fields: Any) -> tuple[str, str | None]:
        """Log what cannot be logged; the reason and its explanation."""
        assert self.events.log(req_id, **fields) is False
        return self.kept.dropped[-1]
