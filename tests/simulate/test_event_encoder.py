"""Columns to Avro: an independent reader gets the columns back."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form

from streammon.adapters.event_encoder import Coded, EventColumns, Lists, Strings, encode

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "inference_event.avsc").read_text(encoding="utf-8"))
N = 500


def read(value: bytes) -> dict[str, Any]:
    """The event in a record's value, by fastavro; times as integers."""
    identity = bytes.fromhex(fingerprint(to_parsing_canonical_form(SCHEMA), "CRC-64-AVRO"))
    assert value[:10] == b"\xc3\x01" + identity
    fields = [field | {"type": "long"} if field["name"] == "ts" else field for field in SCHEMA["fields"]]
    datum = io.BytesIO(value[10:])
    event = fastavro.schemaless_reader(datum, {**SCHEMA, "fields": fields}, None)
    assert not datum.read(), "bytes follow the datum"
    assert isinstance(event, dict)
    return event


def texts(strings: Strings, nullable: bool = True) -> list[str | None]:
    if isinstance(strings, Coded):
        return [strings.table[code] for code in strings.code]
    return [text.decode() if text or not nullable else None for text in strings.tolist()]


def lists(column: Lists, absent: list[float] | None) -> list[list[float] | None]:
    return [row.tolist() if kept else absent for row, kept in zip(column.values, column.recorded, strict=True)]


def nullable(column: np.ndarray[Any, Any]) -> list[float | None]:
    return [None if np.isnan(value) else value for value in column.tolist()]


def expected(columns: EventColumns) -> list[dict[str, Any]]:
    """The events in the columns, row by row."""
    n = len(columns)
    none = [None] * n
    gauges = {name: values.tolist() for name, values in columns.gauges.items()}
    fields: dict[str, list[Any]] = {
        "ts": columns.ts.tolist(),
        "req_id": texts(columns.req_id, nullable=False),
        **{name: texts(getattr(columns, name)) for name in ("model_id", "model_version", "lane")},
        **{name: texts(getattr(columns, name)) for name in ("data_hash", "git_commit", "user_id_hash", "feature_hash")},
        "latency_ms": nullable(columns.latency_ms),
        "http_status": [status or None for status in columns.http_status.tolist()],
        "timed_out": columns.timed_out.tolist(),
        "score": nullable(columns.score),
        "prediction": texts(columns.prediction),
        "prediction_value": none if columns.prediction_value is None else nullable(columns.prediction_value),
        "weight": none if columns.weight is None else nullable(columns.weight),
        "probs": lists(columns.probs, []),
        "features": lists(columns.features, []),
        "categories": [[item.table[item.code[row]] for item in columns.categories] for row in range(n)],
        "embedding": lists(columns.embedding, None),
        "gauges": [
            {name: values[row] for name, values in gauges.items()} if columns.has_gauges[row] else None
            for row in range(n)
        ],
    }
    assert list(fields) == [field["name"] for field in SCHEMA["fields"]]
    return [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]


def awkward(seed: int) -> EventColumns:
    """Every null, every length of a number, text beyond ASCII, NaN among features."""
    rng = np.random.default_rng(seed)

    def coded(*table: str | None) -> Coded:
        return Coded(rng.integers(len(table), size=N), table)

    def doubles() -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.where(rng.random(N) < 0.3, np.nan, rng.standard_normal(N))

    def some(width: int) -> Lists:
        return Lists(rng.standard_normal((N, width)).astype(np.float32), rng.random(N) < 0.6)

    magnitude = 2.0 ** rng.uniform(0, 63, N)
    ts = (magnitude * rng.choice([-1, 1], N)).astype(np.int64)
    ts[:7] = (0, -1, 1, 63, 64, np.iinfo(np.int64).max, np.iinfo(np.int64).min)
    features = some(16)
    features.values[rng.random((N, 16)) < 0.2] = np.inf
    return EventColumns(
        ts=ts,
        req_id=np.array([b"r" * (row % 90) for row in range(N)]),
        model_id=coded("a", "model \u2603 " * 20),
        model_version=coded("v1", ""),
        lane=coded("prod"),
        data_hash=coded(None),
        git_commit=coded(None, "cafe"),
        user_id_hash=coded("u1", None, ""),
        feature_hash=np.where(rng.random(N) < 0.5, np.bytes_(b""), np.bytes_("f\u00fcr".encode())),
        latency_ms=doubles(),
        http_status=rng.choice([0, 1, 63, 64, 200, 504, 100_000], N),
        timed_out=rng.random(N) < 0.5,
        score=doubles(),
        prediction=coded("0", None),
        prediction_value=doubles(),
        weight=doubles(),
        probs=some(0),
        features=features,
        categories=(coded("web", "", "\u00e9"), coded("eu")),
        embedding=some(200),
        gauges={"queue_length": rng.random(N), "gpu memory": rng.random(N)},
        has_gauges=rng.random(N) < 0.5,
    )


@pytest.mark.parametrize("seed", range(3))
def test_fastavro_reads_what_the_columns_hold(seed: int) -> None:
    """All fields, nulls and lengths."""
    columns = awkward(seed)
    assert [read(value) for value in encode(columns)] == expected(columns)


def test_rows_that_are_taken_are_encoded_as_they_were() -> None:
    """In another order, several times, or none; every column goes along."""
    columns = awkward(4)
    every = encode(columns)
    for rows in ([3, 1, 3, N - 1], [], list(range(N))):
        assert encode(columns.take(np.array(rows, np.int64))) == [every[row] for row in rows]


def test_nan_features_are_written_as_nan() -> None:
    """NaN is a missing value, in its place; it does not make the list null."""
    columns = awkward(1)
    columns.features.values[:, 3] = np.nan
    columns.features.recorded[:] = True
    for value in encode(columns):
        event = read(value)
        assert len(event["features"]) == 16
        assert np.isnan(event["features"][3])


def test_no_rows_no_values() -> None:
    """An empty batch is no special case for callers."""
    empty = Lists(np.zeros((0, 4), np.float32), np.zeros(0, np.bool_))
    code, none = np.zeros(0, np.int64), np.zeros(0)
    text = Coded(code, ("a",))
    columns = EventColumns(
        ts=code,
        req_id=np.zeros(0, "S16"),
        model_id=text,
        model_version=text,
        lane=text,
        data_hash=text,
        git_commit=text,
        user_id_hash=text,
        feature_hash=text,
        latency_ms=none,
        http_status=code,
        timed_out=np.zeros(0, np.bool_),
        score=none,
        prediction=text,
        probs=empty,
        features=empty,
        embedding=empty,
        gauges={},
        has_gauges=np.zeros(0, np.bool_),
    )
    assert encode(columns) == []


def test_null_in_a_field_that_must_not_be_null_is_a_mistake_of_the_caller() -> None:
    """It is raised, not written."""
    columns = awkward(1)
    broken = {name: getattr(columns, name) for name in EventColumns.__dataclass_fields__}
    broken["lane"] = Coded(np.zeros(N, np.int64), (None,))
    with pytest.raises(ValueError, match="must not be null"):
        encode(EventColumns(**broken))
