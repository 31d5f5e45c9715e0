"""Material for the tests of the Avro decoder: schemas, data, batches; what they should decode to."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import fastavro
import numpy as np

from streammon.adapters.avro.blocks import ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.ops import Columns
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.avro.wants import FieldMapping
from streammon.core.errors import Code
from streammon.core.ports import Origin, RecordBatch, Run


def nullable(type_: Any) -> list[Any]:
    return ["null", type_]


def record(fields: dict[str, Any], name: str = "Thing") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": type_} for key, type_ in fields.items()]}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def timestamp(unit: str) -> dict[str, Any]:
    return {"type": "long", "logicalType": f"timestamp-{unit}"}


EVENT = record(
    {
        "ts": timestamp("micros"),
        "req_id": "string",
        "model_id": "string",
        "model_version": "string",
        "lane": "string",
        "data_hash": nullable("string"),
        "git_commit": nullable("string"),
        "user_id_hash": nullable("string"),
        "feature_hash": nullable("string"),
        "latency_ms": nullable("double"),
        "http_status": nullable("int"),
        "timed_out": "boolean",
        "score": nullable("double"),
        "prediction": nullable("string"),
        "prediction_value": nullable("double"),
        "weight": nullable("double"),
        "probs": array("float"),
        "features": array("float"),
        "categories": array("string"),
        "embedding": nullable(array("float")),
        "gauges": nullable({"type": "map", "values": "double"}),
    },
    "InferenceEvent",
)
REQUIRED = ("ts", "model_id")
RESERVED = {"model_id": ("*", "__other__"), "model_version": ("*",), "lane": ("*",)}


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    """An event of usual size, whose every number depends on `number`."""
    rng = np.random.default_rng(number)
    return {
        "ts": 1_700_000_000_000_000 + number,
        "req_id": f"{number:032x}",
        "model_id": "fraud-detector",
        "model_version": "2024.11.3",
        "lane": "prod",
        "data_hash": f"{number:064x}",
        "git_commit": f"{number:040x}",
        "user_id_hash": None,
        "feature_hash": f"{number:032x}",
        "latency_ms": 12.5 + number,
        "http_status": 200,
        "timed_out": number % 7 == 0,
        "score": 0.25,
        "prediction": "Zürich",
        "prediction_value": None,
        "weight": None,
        "probs": rng.random(10, np.float32).tolist(),
        "features": rng.random(16, np.float32).tolist(),
        "categories": ["DE", "mobile"],
        "embedding": rng.random(64, np.float32).tolist(),
        "gauges": {"gpu": 0.5, "queue": 3.0},
        **changes,
    }


def encode(schema: Any, value: Any) -> bytes:
    """A datum, as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def varint(value: int) -> bytes:
    raw, out = (value << 1) ^ (value >> 63) if value >= 0 else ~(value << 1), bytearray()
    while raw >= 0x80:
        out.append(raw & 0x7F | 0x80)
        raw >>= 7
    return bytes([*out, raw])


def batch(values: Sequence[bytes | None], gap: bytes = b"\x00") -> RecordBatch:
    """Records with the values, which lie in the buffer with a gap between them."""
    buffer, start, end = bytearray(gap), [], []
    for value in values:
        start.append(len(buffer) if value is not None else -1)
        buffer += value or b""
        end.append(len(buffer) if value is not None else -1)
        buffer += gap
    count = len(values)
    offset = np.arange(count, dtype=np.int64)
    return RecordBatch(
        np.frombuffer(bytes(buffer), np.uint8),
        np.array(start, np.int64),
        np.array(end, np.int64),
        offset,
        offset * 1000,
        (Run(0, 0, count),),
        lambda row: Origin(None, values[row], ()),
    )


