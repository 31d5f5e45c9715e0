"""Records whose bytes are no event. One test for each row of the matrix, named after it."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest

from tests.adapters.avro_cases import encode, nullable, record, varint
from tests.bad_input.line import EVENT_FIELDS, GOOD, START, Line, decoder, event, frame, parts, stream_of, tampered
from tests.oracle import files

GOOD_VALUE = files.encode(event(ts=START))
FRAME = files.MARKER + files.FINGERPRINT
Bad = tuple[bytes, str, str | None]


def oracle_says(bad: list[Bad]) -> None:
    """The matrix' codes are those of an oracle that shares nothing with the decoder."""
    for value, code, _ in bad:
        with pytest.raises(files.BadRecord) as refusal:
            files.check_series(files.decode(value))
        assert refusal.value.code == code, value


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (b"", "the record is empty"),
        (b"\xc3\x01", "too short"),
        (GOOD_VALUE[:5], "too short"),
        (b"\xc3\x02" + GOOD_VALUE[2:], "another framing"),
        (b"\x00\x00\x00\x00\x07" + GOOD_VALUE[10:], "framing confluent"),
        (json.dumps({"ts": START, "model_id": "fraud"}).encode(), "JSON text"),
        (b' [{"ts": 1}]', "JSON text"),
    ],
)
def test_empty_value_too_short_wrong_magic_json_text(line: Line, value: bytes, hint: str) -> None:
    """FRAMING, before anything is decoded; the message says what it looks like."""
    bad: list[Bad] = [(value, "FRAMING", None)]
    oracle_says(bad)
    (letter,) = line.check(bad)
    assert hint in letter.said["message"]


def test_truncated_body(line: Line) -> None:
    """Cut anywhere: TRUNCATED, in the field that the cut went through."""
    pieces, at = parts(ts=START), len(FRAME)
    bad: list[Bad] = []
    for name in EVENT_FIELDS:
        at += len(pieces[name])
        bad.append((GOOD_VALUE[: at - 1], "TRUNCATED", name))
    oracle_says(bad)
    line.check(bad)


def test_trailing_bytes_after_the_datum(line: Line) -> None:
    """However few: TRAILING. They belong to no field."""
    bad: list[Bad] = [(GOOD_VALUE + more, "TRAILING", None) for more in (b"\x00", b"\n", GOOD_VALUE)]
    oracle_says(bad)
    letters = line.check(bad)
    assert all(f"(byte {len(GOOD_VALUE)})" in letter.said["message"] for letter in letters)


def test_union_index_out_of_range_or_negative_boolean_7_an_int_of_2_40(line: Line) -> None:
    """RANGE, in the field; fastavro alone would take them."""
    bad: list[Bad] = [
        (tampered(data_hash=varint(2)), "RANGE", "data_hash"),
        (tampered(data_hash=varint(-1)), "RANGE", "data_hash"),
        (tampered(embedding=varint(2**40)), "RANGE", "embedding"),
        (tampered(timed_out=b"\x07"), "RANGE", "timed_out"),
        (tampered(http_status=varint(1) + varint(2**40)), "RANGE", "http_status"),
        (tampered(http_status=varint(1) + varint(-(2**31) - 1)), "RANGE", "http_status"),
        (tampered(ts=b"\xff" * 10 + b"\x01"), "RANGE", "ts"),
        (tampered(req_id=varint(-1)), "RANGE", "req_id"),
    ]
    oracle_says(bad)
    line.check(bad)


def test_enum_out_of_range(line: Line) -> None:
    """-1 and one too many: RANGE. fastavro counts -1 from the end."""
    fields: dict[str, Any] = {"ts": "long", "model_id": "string", "model_version": "string"}
    schema = record(fields | {"lane": {"type": "enum", "name": "Lane", "symbols": ["prod", "canary"]}})
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema))
    good = encode(schema, {"ts": START, "model_id": "fraud", "model_version": "1", "lane": "prod"})
    framed = frame(schema)
    bad: list[Bad] = [(framed + good[:-1] + varint(index), "RANGE", "lane") for index in (-1, 2, 2**40)]
    line.check(bad, input={"schemas": [str(path), str(line.canonical)]})


