"""The compiled decoder against fastavro on good data, and against the strict reference on everything else."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import fastavro
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters import strict_avro
from tests.adapters.avro_cases import decode_columns, expected_row, same
from tests.adapters.avro_random import Data, damaged, random_case

relaxed = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
randoms = st.randoms(use_true_random=False)


def only_decimals(schema: Any) -> Any:
    """The schema without other logical types: fastavro refuses dates beyond the year 9999, which are good data."""
    if isinstance(schema, list):
        return [only_decimals(branch) for branch in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = {"logicalType"} if schema.get("logicalType") != "decimal" else set()
    return {key: only_decimals(value) for key, value in schema.items() if key not in dropped}


@relaxed
@given(randoms)
def test_good_data_decode_as_fastavro_reads_them(random: Random) -> None:
    """Whatever the schema, and whichever of what is in it is wanted, along whatever paths."""
    case = random_case(random)
    writer = Data(case.schema, random)
    data = [writer.datum() for _ in range(3)]
    codes, rows = decode_columns(case.schema, case.columns, data, case.mapping)
    parsed = fastavro.parse_schema(only_decimals(case.schema))
    for datum, code, row in zip(data, codes, rows, strict=True):
        read = fastavro.schemaless_reader(io.BytesIO(datum), parsed, None)
        assert code == "OK"
        assert same(row, expected_row(case.columns, read, case.mapping))


@relaxed
@given(randoms)
def test_damaged_data_get_the_verdict_of_the_strict_reference(random: Random) -> None:
    """Code for code; what still decodes has the same values, what does not is null, and neighbours keep theirs."""
    case = random_case(random)
    writer = Data(case.schema, random)
    mixed: list[bytes] = []
    for _ in range(3):
        datum = writer.datum()
        mixed += [datum, *(damaged(datum, random) for _ in range(5))]
    codes, rows = decode_columns(case.schema, case.columns, mixed, case.mapping)
    assert codes == [strict_avro.verdict(case.schema, datum) for datum in mixed]
    for datum, code, row in zip(mixed, codes, rows, strict=True):
        value = strict_avro.decode(case.schema, datum) if code == "OK" else None
        assert same(row, expected_row(case.columns, value, case.mapping))
