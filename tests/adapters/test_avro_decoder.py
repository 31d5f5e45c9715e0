"""Kafka records to events: framing, verdicts, batches; and blocks of datums to columns."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.adapters.avro.columns import EVENT_COLUMNS
from streammon.adapters.avro.decoder import AvroDecoder, Failure
from streammon.adapters.avro.kernel import decode as kernel
from streammon.adapters.avro.schema import load_schema
from streammon.core.errors import Code, UsageError
from streammon.core.events import EventBatch
from streammon.core.ports import RecordBatch
from tests.adapters import strict_avro
from tests.adapters.avro_cases import (
    EVENT,
    REQUIRED,
    RESERVED,
    array,
    batch,
    encode,
    event,
    expected_row,
    nullable,
    python_row,
    record,
    same,
    timestamp,
)

OLD = record({"model_id": "string", "ts": timestamp("millis"), "features": array("double"), "lane": "string"}, "Old")
DATA = [encode(EVENT, event(number)) for number in range(8)]
RAW = AvroDecoder([EVENT], "raw")


def framed(schema: Any, value: dict[str, Any]) -> bytes:
    return b"\xc3\x01" + struct.pack("<Q", load_schema(schema).fingerprint) + encode(schema, value)


def python_rows(decoded: EventBatch) -> list[tuple[int, Any]]:
    """Every row as Python values, with its code."""
    columns = type("Columns", (), {})()
    names = "ints floats string_start string_length list_start list_length values item_start item_length"
    for name in names.split():
        setattr(columns, name, getattr(decoded, name))
    columns.items_start, columns.items_length = decoded.string_list_start, decoded.string_list_length
    rows = range(len(decoded))
    return [(int(decoded.code[row]), python_row(EVENT_COLUMNS, decoded.buffer, columns, row)) for row in rows]


def codes(decoder: AvroDecoder, values: list[bytes | None]) -> list[str]:
    return [Code(code).name for code in decoder.decode(batch(values)).code.tolist()]


def test_events_decode_to_what_was_written() -> None:
    decoded = RAW.decode(batch(DATA))
    for number, (code, row) in enumerate(python_rows(decoded)):
        assert code == Code.OK
        assert same(row, expected_row(EVENT_COLUMNS, event(number)))
    assert decoded.offset.tolist() == list(range(8))
    assert decoded.timestamp.tolist() == [1000 * row for row in range(8)]


def test_an_empty_batch() -> None:
    assert len(RAW.decode(batch([]))) == 0


# Verdicts


def test_tombstones_and_empty_values() -> None:
    assert codes(RAW, [None, b"", DATA[0]]) == ["TOMBSTONE", "FRAMING", "OK"]


def test_oversized_is_told_before_anything_is_read() -> None:
    decoder = AvroDecoder([EVENT], "raw", max_record_bytes=len(DATA[0]))
    longer = b"\xff" * (len(DATA[0]) + 1)
    assert codes(decoder, [longer, DATA[0]]) == ["OVERSIZED", "OK"]


@pytest.mark.parametrize("field", REQUIRED)
def test_keys_that_are_null_or_absent_are_missing(field: str) -> None:
    types: dict[str, Any] = {"ts": "long", "model_id": "string"}
    null = record(types | {field: nullable(types[field])})
    value = {"ts": 1, "model_id": "m"}
    assert codes(AvroDecoder([null], "raw"), [encode(null, value | {field: None}), encode(null, value)]) == [
        "MISSING",
        "OK",
    ]
    absent = record({name: type_ for name, type_ in types.items() if name != field})
    assert codes(AvroDecoder([absent], "raw"), [encode(absent, value)]) == ["MISSING"]


@pytest.mark.parametrize("field", RESERVED)
@pytest.mark.parametrize("text, code", [("*", "RANGE"), ("**", "OK"), ("", "OK"), ("a*", "OK")])
def test_a_lone_star_is_reserved_in_series_keys(field: str, text: str, code: str) -> None:
    assert codes(RAW, [encode(EVENT, event(1, **{field: text})), DATA[0]]) == [code, "OK"]


def test_the_series_of_others_is_reserved_as_a_model() -> None:
    """`__other__` is our own series of what is beyond the limit; in a version or lane it is a name like any other."""
    values = [{field: "__other__"} for field in ("model_id", "model_version", "lane")]
    values += [{"model_id": text} for text in ("__other_", "__other___", "__othex__", "a__other__")]
    assert codes(RAW, [encode(EVENT, event(1, **changed)) for changed in values]) == ["RANGE", *["OK"] * 6]


def test_a_lone_star_is_text_elsewhere() -> None:
    assert codes(RAW, [encode(EVENT, event(1, req_id="*", prediction="*", categories=["*"]))]) == ["OK"]


def test_bytes_behind_the_datum_outrank_a_missing_key() -> None:
    schema = record({"ts": nullable("long"), "model_id": "string"})
    assert codes(AvroDecoder([schema], "raw"), [b"\x00\x02m\x00"]) == ["TRAILING"]


# Framing


def test_single_object_framing() -> None:
    """C3 01 and the schema's fingerprint; schemas may come in any order, and a row knows its own."""
    decoder = AvroDecoder([OLD, EVENT])
    old = {"model_id": "m", "ts": 1_700_000_000_123, "features": [1.5], "lane": "prod"}
    values = [
        framed(EVENT, event(0)),
        framed(OLD, old),
        framed(EVENT, event(1)),
        framed(EVENT, event(2)),
        framed(OLD, old),
    ]
    rows = python_rows(decoder.decode(batch(values)))
    for position, number in ((0, 0), (2, 1), (3, 2)):
        assert same(rows[position][1], expected_row(EVENT_COLUMNS, event(number)))
    for position in (1, 4):
        code, row = rows[position]
        assert (code, row["ts"], row["features"]) == (Code.OK, 1_700_000_000_123_000, [1.5])
        assert row["req_id"] is None


