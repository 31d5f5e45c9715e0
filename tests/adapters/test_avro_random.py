"""The compiled decoder against fastavro on good data, and against the strict reference on everything else."""

from __future__ import annotations

import io
from typing import Any

import fastavro
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streammon.adapters.avro_columns import ColumnSet
from tests.adapters import strict_avro
from tests.adapters.avro_cases import cases, decode_columns, encode, expected_row, same, varint

relaxed = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@st.composite
def damage(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes, cut, lengthened, or with some replaced."""
    at = draw(st.integers(0, len(data)))
    match draw(st.integers(0, 4)):
        case 0:
            return data[:at]
        case 1:
            return data + draw(st.binary(min_size=1, max_size=3))
        case 2:
            return data[:at] + draw(st.binary(min_size=1, max_size=3)) + data[at:]
        case 3:
            return data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
        case _:
            number = draw(st.sampled_from([-1, -2, -3, 2, 3, 5, 2**31, -(2**31) - 1, 2**62, -(2**62), -(2**63)]))
            return data[:at] + varint(number) + data[at + 1 :]


@relaxed
@given(cases())
def test_good_data_decode_as_fastavro_reads_them(case: tuple[Any, ColumnSet, list[Any]]) -> None:
    """Whatever the schema, and whichever of its fields are wanted."""
    schema, columns, values = case
    data = [encode(schema, value) for value in values]
    codes, rows = decode_columns(schema, columns, data)
    parsed = fastavro.parse_schema(schema)
    for datum, code, row in zip(data, codes, rows, strict=True):
        read = fastavro.schemaless_reader(io.BytesIO(datum), parsed, None)
        assert code == "OK"
        assert same(row, expected_row(columns, read))


@relaxed
@given(cases(), st.data())
def test_damaged_data_get_the_verdict_of_the_strict_reference(
    case: tuple[Any, ColumnSet, list[Any]], data: st.DataObject
) -> None:
    """Code for code; what still decodes has the same values, what does not is null, and neighbours keep theirs."""
    schema, columns, values = case
    mixed: list[bytes] = []
    for value in values:
        datum = encode(schema, value)
        mixed += [datum, *(data.draw(damage(datum)) for _ in range(5))]
    codes, rows = decode_columns(schema, columns, mixed)
    assert codes == [strict_avro.verdict(schema, datum) for datum in mixed]
    for datum, code, row in zip(mixed, codes, rows, strict=True):
        if code == "OK":
            assert same(row, expected_row(columns, strict_avro.decode(schema, datum)))
        else:
            assert same(row, expected_row(columns, None))
