"""Bytes to events: recorded files, framing, verdicts on bad records, baseline directories.

Values are decoded by fastavro. Verdicts are not: fastavro accepts a union index of -1, a boolean of 7 and trailing
bytes, so `check_datum` walks the bytes by the Avro specification first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import fastavro.schema
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

SCHEMAS = Path(__file__).parents[2] / "schemas"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Event = dict[str, Any]


class BadRecord(Exception):
    """A record that is no event. `code` is the reason in its dead letter."""

    def __init__(self, code: str, field: str | None = None) -> None:
        super().__init__(code, field)
        self.code = code
        self.field = field


class Record(NamedTuple):
    offset: int
    timestamp: int  # of the record, microseconds
    key: bytes | None
    value: bytes | None


# --- recorded files ---------------------------------------------------------------------------------------------------


def microseconds(time: int | datetime) -> int:
    """Since the epoch, exactly. Avro readers hand out logical types as datetime."""
    return (time - EPOCH) // timedelta(microseconds=1) if isinstance(time, datetime) else time


def plain_times(event: Mapping[str, Any]) -> dict[str, Any]:
    """A metric or alert event with its times as integers, in the event and in its window."""
    plain = {name: microseconds(value) if isinstance(value, datetime) else value for name, value in event.items()}
    plain["window"] = {
        name: microseconds(value) if isinstance(value, datetime) else value for name, value in event["window"].items()
    }
    return plain


def from_envelopes(envelopes: Iterable[Mapping[str, Any]]) -> dict[int, list[Record]]:
    """Records by partition, in the order of their offsets. An integer timestamp is in milliseconds, as in Kafka."""
    partitions: dict[int, list[Record]] = {}
    for envelope in envelopes:
        time = envelope["timestamp"]
        timestamp = microseconds(time) if isinstance(time, datetime) else time * 1000
        record = Record(envelope["offset"], timestamp, envelope["key"], envelope["value"])
        partitions.setdefault(envelope["partition"], []).append(record)
    return {number: sorted(partitions[number], key=lambda record: record.offset) for number in sorted(partitions)}


def read_envelopes(path: Path) -> dict[int, list[Record]]:
    """A recorded file (schemas/recorded_envelope.avsc)."""
    with path.open("rb") as file:
        return from_envelopes(fastavro.reader(file))  # type: ignore[arg-type]


# --- framing and decoding ---------------------------------------------------------------------------------------------


def _without_logical_types(schema: Any) -> Any:
    """So that times stay integers, whatever their value."""
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return [_without_logical_types(item) for item in schema] if isinstance(schema, list) else schema


def _fingerprint(schema: Any) -> bytes:
    """CRC-64-AVRO of the parsing canonical form, as it lies behind the marker of the single-object encoding."""
    empty = 0xC15D213AA4D7A795
    value = empty
    for byte in fastavro.schema.to_parsing_canonical_form(schema).encode():
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (empty if value & 1 else 0)
    return value.to_bytes(8, "little")


_EVENT_JSON = json.loads((SCHEMAS / "inference_event.avsc").read_text(encoding="utf-8"))
EVENT_SCHEMA = fastavro.parse_schema(_without_logical_types(_EVENT_JSON))
MARKER = b"\xc3\x01"
FINGERPRINT = _fingerprint(_EVENT_JSON)


def encode_datum(event: Event) -> bytes:
    out = BytesIO()
    fastavro.schemaless_writer(out, EVENT_SCHEMA, event)
    return out.getvalue()


def encode(event: Event) -> bytes:
    """One event in Avro's single-object encoding."""
    return MARKER + FINGERPRINT + encode_datum(event)


def decode(value: bytes) -> Event:
    """The event in a record's value, or BadRecord: FRAMING, SCHEMA, TRUNCATED, TRAILING, RANGE, ENCODING."""
    if len(value) < 10 or value[:2] != MARKER:
        raise BadRecord("FRAMING")
    if value[2:10] != FINGERPRINT:
        raise BadRecord("SCHEMA")
    datum = value[10:]
    check_datum(datum)
    event = fastavro.schemaless_reader(BytesIO(datum), EVENT_SCHEMA, None)
    assert isinstance(event, dict)
    return event


def check_datum(datum: bytes) -> None:
    """BadRecord unless the bytes are exactly one datum of the event schema."""
    end = _Walk(datum).skip(EVENT_SCHEMA, 0)
    if end != len(datum):
        raise BadRecord("TRAILING")