@pytest.mark.parametrize(
    "value, code",
    [
        (b"", "FRAMING"),
        (b"\xc3", "FRAMING"),
        (framed(EVENT, event(0))[:9], "FRAMING"),
        (framed(EVENT, event(0))[:10], "TRUNCATED"),
        (b"\xc3\x02" + framed(EVENT, event(0))[2:], "FRAMING"),
        (b"\xc2\x01" + framed(EVENT, event(0))[2:], "FRAMING"),
        (b'{"ts": 1700000000000000}', "FRAMING"),
        (b"\xc3\x01" + b"\x00" * 8 + DATA[0], "SCHEMA"),
        (framed(OLD, {"model_id": "m", "ts": 1, "features": [], "lane": ""}), "SCHEMA"),
        (framed(EVENT, event(0)) + b"\x00", "TRAILING"),
        (None, "TOMBSTONE"),
    ],
)
def test_framing_verdicts(value: bytes | None, code: str) -> None:
    good = framed(EVENT, event(0))
    assert codes(AvroDecoder([EVENT]), [good, value, good]) == ["OK", code, "OK"]


def test_refused_settings() -> None:
    with pytest.raises(UsageError, match="framings are raw, single_object, confluent"):
        AvroDecoder([EVENT], "json")
    with pytest.raises(UsageError, match="exactly one schema"):
        AvroDecoder([EVENT, OLD], "raw")
    with pytest.raises(UsageError, match="needs a schema"):
        AvroDecoder([])
    with pytest.raises(UsageError, match="max_record_bytes is 0"):
        AvroDecoder([EVENT], max_record_bytes=0)


# Batches


@st.composite
def damaged_events(draw: st.DrawFn) -> list[bytes | None]:
    """Good events, events with some byte changed, cut or longer, tombstones, and empty values."""
    values: list[bytes | None] = []
    for _ in range(draw(st.integers(1, 8))):
        datum = draw(st.sampled_from(DATA))
        at = draw(st.integers(0, len(datum) - 1))
        changed = datum[:at] + bytes([draw(st.integers(0, 255))]) + datum[at + 1 :]
        values.append(draw(st.sampled_from([datum, changed, datum[:at], datum + b"\x00", b"", None])))
    return values


