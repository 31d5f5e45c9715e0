"""Material for the tests of the Avro decoder: schemas, data, batches, random schemas."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import fastavro
import numpy as np
from hypothesis import strategies as st

from streammon.adapters.avro_blocks import ColumnDecoder
from streammon.adapters.avro_columns import ColumnSet
from streammon.adapters.avro_ops import Columns
from streammon.adapters.avro_schema import load_schema
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
REQUIRED, RESERVED = ("ts", "model_id"), ("model_id", "model_version", "lane")


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


def decode_columns(schema: Any, columns: ColumnSet, values: Sequence[bytes]) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the codes and, as Python values by column, the rows of data of one schema; every column is a path."""
    paths = [*columns.ints, *columns.floats, *columns.strings, *columns.lists, *columns.string_lists]
    decoder = ColumnDecoder([load_schema(schema)], columns, {path: path for path in paths})
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


def expected_row(columns: ColumnSet, value: Any) -> dict[str, Any]:
    """What python_row gives for a datum with this value."""

    def at(path: str) -> Any:
        found = value
        for name in path.split("."):
            found = None if found is None else found[name]
        return found

    def text(found: Any) -> bytes | None:
        return found.encode() if isinstance(found, str) else found

    row: dict[str, Any] = {path: int(at(path) or 0) for path in columns.ints}
    row |= {path: real(at(path)) for path in columns.floats}
    row |= {path: text(at(path)) for path in columns.strings}
    row |= {path: [real(number) for number in at(path) or ()] for path in columns.lists}
    row |= {path: [text(item) or b"" for item in at(path) or ()] for path in columns.string_lists}
    return row


def real(number: Any) -> float:
    return math.nan if number is None else float(number)


def same(one: Any, other: Any) -> bool:
    """Equality in which NaN equals NaN and -0.0 is not 0.0."""
    return repr(one) == repr(other)


# Random schemas. A case is a schema, what its values can be, and which column it can fill.

NUMBERS: list[tuple[Any, st.SearchStrategy[Any]]] = [
    ("int", st.integers(-(2**31), 2**31 - 1)),
    ("long", st.integers(-(2**63), 2**63 - 1)),
    ("float", st.floats(width=32)),
    ("double", st.floats()),
]
FITS = {"int": "ints", "long": "ints", "boolean": "flags", "float": "floats", "double": "floats"}


class Schemas:
    """Draws schemas with values; collects which columns could be filled from where."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.names = 0
        self.paths: dict[str, list[str]] = {}

    def name(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def fits(self, kind: str | None, path: str | None) -> None:
        if kind and path and self.draw(st.booleans()):
            self.paths.setdefault(kind, []).append(path)

    def record(self, depth: int, path: str | None) -> tuple[Any, st.SearchStrategy[Any]]:
        """path: where columns find it; None where they cannot."""
        fields, values = {}, {}
        for _ in range(self.draw(st.integers(1, 4))):
            name = self.name()
            below = None if path is None else f"{path}.{name}".lstrip(".")
            fields[name], values[name] = self.any(depth, below)
        return record(fields, self.name()), st.fixed_dictionaries(values)

    def scalar(self) -> tuple[Any, st.SearchStrategy[Any], str]:
        """(schema, values, kind of column)."""
        match self.draw(st.integers(0, 7)):
            case 0:
                return "string", st.text(max_size=20), "strings"
            case 1:
                return "boolean", st.booleans(), "flags"
            case 2:
                return "bytes", st.binary(max_size=20), "binary"
            case 3:
                symbols = ["A", "long_symbol", "b2"][: self.draw(st.integers(1, 3))]
                return {"type": "enum", "name": self.name(), "symbols": symbols}, st.sampled_from(symbols), "strings"
            case choice:
                type_, values = NUMBERS[choice - 4]
                return type_, values, FITS[type_]

    def any(self, depth: int, path: str | None, in_union: bool = False) -> tuple[Any, st.SearchStrategy[Any]]:
        choice = self.draw(st.integers(0, 8 if depth else 2))
        if choice == 3 and not in_union:
            inner, values = self.any(depth - 1, path, in_union=True)
            branches = ["null", inner] if self.draw(st.booleans()) else [inner, "null"]
            return branches, st.none() | values
        if choice == 4 and not in_union:  # only of numbers: fastavro may choose the branch, the value stays the same
            self.fits("floats", path)
            return ["null", "long", "double"], st.none() | NUMBERS[1][1] | NUMBERS[3][1]
        if choice == 5:
            return self.record(depth - 1, path)
        if choice == 6:
            inner, values = self.any(depth - 1, None)
            return {"type": "map", "values": inner}, st.dictionaries(st.text(max_size=5), values, max_size=3)
        if choice == 7:
            return self.array(depth, path)
        if choice == 8:
            size = self.draw(st.integers(1, 9))
            return {"type": "fixed", "name": self.name(), "size": size}, st.binary(min_size=size, max_size=size)
        type_, values, kind = self.scalar()
        self.fits(kind, path)
        return type_, values

    def array(self, depth: int, path: str | None) -> tuple[Any, st.SearchStrategy[Any]]:
        if self.draw(st.integers(0, 3)) == 0:
            inner, values = self.any(depth - 1, None)
        else:
            inner, values, kind = self.scalar()
            self.fits({"strings": "string_lists", "binary": None}.get(kind, "lists"), path)
            if self.draw(st.booleans()):
                inner, values = ["null", inner], st.none() | values
        return array(inner), st.lists(values, max_size=12)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, ColumnSet, list[Any]]:
    """A random schema, columns from some of its fields, and some values."""
    schemas = Schemas(draw)
    schema, values = schemas.record(3, "")
    paths = {kind: tuple(found) for kind, found in schemas.paths.items()}
    columns = ColumnSet(
        ints=paths.get("ints", ()) + paths.get("flags", ()),
        floats=paths.get("floats", ()),
        strings=paths.get("strings", ()) + paths.get("binary", ()),
        lists=paths.get("lists", ()),
        string_lists=paths.get("string_lists", ()),
        flags=frozenset(paths.get("flags", ())),
        binary=frozenset(paths.get("binary", ())),
    )
    return schema, columns, draw(st.lists(values, min_size=1, max_size=5))