class _Walk:
    """Skips data in the Avro binary encoding, checking every value that can be out of range."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def skip(self, schema: Any, at: int) -> int:
        """Position behind a datum of `schema` that starts at `at`."""
        if isinstance(schema, list):
            index, at = self.integer(at)
            if not 0 <= index < len(schema):
                raise BadRecord("RANGE")
            return self.skip(schema[index], at)
        kind = schema["type"] if isinstance(schema, dict) else schema
        match kind:
            case "null":
                return at
            case "boolean":
                if self.behind(at, 1) and self.data[at] > 1:
                    raise BadRecord("RANGE")
                return at + 1
            case "int":
                number, at = self.integer(at)
                if not -(2**31) <= number < 2**31:
                    raise BadRecord("RANGE")
                return at
            case "long":
                return self.integer(at)[1]
            case "float":
                return self.behind(at, 4)
            case "double":
                return self.behind(at, 8)
            case "string":
                length, at = self.integer(at)
                if length < 0:
                    raise BadRecord("RANGE")
                end = self.behind(at, length)
                try:
                    self.data[at:end].decode()
                except UnicodeDecodeError:
                    raise BadRecord("ENCODING") from None
                return end
            case "array":
                return self.blocks(at, [schema["items"]])
            case "map":
                return self.blocks(at, ["string", schema["values"]])
            case "record":
                for field in schema["fields"]:
                    at = self.skip(field["type"], at)
                return at
        return self.skip(kind, at)  # {"type": {...}}

    def blocks(self, at: int, item: list[Any]) -> int:
        least = sum({"float": 4, "double": 8, "string": 1}[kind] for kind in item)
        while True:
            count, at = self.integer(at)
            if count == 0:
                return at
            size = None
            if count < 0:  # the block's size in bytes follows
                size, at = self.integer(at)
                if count == -(2**63) or not 0 <= size <= len(self.data) - at or -count * least > size:
                    raise BadRecord("RANGE")
                count = -count
            begin = at
            if item == ["float"]:
                at = self.behind(at, 4 * count)
            else:
                for _ in range(count):
                    for schema in item:
                        at = self.skip(schema, at)
            if size is not None and size != at - begin:
                raise BadRecord("RANGE")

    def behind(self, at: int, length: int) -> int:
        if at + length > len(self.data):
            raise BadRecord("TRUNCATED")
        return at + length

    def integer(self, at: int) -> tuple[int, int]:
        """Zigzag variable-length integer and the position behind it."""
        bits = shift = 0
        while True:
            self.behind(at, 1)
            byte = self.data[at]
            at += 1
            bits |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift == 70:  # an eleventh byte
                raise BadRecord("RANGE")
        if bits >= 2**64:
            raise BadRecord("RANGE")
        return (bits >> 1) ^ -(bits & 1), at


# --- verdicts on events -----------------------------------------------------------------------------------------------


class Shape(NamedTuple):
    """Declared names and dimensions of a model; empty or 0 where nobody declared them."""

    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    embedding: int = 0


def check_series(event: Event) -> None:
    if event.get("ts") is None or event.get("model_id") is None:
        raise BadRecord("MISSING", "ts" if event.get("ts") is None else "model_id")
    for name in ("model_id", "model_version", "lane"):
        if event[name] == "*" or len((event[name] or "").encode()) > 16_384:
            raise BadRecord("RANGE", name)
    if event["model_id"] == "__other__":
        raise BadRecord("RANGE", "model_id")
    for name in ("data_hash", "git_commit"):
        if len((event.get(name) or "").encode()) > 1_024:
            raise BadRecord("RANGE", name)


def check_dimensions(event: Event, shape: Shape) -> None:
    declared = (("features", len(shape.features)), ("probs", len(shape.classes)), ("embedding", shape.embedding))
    for name, dimension in declared:
        if event[name] and dimension and len(event[name]) != dimension:
            raise BadRecord("DIMENSION", name)


# --- baselines --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Baseline:
    """What the oracle needs of a baseline directory: baseline.json and arrays.safetensors."""

    baseline_id: str
    model_id: str
    model_version: str
    feature_names: tuple[str, ...]  # F
    class_names: tuple[str, ...]  # C
    embedding: int
    edges: NDArray[np.float64]  # [F, E] edges of fine bins, padded with infinity
    bins: NDArray[np.int32]  # [F] number of fine bins
    counts: NDArray[np.int64]  # [F, E + 1] below, fine bins, above
    groups: NDArray[np.int32]  # [F, E + 1] quantile group of each cell
    class_counts: NDArray[np.int64]  # [C + 1] unseen last
    score_counts: NDArray[np.int64]  # [100]
    score_groups: NDArray[np.int32]  # [100]

    @property
    def shape(self) -> Shape:
        return Shape(self.feature_names, self.class_names, self.embedding)


def load_baseline(directory: Path) -> Baseline:
    values: dict[str, Any] = json.loads((directory / "baseline.json").read_text(encoding="utf-8"))
    values |= load_file(directory / "arrays.safetensors")
    values["feature_names"] = tuple(values["feature_names"])
    values["class_names"] = tuple(values["class_names"])
    return Baseline(**{field.name: values[field.name] for field in fields(Baseline)})