@settings(max_examples=200, deadline=None)
@given(damaged_events(), st.data())
def test_any_split_of_a_batch_decodes_to_the_same_rows(values: list[bytes | None], data: st.DataObject) -> None:
    """And every row is what the strict reference says of its record."""
    records = batch(values)
    whole = python_rows(RAW.decode(records))
    at = data.draw(st.integers(0, len(values)))
    parts: list[tuple[int, Any]] = []
    for cut in (slice(None, at), slice(at, None)):
        part = RecordBatch(
            records.buffer,
            records.start[cut],
            records.end[cut],
            records.offset[cut],
            records.timestamp[cut],
            (),
            records.origin,
        )
        parts += python_rows(RAW.decode(part))
    assert same(whole, parts)
    for value, (code, row) in zip(values, whole, strict=True):
        if value:
            verdict = strict_avro.verdict(EVENT, value, REQUIRED, RESERVED)
            assert Code(code).name == verdict
            if verdict == "OK":
                assert same(row, expected_row(EVENT_COLUMNS, strict_avro.decode(EVENT, value)))


def test_every_cut_and_every_byte_of_an_event() -> None:
    """One small event with all kinds of fields, cut at each length, and with each byte set to each of eight values."""
    short = event(3, features=[1.0, 2.0], probs=[], embedding=[3.0], data_hash="ü", git_commit=None, gauges={"g": 1.0})
    datum = encode(EVENT, short)
    changed = [datum[:cut] for cut in range(1, len(datum))]
    for at in range(len(datum)):
        changed += [datum[:at] + bytes([byte]) + datum[at + 1 :] for byte in (0, 1, 2, 3, 0x2A, 0x7F, 0x80, 0xFF)]
    expected = [strict_avro.verdict(EVENT, value, REQUIRED, RESERVED) for value in changed]
    assert codes(RAW, list(changed)) == expected
    assert len(set(expected)) >= 5


def test_arrays_from_anywhere_compile_once() -> None:
    """Read-only or not, in one piece or not: one compiled kernel, for compiling takes seconds."""
    RAW.decode(batch(DATA))
    records = batch(DATA)
    strided = np.repeat(records.start, 2)[::2]
    writable = records.buffer.copy()
    RAW.decode(
        RecordBatch(writable, strided, records.end, records.offset, records.timestamp, records.runs, records.origin)
    )
    assert len(kernel.signatures) == 1


# Explaining


@pytest.mark.parametrize(
    "value, failure",
    [
        (DATA[0], Failure(Code.OK, None, 0)),
        (b"", Failure(Code.FRAMING, None, 0)),
        (DATA[0] + b"\x00", Failure(Code.TRAILING, None, len(DATA[0]))),
        (DATA[0][:3], Failure(Code.TRUNCATED, "ts", 0)),
        (DATA[0][:8] + b"\x01", Failure(Code.RANGE, "req_id", 8)),
        (encode(EVENT, event(model_id="*")), Failure(Code.RANGE, "model_id", 41)),
        (DATA[0][:-20], Failure(Code.TRUNCATED, "gauges", len(DATA[0]) - 28)),
    ],
)
def test_explain_names_the_field_and_the_byte(value: bytes, failure: Failure) -> None:
    """The position is that of the first byte of what could not be read."""
    assert RAW.explain(value) == failure


def test_explain_knows_items_nested_fields_and_missing_keys() -> None:
    inner = record({"tags": array(nullable("string"))}, "Inner")
    schema = record({"ts": "long", "inner": nullable(inner), "model_id": nullable("string")})
    decoder = AvroDecoder([OLD, schema])
    head = framed(schema, {"ts": 1, "inner": None, "model_id": None})[:10]
    assert decoder.explain(head + b"\x02\x02\x02\x02\x02\xff\x00\x00") == Failure(Code.ENCODING, "inner.tags[]", 14)
    assert decoder.explain(head + b"\x02\x04") == Failure(Code.RANGE, "inner", 11)
    assert decoder.explain(head + b"\x02\x00\x00") == Failure(Code.MISSING, "model_id", 13)
