"""Events as files that nobody recorded from a topic, written without streammon; and the way to read them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fastavro
import pyarrow
import pyarrow.parquet

from streammon.adapters.foreign import ForeignSource, open_source
from streammon.core.events import EventBatch
from tests.oracle.files import SCHEMAS

Event = Mapping[str, Any]
LISTS = ("features", "probs", "embedding", "categories")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(ts: int) -> str:
    return (EPOCH + timedelta(microseconds=ts)).isoformat()


def write_csv(path: Path, rows: Sequence[Event]) -> None:
    """Lists as JSON in a cell; null as nothing."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in row.items()})


def write_json_lines(path: Path, rows: Sequence[Event]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_parquet(path: Path, rows: Sequence[Event]) -> None:
    """Times with their zone, lists of single precision: as the canonical schema has them."""
    types: dict[str, Any] = {"ts": pyarrow.timestamp("us", "UTC")}
    types |= dict.fromkeys(("features", "probs", "embedding"), pyarrow.list_(pyarrow.float32()))
    types |= {"categories": pyarrow.list_(pyarrow.string()), "http_status": pyarrow.int32()}
    types |= {"timed_out": pyarrow.bool_(), "gauges": pyarrow.map_(pyarrow.string(), pyarrow.float64())}
    types |= dict.fromkeys(("latency_ms", "score", "prediction_value", "weight"), pyarrow.float64())
    columns = {}
    for name in rows[0]:
        values = [list(row[name].items()) if isinstance(row[name], dict) else row[name] for row in rows]
        columns[name] = pyarrow.array(values, types.get(name, pyarrow.string()))
    pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=50)


def write_avro(path: Path, rows: Sequence[Event]) -> None:
    schema = json.loads((SCHEMAS / "inference_event.avsc").read_text(encoding="utf-8"))
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows, codec="deflate", sync_interval=500)


WRITERS: dict[str, Callable[[Path, Sequence[Event]], None]] = {
    "csv": write_csv,
    "jsonl": write_json_lines,
    "parquet": write_parquet,
    "avro": write_avro,
}


def source(
    *paths: Path, mapping: Mapping[str, Any] | None = None, defaults: Mapping[str, Any] | None = None
) -> ForeignSource:
    return open_source(
        paths, topic="inference-events", mapping=mapping or {}, defaults=defaults or {}, max_row_bytes=1 << 20
    )


def batches(opened: ForeignSource) -> Iterable[EventBatch]:
    while not opened.finished():
        records = opened.poll(0.0)
        assert records is not None
        yield opened.decoder.decode(records)
