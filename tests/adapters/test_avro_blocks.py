"""Datums that lie end to end, as in container files: where each begins."""

from __future__ import annotations

from typing import Any

import numpy as np

from streammon.adapters.avro.blocks import ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.schema import load_schema
from tests.adapters.avro_cases import array, encode, nullable, record

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
COLUMNS = ColumnSet(ints=("partition", "offset", "timestamp"), strings=("topic",))


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


def test_bounds_of_datums_end_to_end() -> None:
    """Of as many as are asked for, within other bytes."""
    parts = [encode(ENVELOPE, value) for value in envelopes(7)]
    data = b"".join(parts)
    buffer = np.frombuffer(b"\x00" * 5 + data + b"sync", np.uint8)
    decoder = ColumnDecoder([load_schema(ENVELOPE)], COLUMNS)
    for count in range(8):
        expected = [5, *(5 + np.cumsum([len(part) for part in parts[:count]], dtype=np.int64)).tolist()]
        assert decoder.bounds(buffer, 5, 5 + len(data), count).tolist() == expected


def test_bounds_end_at_the_datum_that_goes_wrong() -> None:
    """Whether it is cut, or there are fewer than were promised."""
    parts = [encode(ENVELOPE, value) for value in envelopes(7)]
    data = b"".join(parts)
    buffer = np.frombuffer(data, np.uint8)
    decoder = ColumnDecoder([load_schema(ENVELOPE)], COLUMNS)
    ends = np.cumsum([0, *(len(part) for part in parts)]).tolist()
    assert decoder.bounds(buffer, 0, len(data) - 1, 7).tolist() == ends[:-1]
    assert decoder.bounds(buffer, 0, len(data), 8).tolist() == ends