def decode_columns(
    schema: Any, columns: ColumnSet, values: Sequence[bytes], mapping: FieldMapping | None = None
) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the codes and, as Python values by column, the rows of data of one schema."""
    decoder = ColumnDecoder([load_schema(schema)], columns, mapping)
    records, code = batch(values), np.zeros(len(values), np.uint8)
    schemas = np.zeros(len(values), np.int64)
    buffer, decoded = decoder.decode_rows(records.buffer, records.start, records.end, schemas, code)
    rows = [python_row(columns, buffer, decoded, row) for row in range(len(values))]
    return [Code(number).name for number in code.tolist()], rows


def python_row(columns: ColumnSet, buffer: np.ndarray[Any, Any], c: Columns, row: int) -> dict[str, Any]:
    """One row as Python values: lists as lists, strings as bytes."""

    def text(start: int, length: int) -> bytes | None:
        return None if length < 0 else bytes(buffer[start : start + length])

    found: dict[str, Any] = dict(zip(columns.ints, c.ints[row].tolist(), strict=True))
    found |= dict(zip(columns.floats, c.floats[row].tolist(), strict=True))
    for column, name in enumerate(columns.strings):
        found[name] = text(int(c.string_start[row, column]), int(c.string_length[row, column]))
    for column, name in enumerate(columns.lists):
        first = int(c.list_start[row, column])
        found[name] = c.values[first : first + int(c.list_length[row, column])].tolist()
    for column, name in enumerate(columns.string_lists):
        first = int(c.items_start[row, column])
        items = range(first, first + int(c.items_length[row, column]))
        found[name] = [text(int(c.item_start[item]), int(c.item_length[item])) for item in items]
    return found


def expected_row(columns: ColumnSet, value: Any, mapping: FieldMapping | None = None) -> dict[str, Any]:
    """What python_row gives for a datum with this value; None: one that is bad.

    Decimals are Decimal. What no column of the kind takes is null, as it is in a union of which another branch fits.
    """

    def at(name: str) -> list[Any]:
        path = (mapping or {}).get(name, name)
        paths = [path] if isinstance(path, str) else path or ()
        one = name in columns.lists or name in columns.string_lists
        return [found for each in paths for found in follow(value, _steps(each, one and isinstance(path, str)))]

    def whole(found: Any, name: str) -> int:
        fits = isinstance(found, bool if name in columns.flags else int)
        return int(found) if fits and isinstance(found, bool) == (name in columns.flags) else 0

    if value is None:
        lists = columns.lists + columns.string_lists
        null: dict[str, Any] = {name: -(2**63) if name in columns.required else 0 for name in columns.ints}
        null |= dict.fromkeys(columns.floats, math.nan)
        return null | dict.fromkeys(columns.strings) | {name: [] for name in lists}
    row: dict[str, Any] = {name: whole(at(name)[0], name) for name in columns.ints}
    row |= {name: real(at(name)[0]) for name in columns.floats}
    row |= {name: _text(at(name)[0]) for name in columns.strings}
    row |= {name: [real(number) for number in at(name)] for name in columns.lists}
    row |= {name: [_text(item) or b"" for item in at(name)] for name in columns.string_lists}
    return row


def follow(value: Any, steps: Sequence[str]) -> list[Any]:
    """What is at the end of a path: one value, None where there is none; with `[]` one for every item."""
    if not steps:
        return [value]
    step, rest = steps[0], steps[1:]
    if step == "[]":
        return [found for item in value for found in follow(item, rest)] if isinstance(value, list) else []
    if step[0] == "[" and step[1:-1].isdecimal() and isinstance(value, list):
        number = int(step[1:-1])
        below = value[number] if number < len(value) else None
    else:
        below = value.get(step.strip("[]")) if isinstance(value, dict) else None
    return [] if below is None and "[]" in rest else follow(below, rest)


def _steps(path: str, is_list: bool) -> list[str]:
    steps = re.findall(r"\[[^\]]*\]|[^.\[\]]+", path)
    return [*steps, "[]"] if is_list and "[]" not in steps else steps


def _text(found: Any) -> bytes | None:
    if isinstance(found, str):
        return found.encode()
    return found if isinstance(found, bytes) else None


def real(number: Any) -> float:
    return float(number) if isinstance(number, int | float | Decimal) else math.nan


def same(one: Any, other: Any) -> bool:
    """Equality in which NaN equals NaN and -0.0 is not 0.0."""
    return repr(one) == repr(other)
