"""Mapping: which fields of a writer's schema fill which columns, and which mappings are refused."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.avro.wants import FieldMapping
from streammon.core import events
from streammon.core.errors import Code, UsageError
from streammon.core.events import EventBatch
from tests.adapters.avro_cases import array, batch, encode, nullable, record, timestamp, varint

KEYS: dict[str, Any] = {"ts": timestamp("micros"), "model_id": "string"}
GIVEN = {"ts": 5, "model_id": "m"}
PERSON = record({"age": "int", "income": nullable("double"), "member": "boolean"}, "Person")
ENUM = {"type": "enum", "name": "Lane", "symbols": ["prod", "canary"]}


def decode(fields: dict[str, Any], *values: dict[str, Any], mapping: FieldMapping | None = None) -> EventBatch:
    """Events of a schema with the keys and `fields`; all must be good."""
    schema = record(KEYS | fields)
    decoded = AvroDecoder([schema], "raw", mapping).decode(batch([encode(schema, GIVEN | value) for value in values]))
    assert set(decoded.code.tolist()) == {Code.OK}
    return decoded


def numbers(events_: EventBatch, column: int) -> list[list[float]]:
    return [events_.numbers(row, column).tolist() for row in range(len(events_))]


def test_fields_of_the_same_name_fill_columns_and_others_are_skipped() -> None:
    decoded = decode({"other": "string", "score": "float"}, {"other": "x", "score": 0.5})
    assert decoded.ints[0].tolist() == [5, 0, 0]
    assert decoded.floats[0, events.SCORE] == 0.5
    assert decoded.text(0, events.MODEL_ID) == "m"


def test_columns_that_the_schema_lacks_are_null() -> None:
    decoded = decode({}, {})
    assert math.isnan(decoded.floats[0, events.SCORE])
    assert decoded.text(0, events.LANE) is None
    assert numbers(decoded, events.FEATURES) == [[]]
    assert decoded.string_list_length[0, 0] == 0


def test_mapping_to_none_leaves_a_column_null() -> None:
    """Also where the schema has a field of that name which would not fit."""
    decoded = decode({"score": "string"}, {"score": "high"}, mapping={"score": None})
    assert math.isnan(decoded.floats[0, events.SCORE])


def test_paths_lead_through_records_and_null_above_makes_null_below() -> None:
    inner = nullable(record({"model": record({"lane": "string"}, "Model")}, "Meta"))
    values = {"meta": {"model": {"lane": "canary"}}}, {"meta": None}
    decoded = decode({"meta": inner}, *values, mapping={"lane": "meta.model.lane"})
    assert [decoded.text(row, events.LANE) for row in range(2)] == ["canary", None]


def test_features_gathered_from_single_fields() -> None:
    """Every row has as many values as there are paths, in their order; null is NaN, also where the record is null."""
    paths = ["person.income", "age", "person.age", "person.member"]
    person = {"age": 40, "income": None, "member": True}
    decoded = decode(
        {"age": "long", "person": nullable(PERSON)},
        {"age": 7, "person": person},
        {"age": 8, "person": None},
        {"age": 9, "person": person | {"income": 0.5}},
        mapping={"features": paths},
    )
    assert (
        str(numbers(decoded, events.FEATURES)) == "[[nan, 7.0, 40.0, 1.0], [nan, 8.0, nan, nan], [0.5, 9.0, 40.0, 1.0]]"
    )


@pytest.mark.parametrize("items", ["int", "long", "float", "double", "boolean"])
@pytest.mark.parametrize("null", [False, True])
def test_arrays_of_any_number_are_lists(items: str, null: bool) -> None:
    one, nought = (True, False) if items == "boolean" else (1, 0)
    given = [one, None, nought] if null else [one, one, nought]
    decoded = decode({"probs": array(nullable(items) if null else items)}, {"probs": given}, {"probs": []})
    assert str(numbers(decoded, events.PROBS)) == str([[math.nan if x is None else float(x) for x in given], []])


def test_strings_from_string_bytes_and_enum() -> None:
    decoded = decode(
        {"lane": ENUM, "req_id": "bytes"}, {"lane": "canary", "req_id": b"r1"}, {"lane": "prod", "req_id": b""}
    )
    assert [decoded.text(row, events.LANE) for row in range(2)] == ["canary", "prod"]
    assert [decoded.text(row, events.REQ_ID) for row in range(2)] == ["r1", ""]


def test_bytes_as_a_string_must_be_utf8() -> None:
    schema = record(KEYS | {"req_id": "bytes"})
    data = encode(schema, GIVEN | {"req_id": b"\xff"})
    assert AvroDecoder([schema], "raw").decode(batch([data])).code.tolist() == [Code.ENCODING]


def test_categories_from_strings_enums_and_null() -> None:
    """A null category is an empty string, which means missing."""
    decoded = decode({"categories": array(["null", ENUM, "string"])}, {"categories": ["canary", None, "x"]})
    first, buffer = int(decoded.string_list_start[0, 0]), decoded.buffer
    spans = zip(decoded.item_start[first:].tolist(), decoded.item_length[first:].tolist(), strict=True)
    assert [bytes(buffer[start : start + length]) for start, length in spans] == [b"canary", b"", b"x"]


def test_unions_of_several_types_that_all_fit() -> None:
    """Wherever null stands, and also where a path leads through several records."""
    one, two = record({"lane": "string"}, "One"), record({"size": "int", "lane": ENUM}, "Two")
    decoded = decode(
        {"score": ["int", "double", "null"], "meta": ["null", one, two]},
        {"score": 3, "meta": {"lane": "x"}},
        {"score": None, "meta": {"size": 1, "lane": "prod"}},
        mapping={"lane": "meta.lane"},
    )
    assert str(decoded.floats[:, events.SCORE].tolist()) == "[3.0, nan]"
    assert [decoded.text(row, events.LANE) for row in range(2)] == ["x", "prod"]


def test_one_field_can_fill_several_columns() -> None:
    mapping: FieldMapping = {"req_id": "id", "model_version": "id", "score": "n", "features": ["n", "n"]}
    fields = {"id": nullable("string"), "n": nullable("float")}
    decoded = decode(fields, {"id": "a", "n": 0.5}, {"id": None, "n": None}, mapping=mapping)
    assert [decoded.text(row, events.REQ_ID) for row in range(2)] == ["a", None]
    assert [decoded.text(row, events.MODEL_VERSION) for row in range(2)] == ["a", None]
    assert str(decoded.floats[:, events.SCORE].tolist()) == "[0.5, nan]"
    assert str(numbers(decoded, events.FEATURES)) == "[[0.5, 0.5], [nan, nan]]"


@pytest.mark.parametrize(
    "type_, factor", [("long", 1), (timestamp("micros"), 1), (timestamp("millis"), 1000), (nullable("long"), 1)]
)
def test_times_become_microseconds(type_: Any, factor: int) -> None:
    schema = record({"ts": type_, "model_id": "string"})
    data = encode(schema, {"ts": -1_700_000_000_123, "model_id": "m"})
    assert AvroDecoder([schema], "raw").decode(batch([data])).ints[0, events.TS] == -1_700_000_000_123 * factor


def test_milliseconds_beyond_64_bits_of_microseconds_are_out_of_range() -> None:
    schema = record({"ts": timestamp("millis"), "model_id": "string"})
    most = (2**63 - 1) // 1000
    data = [varint(ts) + b"\x02m" for ts in (most, most + 1, -most, -most - 1)]
    decoded = AvroDecoder([schema], "raw").decode(batch(data))
    assert decoded.code.tolist() == [Code.OK, Code.RANGE, Code.OK, Code.RANGE]
    assert decoded.ints[0, events.TS] == most * 1000


REFUSED: dict[str, tuple[dict[str, Any], FieldMapping, str]] = {
    "no such field": ({}, {"score": "confidence"}, "field score: 'confidence' of schema Thing does not exist"),
    "no such field below": ({"p": PERSON}, {"score": "p.height"}, "field score: 'p.height' of schema Thing does not"),
    "path through a number": (
        {"n": "int"},
        {"score": "n.x"},
        "field score: 'n.x' of schema Thing does not exist: n is int",
    ),
    "path through an array": (
        {"n": array(PERSON)},
        {"score": "n.age"},
        "'n.age' of schema Thing does not exist: n is an array of record: write n[0].age; map it elsewhere",
    ),
    "list through an array": (
        {"n": array(PERSON)},
        {"features": ["n.age"]},
        "does not exist: n is an array of record: write n[0].age (or n[].age for every item); map it elsewhere",
    ),
    "every item for one number": (
        {"n": array("int")},
        {"score": "n[]"},
        "'score' takes one value, and 'n[]' is one for every item: write [0] for the first item",
    ),
    "arrays as items": (
        {"n": array(array("int"))},
        {"features": "n[]"},
        "'n[]' of schema Thing is an array of int, not a number: write n[][]",
    ),
    "items of a number": ({"n": "int"}, {"features": "n[]"}, "'n' of schema Thing is int, not an array of numbers"),
    "item of a record": ({"p": PERSON}, {"score": "p[0]"}, "'p[0]' of schema Thing does not exist: p is record"),
    "path of which no branch has it": (
        {"n": ["null", PERSON, "string"]},
        {"score": "n.height"},
        "'n.height' of schema Thing does not exist",
    ),
    "list in a map in a list": (
        {"n": array({"type": "map", "values": array("int")})},
        {"features": "n[].k[]"},
        "'n[].k' of schema Thing is a list in a map in a list",
    ),
    "string as a number": ({"n": "string"}, {"score": "n"}, "'n' of schema Thing is string, not a number"),
    "number as a string": ({"n": "long"}, {"lane": "n"}, "'n' of schema Thing is long, not a string"),
    "float as a whole number": ({"n": "float"}, {"http_status": "n"}, "is float, not a whole number"),
    "boolean as a whole number": ({"n": "boolean"}, {"http_status": "n"}, "is boolean, not int or long"),
    "int as a flag": ({"n": "int"}, {"timed_out": "n"}, "is int, not boolean"),
    "record as a string": ({"p": PERSON}, {"lane": "p"}, "is record, not a string"),
    "no branch fits": (
        {"n": ["null", "bytes", "string"]},
        {"score": "n"},
        "'n' of schema Thing is bytes, not a number",
    ),
    "array of strings as a list": ({"n": array("string")}, {"features": "n"}, "is string, not a number"),
    "map as a list": (
        {"n": {"type": "map", "values": "float"}},
        {"features": "n"},
        "is map, not an array of numbers: name a key",
    ),
    "number as a list": ({"n": "float"}, {"features": "n"}, "is float, not an array of numbers"),
    "array as one of several": ({"n": array("float")}, {"features": ["n"]}, "is an array of float, not a number"),
    "decimal as a string": (
        {"n": {"type": "bytes", "logicalType": "decimal", "precision": 5}},
        {"lane": "n"},
        "is bytes (decimal), not text",
    ),
    "date as a time": ({"n": {"type": "int", "logicalType": "date"}}, {"ts": "n"}, "is int (date), not a long"),
    "a clock without a zone": (
        {"n": {"type": "long", "logicalType": "local-timestamp-micros"}},
        {"ts": "n"},
        "is long (local-timestamp-micros), a clock without a zone and so no moment: have the producer write",
    ),
    "a duration": (
        {"n": {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}},
        {"score": "n"},
        "is fixed (duration), not a number",
    ),
    "no such column": ({}, {"colour": "ts"}, "there is no field 'colour'"),
    "several paths for one number": ({}, {"score": ["ts", "ts"]}, "'score' takes one path"),
    "no paths": ({}, {"features": []}, "'features' takes one path"),
    "whole and in parts": ({"p": PERSON}, {"lane": "p", "score": "p.age"}, "'p' of schema Thing is record, not a"),
    "no path": ({}, {"score": ""}, "'score' '' is an empty path"),
    "half a path": ({}, {"score": "a..b"}, "'a..b' is not a path: write names with dots between"),
    "an open bracket": ({}, {"score": "a[0"}, "'a[0' is not a path"),
    "a quoted key": ({}, {"score": "a['b']"}, "has quotes around a key: write it without"),
    "an item far away": ({}, {"score": "a[10000]"}, "picks an item beyond the first 10000"),
}


@pytest.mark.parametrize("fields, mapping, why", REFUSED.values(), ids=REFUSED.keys())
def test_refused_mapping(fields: dict[str, Any], mapping: FieldMapping, why: str) -> None:
    with pytest.raises(UsageError) as refusal:
        AvroDecoder([record(KEYS | fields)], "raw", mapping)
    assert why in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_schema_must_be_a_record() -> None:
    with pytest.raises(UsageError, match="string where a record is needed"):
        AvroDecoder(['"string"'], "raw")
