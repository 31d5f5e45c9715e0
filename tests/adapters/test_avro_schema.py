"""Which schemas are read, and which are refused before anything walks them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.emit import Pools
from streammon.adapters.avro.program import compile_program
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.avro.wants import wanted
from streammon.core.errors import UsageError
from tests.adapters.avro_cases import EVENT, array, nullable, record


def nested(depth: int, inmost: str = "int") -> Any:
    """A type of `depth` levels."""
    type_: Any = inmost
    for _ in range(depth - 1):
        type_ = array(type_)
    return type_


def chain(length: int) -> list[Any]:
    """A union whose records hold each other by name: flat text, deep types."""
    return [record({"x": f"R{i - 1}" if i else "int"}, f"R{i}") for i in range(length)]


def decimal(precision: Any) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": 2}


REFUSED: dict[str, tuple[Any, str]] = {
    "not JSON": ("{", "not a valid Avro schema"),
    "not a type": ({"type": "strnig"}, "not a valid Avro schema"),
    "unknown name": (record({"x": "Other"}), "not a valid Avro schema"),
    "a number": ("17", "not a valid Avro schema"),
    "array without items": ({"type": "array"}, "not a valid Avro schema"),
    "deep JSON": ("[" * 30_000 + "]" * 30_000, "not a valid Avro schema"),
    "too long": (record({"x": "int"}) | {"doc": "x" * 70_000}, "bytes of schema; at most 65536"),
    "recursive": (record({"x": nullable("Thing")}), "Thing contains itself"),
    "recursive by two": (record({"x": record({"y": array("Thing")}, "Other")}), "Thing contains itself"),
    "deep": (nested(65), "nested deeper than 64"),
    "deep JSON that parses": (nested(300), "nested deeper than 64"),
    "deep by names": (chain(200), "nested deeper than 64"),
    "deep by a name used again": ([record({"x": nested(10)}, "Low"), nested(54, "Low")], "nested deeper than 64"),
    "array of null": (array("null"), "items that take no bytes"),
    "map of null": ({"type": "map", "values": "null"}, "items that take no bytes"),
    "array of empty records": (array(record({})), "items that take no bytes"),
    "array of records of null": (array(record({"x": "null", "y": record({}, "E")})), "items that take no bytes"),
    "array of fixed 0": (array({"type": "fixed", "name": "F", "size": 0}), "items that take no bytes"),
    "decimal of 39": (record({"x": decimal(39)}), "more than 38 digits"),
    "decimal of a million": (record({"x": array(decimal(10**6))}), "more than 38 digits"),
    "decimal of text": (record({"x": decimal("9" * 30)}), "more than 38 digits"),
    "fixed of 2^70": ({"type": "fixed", "name": "F", "size": 2**70}, "fixed F"),
    "fixed of -1": ({"type": "fixed", "name": "F", "size": -1}, "fixed F"),
    "empty union": (record({"x": []}), "union"),
    "union in union": (record({"x": ["null", ["int", "string"]]}), "union"),
    "empty enum": ({"type": "enum", "name": "E", "symbols": []}, "no symbols"),
    "field twice": (
        {"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}] * 2},
        "names a field twice",
    ),
    "fastavro's mark": (record({"x": "int"}) | {"__fastavro_parsed__": True}, "begin with __"),
}


@pytest.mark.parametrize(("schema", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_in_one_clear_line(schema: Any, why: str) -> None:
    started = time.monotonic()
    with pytest.raises(UsageError) as refusal:
        load_schema(schema, "schema 3")
    message = str(refusal.value)
    assert message.startswith("schema 3: ")
    assert why in message
    assert "\n" not in message
    assert time.monotonic() - started < 5


def test_the_limits_themselves_are_allowed() -> None:
    assert load_schema(nested(64)).type.height == 64
    assert load_schema([record({"x": nested(10)}, "Low"), nested(53, "Low")]).type.height == 64
    load_schema(record({"x": decimal(38)}))
    load_schema(record({"x": "int"}) | {"doc": "x" * 60_000})


def test_names_used_twice_are_not_recursion() -> None:
    pair = record({"a": "int"}, "Pair")
    assert load_schema(record({"x": pair, "y": "Pair", "z": array("Pair")})).type.least == 3


def test_names_that_multiply_are_refused_before_they_fill_memory() -> None:
    """Thirty records, each of which holds the one before it ten times: 10^30 fields, in 20 kB."""
    types: Any = record({"x": "int"}, "R0")
    for level in range(1, 30):
        inner = {f"f{i}": f"R{level - 1}" for i in range(1, 10)}
        types = record({"f0": types, **inner}, f"R{level}")
    schema = load_schema(types)
    with pytest.raises(UsageError, match="too large"):
        compile_program(schema, ColumnSet(), wanted(ColumnSet(), None), {}, Pools())


@pytest.mark.parametrize(
    ("schema", "fingerprint"),
    [
        ('"null"', 0x63DD24E7CC258F8A),
        ('"int"', 0x7275D51A3F395C8F),
        ('"string"', 0x8F014872634503C7),
        ('{"type": "fixed", "name": "foo", "size": 15}', 0x18602EC3ED31A504),
        ('{"type": "record", "name": "foo", "fields": [{"name": "f1", "type": "boolean"}]}', 0x6CD8EAF1C968A33B),
    ],
)
def test_fingerprints_of_the_avro_specification(schema: str, fingerprint: int) -> None:
    """Values of Avro's own share/test/data/schema-tests.txt."""
    assert load_schema(schema).fingerprint == fingerprint


def test_text_and_objects_are_the_same_schema() -> None:
    """And documentation, which is not part of the canonical form, does not change it."""
    documented = EVENT | {"doc": "Something"}
    assert load_schema(json.dumps(EVENT)).fingerprint == load_schema(documented).fingerprint
