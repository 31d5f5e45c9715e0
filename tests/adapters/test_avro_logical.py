"""Logical types: which of them fill columns, as what, and which are only read over."""

from __future__ import annotations

import io
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.decoder import AvroDecoder
from streammon.core import events
from streammon.core.errors import Code
from tests.adapters import strict_avro
from tests.adapters.avro_cases import array, batch, decode_columns, encode, nullable, record, timestamp, varint

REAL = ColumnSet(floats=("x",))
NONE = ColumnSet()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOGICAL = [
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    ("long", "timestamp-millis"),
    ("long", "timestamp-micros"),
    ("long", "timestamp-nanos"),
    ("long", "local-timestamp-millis"),
    ("long", "local-timestamp-micros"),
    ("long", "local-timestamp-nanos"),
]


def decimal(precision: int, scale: int = 0, size: int = 0) -> dict[str, Any]:
    kind = {"type": "fixed", "name": "F", "size": size} if size else {"type": "bytes"}
    return {**kind, "logicalType": "decimal", "precision": precision, "scale": scale}


def numbers(type_: Any, data: list[bytes]) -> tuple[list[str], list[float]]:
    """Codes and values of a field read as a number; the same codes where it is read over."""
    codes, rows = decode_columns(record({"x": type_}), REAL, data)
    assert decode_columns(record({"x": type_}), NONE, data)[0] == codes
    assert [strict_avro.verdict(record({"x": type_}), datum) for datum in data] == codes
    return codes, [row["x"] for row in rows]


def unscaled_bytes(number: int) -> bytes:
    data = number.to_bytes((number.bit_length() + 8) // 8, signed=True)
    return varint(len(data)) + data


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 38), st.booleans())
def test_decimals_are_what_fastavro_reads(data: st.DataObject, precision: int, fixed: bool) -> None:
    """To the nearest double where number and power of ten are doubles, and within one unit in the last place else."""
    scale = data.draw(st.integers(0, precision))
    most = 10 ** data.draw(st.integers(0, precision)) - 1
    unscaled = data.draw(st.integers(-most, most))
    schema = decimal(precision, scale, 17 if fixed else 0)
    value = Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))
    datum = encode(record({"x": schema}), {"x": value})
    read: Any = fastavro.schemaless_reader(io.BytesIO(datum), fastavro.parse_schema(record({"x": schema})), None)
    assert read["x"] == value
    codes, (number,) = numbers(schema, [datum])
    nearest = float(Fraction(unscaled, 10**scale))
    assert codes == ["OK"]
    if abs(unscaled) < 2**53 and scale <= 22:
        assert number == nearest
    assert abs(number - nearest) <= math.ulp(nearest)


@pytest.mark.parametrize("precision", [1, 2, 4, 9, 18, 19, 20, 37, 38])
def test_a_decimal_of_more_digits_or_bytes_than_its_precision_is_out_of_range(precision: int) -> None:
    limit = 10**precision
    good = [0, 1, -1, limit - 1, 1 - limit]
    bad = [limit, -limit, 2 * limit, -(2**200), 2**127, -(2**127), 2**64 * limit]
    codes, values = numbers(decimal(precision), [unscaled_bytes(number) for number in good + bad])
    assert codes == ["OK"] * len(good) + ["RANGE"] * len(bad)
    assert values[: len(good)] == [float(number) for number in good]
    size = 30
    codes, values = numbers(
        decimal(precision, size=size), [number.to_bytes(size, signed=True) for number in good + bad]
    )
    assert codes == ["OK"] * len(good) + ["RANGE"] * len(bad)
    assert values[: len(good)] == [float(number) for number in good]


def test_the_bytes_of_a_decimal() -> None:
    """No bytes are 0, as fastavro has it; more bytes than the precision needs are refused, be they all zeros."""
    data = [b"\x00", b"\x02\x05", b"\x04\x00\x05", b"\x04\xff\xfb", b"\x06\x00\x00\x05", b"\x04\x05", b"\x01", b""]
    codes, values = numbers(decimal(3, 1), data)
    assert codes == ["OK"] * 4 + ["RANGE", "TRUNCATED", "RANGE", "TRUNCATED"]
    assert values[:4] == [0.0, 0.5, 0.5, -0.5]
    assert numbers(decimal(3, 1, 2), [b"\x00\x05", b"\x00", b"\x00\x05\x00"])[0] == ["OK", "TRUNCATED", "TRAILING"]


