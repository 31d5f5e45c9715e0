"""Defaults: what columns hold whose field the writer's schema lacks."""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.adapters.avro.columns import EVENT_COLUMNS, Constant
from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.schema_files import schema_directory
from streammon.core import events
from streammon.core.errors import Code, UsageError
from tests.adapters.avro_cases import EVENT, batch, encode, event, expected_row, nullable, record, same
from tests.adapters.test_avro_decoder import codes, python_rows
from tests.adapters.test_avro_versions import lacking, two, version, written


def test_defaults_are_for_fields_that_the_schema_lacks() -> None:
    """Not for null, and not for one that another path than its name leads to."""
    defaults: dict[str, Constant] = {"lane": "prod", "weight": 2, "score": 0.5, "timed_out": True, "http_status": 204}
    rows = two({"score": "size", "http_status": "age"}, defaults)
    assert [(row["lane"], row["weight"], row["timed_out"]) for row in rows] == [(b"prod", 2.0, 1)] * 2
    assert [row["score"] for row in rows] == [0.5, 5.0]
    assert [row["http_status"] for row in rows] == [30, 204]
    schema = record({"ts": "long", "lane": nullable("string"), "model_id": nullable("string")})
    decoder = AvroDecoder([schema], "raw", {"req_id": None}, defaults={"lane": "prod", "model_id": "m", "req_id": "r"})
    assert codes(decoder, [b"\x02\0\x02\x02a", b"\x02\0\0"]) == ["OK", "MISSING"]
    decoded = decoder.decode(batch([b"\x02\0\x02\x02a"]))
    assert [decoded.text(0, column) for column in (events.LANE, events.REQ_ID)] == [None, None]


def test_a_default_can_be_the_model() -> None:
    schema = record({"ts": "long"})
    decoded = AvroDecoder([schema], "raw", defaults={"model_id": "fraud"}).decode(batch([b"\x02", b"\x04"]))
    assert decoded.code.tolist() == [Code.OK, Code.OK]
    assert [decoded.text(row, events.MODEL_ID) for row in range(2)] == ["fraud", "fraud"]


def test_refused_defaults() -> None:
    for defaults, why in [
        ({"lane": "*"}, "default of lane: is reserved"),
        ({"model_id": "__other__"}, "default of model_id: is reserved"),
        ({"ts": 1}, "default of ts: takes no default"),
        ({"weight": float("nan")}, "default of weight: should be a finite number"),
        ({"features": 1}, "default of features: takes no default"),
        ({"colour": 1}, "default of colour: takes no default"),
    ]:
        with pytest.raises(UsageError, match=why):
            AvroDecoder([EVENT], "raw", defaults=defaults)  # type: ignore[arg-type]  # dictionaries of one type each


CANONICAL = json.loads((schema_directory() / "inference_event.avsc").read_text())
DEFAULTS: dict[str, Constant] = {
    "lane": "prod",
    "model_version": "größer",
    "req_id": "",
    "weight": 1.5,
    "score": 0.25,
    "timed_out": True,
    "http_status": 299,
}


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.sets(st.sampled_from(sorted(DEFAULTS))))
def test_defaults_are_what_a_reader_of_the_canonical_schema_gets(random: Random, chosen: set[str]) -> None:
    """From fastavro, which resolves the writer's schema to ours; with the user's defaults in place of ours."""
    writer = version(random)
    defaults = {name: DEFAULTS[name] for name in chosen}
    written_names = {field["name"] for field in writer["fields"]}
    reader = {**CANONICAL, "name": writer["name"], "namespace": "", "fields": []}
    for field in CANONICAL["fields"]:
        if field["name"] in chosen:
            type_ = field["type"][::-1] if isinstance(field["type"], list) else field["type"]
            reader["fields"].append({**field, "type": type_, "default": defaults[field["name"]]})
        elif "default" in field or field["name"] in written_names:  # Avro has no value for the others; we have null
            reader["fields"].append(field)
    value = written(writer, event(random.randint(0, 9)))
    datum = encode(writer, value)
    plain = json.loads(json.dumps(writer).replace('"logicalType": "timestamp-micros"', '"doc": ""'))
    plain_reader = json.loads(json.dumps(reader).replace('"logicalType": "timestamp-micros"', '"doc": ""'))
    read: Any = fastavro.schemaless_reader(
        io.BytesIO(datum), fastavro.parse_schema(plain), fastavro.parse_schema(plain_reader)
    )
    code, row = python_rows(AvroDecoder([writer], "raw", defaults=defaults).decode(batch([datum])))[0]
    assert code == Code.OK
    assert same(row, expected_row(EVENT_COLUMNS, lacking(read)))


def test_the_canonical_defaults_are_null() -> None:
    """So a column whose field is lacking holds the default of our own schema."""
    found = {field["name"]: field["default"] for field in CANONICAL["fields"] if "default" in field}
    nothing = expected_row(EVENT_COLUMNS, lacking({}))
    assert same(expected_row(EVENT_COLUMNS, lacking(found)), nothing)
    minimal = record({"ts": "long", "model_id": "string"})
    (row,) = [row for _, row in python_rows(AvroDecoder([minimal], "raw").decode(batch([b"\0\x02m"])))]
    assert same(row, {**nothing, "ts": 0, "model_id": b"m"})
    assert np.isnan(row["weight"])


@pytest.mark.parametrize("framing", ["raw", "confluent"])
def test_an_enum_can_hold_a_reserved_name(framing: str) -> None:
    schema = record({"ts": "long", "model_id": {"type": "enum", "name": "M", "symbols": ["a", "__other__"]}})
    decoder = AvroDecoder([schema] if framing == "raw" else {"1": schema}, framing)
    frame = b"" if framing == "raw" else b"\0\0\0\0\x01"
    assert codes(decoder, [frame + b"\x02\0", frame + b"\x02\x02"]) == ["OK", "RANGE"]
