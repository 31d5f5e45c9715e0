"""The walk that shows a person where a datum goes wrong: the same verdict as the decoder's, and where it was found."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

import pytest
from hypothesis import given

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.avro.reading import Fault
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.avro.walk import MAX_ITEMS, Value, Walk, walk
from tests.adapters import strict_avro
from tests.adapters.avro_cases import EVENT, array, encode, event, nullable, record, varint
from tests.adapters.avro_random import Data, damaged, random_case
from tests.adapters.test_avro_random import randoms, relaxed
from tests.adapters.test_avro_strict import RULES

DECODER = AvroDecoder([EVENT], "raw")
NAMES = [field["name"] for field in EVENT["fields"]]


def walked(schema: Any, data: bytes) -> Walk:
    return walk(load_schema(json.dumps(schema)).type, data)


def fault_of(schema: Any, data: bytes) -> Fault:
    fault = walked(schema, data).fault
    assert fault is not None
    return fault


def verdict(schema: Any, data: bytes) -> str:
    fault = walked(schema, data).fault
    return "OK" if fault is None else fault.code.name


@pytest.mark.parametrize(("type_", "data", "code"), [(r[1], r[3], r[4]) for r in RULES], ids=[r[0] for r in RULES])
def test_rule(type_: Any, data: bytes, code: str) -> None:
    """Every rule that makes a datum bad."""
    assert verdict(record({"x": type_}), data) == code


@relaxed
@given(randoms)
def test_damaged_data_get_the_verdict_of_the_strict_reference(random: Random) -> None:
    schema = random_case(random).schema
    writer = Data(schema, random)
    for _ in range(3):
        datum = damaged(writer.datum(), random)
        assert verdict(schema, datum) == strict_avro.verdict(schema, datum)


@relaxed
@given(randoms)
def test_field_and_byte_are_those_of_the_decoder(random: Random) -> None:
    """And every value before the fault is there, byte for byte without a gap."""
    datum = damaged(encode(EVENT, event(random.randint(0, 99))), random) or b"\x80"  # nothing at all is FRAMING
    found, failure = walked(EVENT, datum), DECODER.explain(datum)
    end = 0
    for value in found.values:
        if "[" not in value.path:
            assert value.start == end
            end = value.end
    if found.fault is None:
        assert [value.path for value in found.values] == NAMES
        assert end == len(datum)
        assert failure.code.name in {"OK", "RANGE", "MISSING"}  # the decoder knows which values no event may have
    elif failure.field not in {"model_id", "model_version", "lane"} or found.fault.path == failure.field:
        path = found.fault.path and re.sub(r"\[\d+\]", "[]", found.fault.path)
        assert (found.fault.code, path, found.fault.start) == failure
        assert found.fault.start <= found.fault.position <= len(datum)


def test_a_block_of_numbers_that_ends_elsewhere_is_found_where_the_decoder_finds_it() -> None:
    """An array of numbers is read as one: the fault lies where its first block begins, not where it shows."""
    good = encode(EVENT, event(0))
    [probs] = [value for value in walked(EVENT, good).values if value.path == "probs"]
    block = varint(-1) + varint(5) + bytes(5)  # one float, and a byte that belongs to nothing
    datum = good[: probs.start] + block + b"\0" + good[probs.end :]
    fault = walked(EVENT, datum).fault
    assert fault is not None
    assert (fault.code, fault.path, fault.start) == DECODER.explain(datum)
    assert (fault.start, fault.position) == (probs.start, probs.start + 6)


@pytest.mark.parametrize(
    ("type_", "data", "expected", "found"),
    [
        ("float", b"\x00\x00", "4 bytes of a float", "2 bytes, then the end of the record"),
        ("boolean", b"\x07", "a boolean: 0 or 1", "7"),
        ("int", varint(2**40), "an int: -2,147,483,648 to 2,147,483,647", "1,099,511,627,776"),
        (nullable("int"), varint(-1), "the branch of the union: one of 0 (null), 1 (int)", "-1"),
        ("string", varint(-5), "the length of a string: 0 or more", "-5"),
        (array("float"), varint(2**62), "4,611,686,018,427,387,904 items of 4 bytes or more", "the end of the record"),
        ("null", b"abc", "the end of the record", "3 more bytes"),
        (array("int"), varint(-1) + varint(2) + b"\x02\x00", "the end of a block at byte 4", "byte 3"),
    ],
)
def test_what_was_expected_and_what_is_there(type_: Any, data: bytes, expected: str, found: str) -> None:
    fault = fault_of(record({"x": type_}), data)
    assert (fault.expected, fault.found) == (expected, found)


def test_the_byte_that_is_no_text_is_named() -> None:
    """Not only the string that it is in."""
    fault = fault_of(record({"x": "string"}), b"\x08ab\xffd")
    assert (fault.code.name, fault.start, fault.position) == ("ENCODING", 0, 3)
    assert fault.found.startswith("byte 0xff")


def test_values_are_safe_to_look_at_and_short() -> None:
    """Whoever wrote the record does not write on our terminal."""
    values = event(model_id="<b>\x1b[2J" + "x" * 10_000, ts=1_769_860_800_123_456, features=[0.5] * 5_000)
    texts = {value.path: value.text for value in walked(EVENT, encode(EVENT, values)).values}
    assert texts["model_id"].startswith('"\\x3cb\\x3e\\x1b[2Jxxx')
    assert texts["model_id"].endswith('…(10,007 characters)"')
    assert texts["ts"] == "1769860800123456 (2026-01-31T12:00:00.123456Z)"
    assert texts["features"] == f"[{', '.join(['0.5'] * MAX_ITEMS)}, …] (5,000 items)"


def test_times_beyond_every_calendar_are_numbers() -> None:
    (value,) = walked(record({"ts": EVENT["fields"][0]["type"]}), varint(2**62)).values
    assert value.text == f"{2**62} (beyond the year 9999)"


def test_of_a_long_array_of_records_the_first_are_shown() -> None:
    """The rest is read all the same, and a fault in it is found."""
    schema = record({"rows": array(record({"a": "int", "b": array("int")}, "Row"))})
    rows = [{"a": number, "b": [number]} for number in range(5_000)]
    good = encode(schema, {"rows": rows})
    found = walked(schema, good)
    assert found.fault is None
    assert len(found.values) == 1 + 2 * MAX_ITEMS
    assert found.values[0] == Value("rows", "an array of record", 0, len(good), "5,000 items, the first 8 shown")
    assert [value.path for value in found.values[1:4]] == ["rows[0].a", "rows[0].b", "rows[1].a"]
    assert fault_of(schema, good[:-2]).path == "rows[4999].b"