def test_decimals_in_lists_slots_and_maps() -> None:
    price = nullable(decimal(4, 2, 2))
    fields = {"prices": array(price), "p": "F", "m": {"type": "map", "values": decimal(4, 2)}}
    schema = record({"ts": "long", "model_id": "string"} | fields)
    mapping = {"features": ["p", "m.k", "prices[]"], "probs": "prices", "score": "p"}
    value = {
        "ts": 1,
        "model_id": "m",
        "prices": [Decimal("1.25"), None],
        "p": Decimal("-99.99"),
        "m": {"k": Decimal("0.01")},
    }
    decoded = AvroDecoder([schema], "raw", mapping).decode(batch([encode(schema, value)]))
    assert decoded.code.tolist() == [Code.OK]
    assert str(decoded.numbers(0, events.FEATURES).tolist()) == "[-99.99, 0.01, 1.25, nan]"
    assert str(decoded.numbers(0, events.PROBS).tolist()) == "[1.25, nan]"
    assert decoded.floats[0, events.SCORE] == -99.99


@settings(max_examples=100, deadline=None)
@given(st.lists(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)), min_size=1, max_size=5))
@pytest.mark.parametrize("unit", ["millis", "micros"])
def test_times_are_what_fastavro_reads(unit: str, moments: list[datetime]) -> None:
    schema = record({"ts": timestamp(unit), "model_id": "string"})
    data = [encode(schema, {"ts": moment.replace(tzinfo=UTC), "model_id": "m"}) for moment in moments]
    parsed = fastavro.parse_schema(schema)
    read: list[Any] = [fastavro.schemaless_reader(io.BytesIO(datum), parsed, None) for datum in data]
    decoded = AvroDecoder([schema], "raw").decode(batch(data))
    assert decoded.ints[:, events.TS].tolist() == [(one["ts"] - EPOCH) // timedelta(microseconds=1) for one in read]


def test_nanoseconds_are_cut_to_the_microsecond_before() -> None:
    """Before 1970 too, so that microseconds of one clock never overlap."""
    given_ = [0, 999, 1000, -1, -1000, -1001, 1_700_000_000_123_456_789, 2**63 - 1, -(2**63)]
    schema = record({"ts": timestamp("nanos"), "model_id": "string"})
    decoded = AvroDecoder([schema], "raw").decode(batch([varint(number) + b"\x02m" for number in given_]))
    assert decoded.code.tolist() == [Code.OK] * len(given_)
    assert decoded.ints[:, events.TS].tolist() == [number // 1000 for number in given_]


@pytest.mark.parametrize(("kind", "logical"), LOGICAL)
def test_dates_and_times_are_the_numbers_they_are_written_as(kind: str, logical: str) -> None:
    """Where a plain number is wanted, and where they are read over."""
    type_ = {"type": kind, "logicalType": logical}
    codes, values = numbers(type_, [varint(12345), varint(-1), varint(2**40)])
    assert codes == ["OK", "OK", "OK" if kind == "long" else "RANGE"]
    assert values[:2] == [12345.0, -1.0]


@pytest.mark.parametrize(
    "type_",
    [
        {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"},
        {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"},
        {"type": "bytes", "logicalType": "big-decimal"},
    ],
)
def test_what_no_column_takes_is_read_over(type_: dict[str, Any]) -> None:
    size = type_.get("size", 3)
    data = (b"" if "size" in type_ else varint(size)) + b"\xff" * size
    assert decode_columns(record({"x": type_}), NONE, [data, data[:-1], data + b"\0"])[0] == [
        "OK",
        "TRUNCATED",
        "TRAILING",
    ]


def test_a_logical_type_that_is_unknown_or_misplaced_is_ignored() -> None:
    """As Avro demands: the value is what its type says."""
    text = ColumnSet(strings=("x",))
    for logical in ("uuid", "made-up", "decimal", "date"):
        codes, rows = decode_columns(record({"x": {"type": "string", "logicalType": logical}}), text, [b"\x04hi"])
        assert (codes, rows[0]["x"]) == (["OK"], b"hi")
    assert numbers({"type": "int", "logicalType": "timestamp-millis"}, [b"\x04"]) == (["OK"], [2.0])
    codes, rows = decode_columns(record({"x": {"type": "bytes", "logicalType": "decimal"}}), text, [b"\x04hi"])
    assert (codes, rows[0]["x"]) == (["OK"], b"hi")


def test_a_fixed_is_text_where_a_string_is_wanted() -> None:
    schema = record({"ts": "long", "model_id": {"type": "fixed", "name": "Id", "size": 9}, "lane": nullable("Id")})
    good, null = b"\x02fraud-v12\x02lane-9999", b"\x02fraud-v12\x00"
    bad = [b"\x02__other__\x00", b"\x02\xff" + b"a" * 8 + b"\x00", b"\x02fraud-v1", null + b"\0"]
    decoded = AvroDecoder([schema], "raw").decode(batch([good, null, *bad]))
    assert [Code(code).name for code in decoded.code.tolist()] == [
        *("OK", "OK", "RANGE", "ENCODING", "TRUNCATED", "TRAILING")
    ]
    assert decoded.text(0, events.MODEL_ID) == "fraud-v12"
    assert [decoded.text(row, events.LANE) for row in range(2)] == ["lane-9999", None]
    assert np.isnan(decoded.floats[0, events.SCORE])