@pytest.mark.parametrize("field", ["model_id", "req_id", "lane"])
def test_string_that_is_not_utf_8(line: Line, field: str) -> None:
    """ENCODING; nothing is replaced, least of all in a key, where two models would become one."""
    bad: list[Bad] = [
        (tampered(**{field: varint(len(text)) + text}), "ENCODING", field)
        for text in (b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80", b"\xc0\xaf")
    ]
    oracle_says(bad)
    line.check(bad)


def test_array_count_negative_or_2_62(line: Line) -> None:
    """Bounded by the bytes that are there, before room is made."""
    ones = struct.pack("<4f", *[1.0] * 4)
    bad: list[Bad] = [
        (tampered(features=varint(2**62) + ones), "TRUNCATED", "features"),
        (tampered(features=varint(2**63 - 1) + ones + b"\x00"), "TRUNCATED", "features"),
        (tampered(features=varint(-(2**63)) + varint(16) + ones + b"\x00"), "RANGE", "features"),
        (tampered(features=varint(-4) + varint(15) + ones + b"\x00"), "RANGE", "features"),
        (tampered(features=varint(-4) + varint(-16) + ones + b"\x00"), "RANGE", "features"),
        (tampered(categories=varint(2**62) + varint(0)), "TRUNCATED", "categories"),
        (tampered(categories=varint(-(2**63)) + varint(1) + b"\x00\x00", embedding=b"\x00"), "RANGE", "categories"),
        (tampered(gauges=varint(1) + varint(2**62)), "TRUNCATED", "gauges"),
    ]
    line.check(bad)


def test_negative_count_with_its_size_is_avro(line: Line) -> None:
    """A writer may give a block's size; then the count is negative, and the record is good."""
    ones = struct.pack("<4f", *GOOD["features"])
    value = tampered(features=varint(-4) + varint(16) + ones + b"\x00", ts=parts(ts=START)["ts"])
    outcome = line.run(stream_of(value))
    assert (outcome.summary["events"], outcome.letters) == (1, [])


def test_unknown_schema_id(line: Line) -> None:
    """SCHEMA at once: the settings name all schemas, so waiting would not help."""
    bad: list[Bad] = [(files.MARKER + bytes(8) + GOOD_VALUE[10:], "SCHEMA", None)]
    oracle_says(bad)
    (letter,) = line.check(bad)
    assert letter.said["schema_id"] == "00" * 8


def test_confluent_framing(line: Line) -> None:
    """FRAMING where no datum can be: < 6 bytes, another magic, JSON text. SCHEMA at once for an id nobody named."""
    datum = GOOD_VALUE[len(FRAME) :]
    magic = b"\x00"
    values = {
        magic + (7).to_bytes(4, "big") + datum: "OK",
        magic + (2**31 + 7).to_bytes(4, "big") + datum: "OK",
        magic + (8).to_bytes(4, "big") + datum: "SCHEMA",
        magic + (7).to_bytes(4, "little") + datum: "SCHEMA",
        magic + (7).to_bytes(4, "big"): "FRAMING",
        b"\x01" + (7).to_bytes(4, "big") + datum: "FRAMING",
        GOOD_VALUE: "FRAMING",
        b"{}": "FRAMING",
        magic + (7).to_bytes(4, "big") + datum[:-1]: "TRUNCATED",
    }
    schemas = {"7": str(line.canonical), str(2**31 + 7): str(line.canonical)}
    settings = {"framing": "confluent", "schemas": schemas}
    outcome = line.run(stream_of(*values), input=settings)
    assert outcome.summary["events"] == 2
    bad = {value: code for value, code in values.items() if code != "OK"}
    assert [(letter.value, letter.said["code"]) for letter in outcome.letters] == list(bad.items())
    assert [letter.said["schema_id"] for letter in outcome.letters[:2]] == ["8", str(7 << 24)]
    alone = decoder(line.configure(input=settings))
    assert [alone(value) for value in values] == list(values.values())
    messages = [letter.said["message"] for letter in outcome.letters]
    assert "too short" in messages[2]
    assert "framing single_object" in messages[4]
    assert "JSON text" in messages[5]


def test_raw_records_have_no_schema_id(line: Line) -> None:
    """Whatever their first bytes look like."""
    settings = {"framing": "raw"}
    value = b"\x00\x00\x00\x00\x07\x01"
    (letter,) = line.run(stream_of(value), input=settings).letters
    assert "schema_id" not in letter.said


def test_null_where_every_event_needs_a_value(line: Line) -> None:
    """MISSING, with the field of the writer's schema that the null is in."""
    schema = record({"when": nullable("long"), "model": nullable("string"), "v": "string", "lane": "string"})
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema))
    framed = frame(schema)
    rows = ({"when": None, "model": "fraud"}, {"when": START, "model": None})
    values = [framed + encode(schema, {"v": "1", "lane": "prod"} | row) for row in rows]
    mapping = {"ts": "when", "model_id": "model", "model_version": "v"}
    good = framed + encode(schema, {"when": START, "model": "fraud", "v": "1", "lane": "prod"})
    outcome = line.run(stream_of(good, *values), input={"schemas": str(path), "mapping": mapping})
    assert outcome.summary["dead_letters"] == {"MISSING": 2}
    assert [letter.said["field"] for letter in outcome.letters] == ["when", "model"]


def test_oversized_record(line: Line) -> None:
    """Its own cap, before decoding. The dead letter is cut, and has hash, size and position of the whole."""
    value = files.encode(event(req_id="x" * 2_000_000))
    (letter,) = line.run(stream_of(value)).letters
    assert letter.said["code"] == "OVERSIZED"
    assert letter.value == value[: 256 * 1024]
    assert letter.said["bytes"] == str(len(value))
    line.check([(GOOD_VALUE + bytes(200), "OVERSIZED", None)], input={"max_record_bytes": 200})
