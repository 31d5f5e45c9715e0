"""Several writers' schemas in one topic: framings that name them, fields that some lack, defaults."""

from __future__ import annotations

import struct
import tracemalloc
from random import Random
from typing import Any

import pytest

from streammon.adapters.avro.columns import EVENT_COLUMNS, Constant
from streammon.adapters.avro.decoder import AvroDecoder, Failure
from streammon.adapters.avro.kernel import decode as kernel
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.avro.wants import FieldMapping
from streammon.core.errors import Code, UsageError
from tests.adapters.avro_cases import EVENT, batch, encode, event, expected_row, nullable, record, same
from tests.adapters.test_avro_decoder import codes, python_rows

FIELDS: dict[str, Any] = {field["name"]: field["type"] for field in EVENT["fields"]}
OPTIONAL = [name for name in FIELDS if name not in ("ts", "model_id")]


def version(random: Random) -> dict[str, Any]:
    """The canonical schema with some fields left out, in any order, with a field that nobody knows."""
    names = ["ts", "model_id", *(name for name in OPTIONAL if random.random() < 0.7)]
    random.shuffle(names)
    extra = {f"x{random.randint(0, 9)}": random.choice(["string", "double", nullable("int")])}
    return record({name: FIELDS[name] for name in names} | extra, f"V{random.randint(0, 99)}")


def written(schema: Any, value: dict[str, Any]) -> dict[str, Any]:
    """What a writer of that schema has of a value."""
    given_ = {"string": "y", "double": 0.5}
    return {
        field["name"]: value[field["name"]] if field["name"] in value else given_.get(str(field["type"]), 7)
        for field in schema["fields"]
    }


def confluent(number: int, datum: bytes) -> bytes:
    return b"\0" + struct.pack(">I", number) + datum


def single_object(schema: Any, datum: bytes) -> bytes:
    return b"\xc3\x01" + struct.pack("<Q", load_schema(schema).fingerprint) + datum


def lacking(value: dict[str, Any]) -> dict[str, Any]:
    """The value with every canonical field: null where it has none."""
    return {name: value.get(name) for name in FIELDS}


@pytest.mark.parametrize("framing", ["confluent", "single_object"])
@pytest.mark.parametrize("count", [1, 2, 300])
def test_many_versions_interleaved(framing: str, count: int) -> None:
    """Each row by the schema that it names, whatever stands before it."""
    random = Random(count)
    versions = {random.randrange(2**32): version(random) for _ in range(count)}
    schemas: Any = {str(number): schema for number, schema in versions.items()}
    decoder = AvroDecoder(schemas if framing == "confluent" else list(versions.values()), framing)
    values, expected = [], []
    for row in range(1000):
        number, schema = random.choice(list(versions.items()))
        value = written(schema, event(row % 50))
        datum = encode(schema, value)
        values.append(confluent(number, datum) if framing == "confluent" else single_object(schema, datum))
        expected.append(expected_row(EVENT_COLUMNS, lacking(value)))
    for (code, found), wanted in zip(python_rows(decoder.decode(batch(values))), expected, strict=True):
        assert code == Code.OK
        assert same(found, wanted)


def test_a_schema_that_appears_later_costs_its_rows_only() -> None:
    """Its program is there from the start: its first rows allocate what other rows do, and compile nothing."""
    random = Random(5)
    versions = {str(number): version(random) for number in range(1, 40)}
    decoder = AvroDecoder(versions, "confluent")

    def rows(number: int) -> list[bytes]:
        return [confluent(number, encode(versions[str(number)], written(versions[str(number)], event(1))))] * 500

    def allocated(values: list[bytes]) -> int:
        records = batch([*values])
        tracemalloc.start()
        decoded = decoder.decode(records)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not decoded.code.any()
        return peak

    allocated(rows(1) + rows(1))
    same_schema, signatures, words = allocated(rows(1) + rows(1)), len(kernel.signatures), decoder._columns._words
    for number in (2, 17, 39):
        sizes = len(rows(number)[0]) / len(rows(1)[0])
        assert allocated(rows(1) + rows(number)) < 1.1 * max(1, sizes) * same_schema
    assert len(kernel.signatures) == signatures
    assert decoder._columns._words is words


# Confluent framing

