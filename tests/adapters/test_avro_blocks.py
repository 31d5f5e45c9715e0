"""Datums that lie end to end, as in container files, to columns that are not those of events."""

from __future__ import annotations

from typing import Any

import numpy as np

from streammon.adapters.avro.blocks import ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.schema import load_schema
from streammon.core.errors import Code
from tests.adapters.avro_cases import array, encode, expected_row, nullable, python_row, record, same

ENVELOPE = record(
    {
        "topic": "string",
        "partition": "int",
        "offset": "long",
        "timestamp": "long",
        "timestamp_type": {"type": "enum", "name": "TimestampType", "symbols": ["CreateTime", "LogAppendTime"]},
        "key": nullable("bytes"),
        "value": nullable("bytes"),
        "headers": array(record({"key": "string", "value": nullable("bytes")}, "Header")),
    },
    "Envelope",
)
ENVELOPE_COLUMNS = ColumnSet(
    ints=("partition", "offset", "timestamp"),
    strings=("topic", "key", "value", "timestamp_type"),
    binary=frozenset({"key", "value"}),
)


def envelopes(count: int) -> list[dict[str, Any]]:
    return [
        {
            "topic": "events",
            "partition": number % 3,
            "offset": number,
            "timestamp": 1000 * number,
            "timestamp_type": "LogAppendTime" if number % 2 else "CreateTime",
            "key": None if number == 2 else b"k\xff",
            "value": None if number == 3 else bytes(range(number)),
            "headers": [{"key": "h", "value": None}] * (number % 3),
        }
        for number in range(count)
    ]


def test_block_of_datums_end_to_end() -> None:
    values = envelopes(7)
    data = b"".join(encode(ENVELOPE, value) for value in values)
    buffer = np.frombuffer(b"\x00" * 5 + data + b"sync", np.uint8)
    decoder = ColumnDecoder([load_schema(ENVELOPE)], ENVELOPE_COLUMNS)
    block = decoder.decode_block(buffer, 5, 5 + len(data), 7)
    assert (block.rows, block.code, block.position) == (7, Code.OK, 5 + len(data))
    for row, value in enumerate(values):
        assert same(
            python_row(ENVELOPE_COLUMNS, block.buffer, block.columns, row), expected_row(ENVELOPE_COLUMNS, value)
        )


def test_block_that_goes_wrong_keeps_the_rows_before() -> None:
    parts = [encode(ENVELOPE, value) for value in envelopes(7)]
    data = b"".join(parts)
    buffer = np.frombuffer(data, np.uint8)
    decoder = ColumnDecoder([load_schema(ENVELOPE)], ENVELOPE_COLUMNS)
    short = decoder.decode_block(buffer, 0, len(data) - 1, 7)
    assert (short.rows, short.code) == (6, Code.TRUNCATED)
    assert decoder.failed_path(short.columns) == "headers"
    assert decoder.decode_block(buffer, 0, len(data), 8).code == Code.TRUNCATED
    partly = decoder.decode_block(buffer, 0, len(data), 3)
    assert (partly.rows, partly.position) == (3, len(b"".join(parts[:3])))


def test_block_of_no_datums_and_of_more_than_its_bytes_can_hold() -> None:
    """A count of 2^60 is refused before there is room made for it."""
    decoder = ColumnDecoder([load_schema(ENVELOPE)], ENVELOPE_COLUMNS)
    buffer = np.zeros(16, np.uint8)
    assert decoder.decode_block(buffer, 4, 16, 0)[2:] == (0, Code.OK, 4)
    assert decoder.decode_block(buffer, 4, 16, 2**60)[2:] == (0, Code.TRUNCATED, 4)
    assert decoder.decode_block(buffer, 4, 16, -1)[2:] == (0, Code.RANGE, 4)
