"""Decoding, beside fastavro: from values that lie in one buffer, as a source hands them over, to columns."""

from __future__ import annotations

import copy
import io
import statistics
import time
from collections.abc import Callable
from typing import Any

import fastavro
import numpy as np

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.records import record_batch
from streammon.core.ports import Origin, RecordBatch
from tests.bench import stream
from tests.bench.report import Figure, Goal

COMMAND = "make bench ARGS='--only decode'"
BATCH = 5_000  # events
REFERENCE = 500  # events that fastavro decodes
RUNS = 31  # alternating


def measure() -> list[Figure]:
    values = next(stream.events(BATCH, models=20, end=1_790_000_000_000_000, span=60_000_000)).values
    decoder = AvroDecoder([stream.SCHEMA, _later_schema()])
    mixed = [value if i % 2 else _later_value(value) for i, value in enumerate(values[:BATCH])]
    at_once, later = joined(values[:BATCH]), joined(mixed)
    decoder.decode(joined(values[:1]))  # compiled, or read from numba's cache

    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: decoder.decode(at_once),
        "join": lambda: joined(values[:BATCH]),
        "fastavro": lambda: [
            fastavro.schemaless_reader(io.BytesIO(value[len(stream.HEADER) :]), stream.PARSED, None)
            for value in values[:REFERENCE]
        ],
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(RUNS):
        for name, step in steps.items():
            seconds[name].append(_seconds(step))
    each = {
        name: statistics.median(all_) / (REFERENCE if name == "fastavro" else BATCH) * 1e6
        for name, all_ in seconds.items()
    }
    change = _seconds(lambda: decoder.decode(later)) / statistics.median(seconds["decode"])
    return [
        Figure("decode", each["decode"], "us/event", None, COMMAND),
        Figure("decode.join", each["join"], "us/event", None, COMMAND),
        Figure("decode.times_fastavro", each["fastavro"] / each["decode"], "x", Goal(at_least=40), COMMAND),
        Figure("decode.first_batch_of_second_schema", change, "median batches", Goal(at_most=2), COMMAND),
    ]


def joined(values: list[bytes], first: int = 0, timestamp: int = 0) -> RecordBatch:
    """Records of partition 0 from offset `first` on, all of one time."""
    n = np.arange(len(values))
    keys: list[bytes | None] = [b"model-0000"] * len(values)
    times = np.full_like(n, timestamp)
    return record_batch(values, keys, np.zeros_like(n), first + n, times, lambda row: Origin(None, values[row], ()))


def _later_schema() -> dict[str, Any]:
    """The canonical schema with one more field."""
    later = copy.deepcopy(stream.SCHEMA)
    later["fields"].append({"name": "region", "type": ["null", "string"], "default": None})
    return later


def _later_value(value: bytes) -> bytes:
    """The same event, written with the later schema: its last field is null."""
    return stream.header(_later_schema()) + value[len(stream.HEADER) :] + b"\x00"


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started