DATUM = encode(EVENT, event(0))
CONFLUENT = AvroDecoder({"7": EVENT, "4294967295": EVENT, "258": EVENT}, "confluent")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (confluent(7, DATUM), "OK"),
        (confluent(258, DATUM), "OK"),
        (confluent(2**32 - 1, DATUM), "OK"),
        (confluent(0, DATUM), "SCHEMA"),
        (confluent(8, DATUM), "SCHEMA"),
        (confluent(2**31, DATUM), "SCHEMA"),
        (b"\0\x07\0\0\0" + DATUM, "SCHEMA"),  # little-endian
        (b"", "FRAMING"),
        (b"\0\0\0\0\x07", "FRAMING"),
        (confluent(7, DATUM[:1]), "TRUNCATED"),
        (confluent(7, DATUM + b"\0"), "TRAILING"),
        (b"\x01" + confluent(7, DATUM)[1:], "FRAMING"),
        (b'{"ts": 1700000000000000}', "FRAMING"),
        (b"hello", "FRAMING"),
        (single_object(EVENT, DATUM), "FRAMING"),
        (None, "TOMBSTONE"),
    ],
)
def test_confluent_framing(value: bytes | None, code: str) -> None:
    good = confluent(258, DATUM)
    assert codes(CONFLUENT, [good, value, good]) == ["OK", code, "OK"]


def test_explain_counts_from_the_record() -> None:
    assert CONFLUENT.explain(confluent(7, DATUM[:8] + b"\x01")) == Failure(Code.RANGE, "req_id", 13)
    assert CONFLUENT.explain(confluent(9, DATUM)) == Failure(Code.SCHEMA, None, 0)
    assert CONFLUENT.writer(confluent(258, DATUM))[1] == 5


@pytest.mark.parametrize(
    ("schemas", "framing", "why"),
    [
        ([EVENT], "confluent", "framing confluent needs a mapping of the registry's ids to schemas"),
        ({"7": EVENT}, "raw", "framing raw needs a list of schemas"),
        ({"7": EVENT}, "single_object", "framing single_object needs a list of schemas"),
        ({}, "confluent", "framing confluent needs a schema"),
        ({"x": EVENT}, "confluent", "schema id 'x': a registry's ids are whole numbers of 32 bits"),
        ({"07": EVENT}, "confluent", "schema id '07'"),
        ({"4294967296": EVENT}, "confluent", "schema id '4294967296'"),
        ({"7": EVENT, "8": '"nope"'}, "confluent", "schema 8: not a valid Avro schema"),
    ],
)
def test_refused(schemas: Any, framing: str, why: str) -> None:
    with pytest.raises(UsageError) as refusal:
        AvroDecoder(schemas, framing)
    assert why in str(refusal.value)


# Paths that some schemas lack

OLD = record({"ts": "long", "model_id": "string", "age": "int"}, "Old")
NEW = record({"ts": "long", "model_id": "string", "person": record({"age": "int"}, "P"), "size": "int"}, "New")


def two(mapping: FieldMapping, defaults: dict[str, Constant] | None = None) -> list[dict[str, Any]]:
    """A record of OLD and one of NEW."""
    decoder = AvroDecoder([OLD, NEW], mapping=mapping, defaults=defaults)
    old = {"ts": 1, "model_id": "m", "age": 30}
    new = {"ts": 2, "model_id": "m", "person": {"age": 40}, "size": 5}
    values = [single_object(OLD, encode(OLD, old)), single_object(NEW, encode(NEW, new))]
    rows = python_rows(decoder.decode(batch(values)))
    assert [code for code, _ in rows] == [Code.OK, Code.OK]
    return [row for _, row in rows]


def test_a_path_that_one_schema_has_is_null_where_another_lacks_it() -> None:
    rows = two({"score": "person.age", "http_status": "age", "features": ["age", "person.age", "size"]})
    assert str([row["score"] for row in rows]) == "[nan, 40.0]"
    assert [row["http_status"] for row in rows] == [30, 0]
    assert str([row["features"] for row in rows]) == "[[30.0, nan, nan], [nan, 40.0, 5.0]]"


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        (
            {"score": "agee"},
            r"field score: 'agee' of schema \w+ does not exist; map it elsewhere \(1 other",
        ),
        ({"features": ["age", "person.hight"]}, "field features: 'person.hight' of schema New does not exist"),
    ],
)
def test_a_path_that_no_schema_has_is_refused(mapping: FieldMapping, why: str) -> None:
    """Where it leads furthest."""
    with pytest.raises(UsageError, match=why):
        two(mapping)


def test_a_path_to_another_type_is_refused_whoever_else_has_it() -> None:
    with pytest.raises(UsageError, match="field lane: 'person' of schema New is record, not a string"):
        two({"lane": "person"})
