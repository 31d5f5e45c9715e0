"""Schemas that could hurt are refused when they are loaded: one line that names the file and the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.adapters.avro_cases import array, record
from tests.bad_input.line import Line

KEY = {"ts": "long", "model_id": "string", "model_version": "string", "lane": "string"}


def nested(depth: int) -> Any:
    """Records in records."""
    type_: Any = "long"
    for level in range(depth):
        type_ = record({"x": type_}, f"Level{level}")
    return type_


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
NOTHING = record({}, "Nothing")
LONG_NAMES = {f"field_with_a_long_name_{number:05}": "long" for number in range(2_000)}
DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 39, "scale": 2}


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        (record(KEY | {"x": array("null")}), "array of items that take no bytes"),
        (record(KEY | {"x": {"type": "map", "values": "null"}}), "map of items that take no bytes"),
        (record(KEY | {"x": array(NOTHING)}), "array of items that take no bytes"),
        (record(KEY | {"x": array({"type": "fixed", "name": "F", "size": 0})}), "array of items that take no bytes"),
        (record(KEY | {"x": NODE}), "recursive schemas are not read"),
        (record(KEY | {"x": nested(64)}), "nested deeper than 64 types"),
        (record(KEY | LONG_NAMES), "bytes of schema; at most 65536"),
        (record(KEY | {"x": DECIMAL}), "a decimal of more than 38 digits"),
        (record(KEY | {"x": DECIMAL | {"precision": 10**6}}), "a decimal of more than 38 digits"),
        ({"type": "record", "name": "R", "fields": [{"name": "x"}]}, "not a valid Avro schema"),
        ([], "union that is empty"),
    ],
)
def test_schema_that_could_hurt(line: Line, schema: Any, why: str) -> None:
    """Arrays and maps of zero-byte items, recursion, depth > 64, > 64 kB, decimals of more than 38 digits."""
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema))
    said = line.refusal(input={"schemas": str(path)})
    assert why in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("text", ["[" * 30_000, '{"type":"array","items":' * 2_500 + '"int"' + "}" * 2_500, "{"])
def test_schema_text_that_could_hurt(line: Line, text: str) -> None:
    """Brackets in brackets, before anybody knows whether it is a schema; and text that is no JSON."""
    path = line.folder / "own.avsc"
    path.write_text(text)
    said = line.refusal(input={"schemas": str(path)})
    assert str(path) in said
    assert len(said.splitlines()) == 1


def test_limits_are_reached(line: Line) -> None:
    """What is just within them is read."""
    schema = record(KEY | {"x": nested(62), "y": DECIMAL | {"precision": 38}})
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema))
    line.check([], input={"schemas": [str(path), str(line.canonical)]})


def test_schema_file_that_is_no_text(line: Line) -> None:
    path = line.folder / "own.avsc"
    path.write_bytes(b"\xff\xfe\x00")
    assert str(path) in line.refusal(input={"schemas": str(path)})
