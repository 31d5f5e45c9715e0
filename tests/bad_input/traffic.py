"""A stream of inferences among which every kind of bad input of the matrix occurs, seeded."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import fastavro
import numpy as np

from streammon.adapters.event_encoder import encode
from streammon.simulate.config import Simulation
from streammon.simulate.stream import stream
from tests.adapters.avro_cases import varint
from tests.bad_input.line import EVENT_FIELDS, EVENT_SCHEMA, HEADERS
from tests.oracle import files

MAX_RECORD_BYTES = 100_000
SHARE = 0.05  # of bad records
HOUR, YEAR = 3600 * 1_000_000, 365 * 24 * 3600 * 1_000_000

Random = np.random.Generator
Spoil = Callable[[bytes, Random], bytes | None]


class Sent(NamedTuple):
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def hostile(records: int, *, models: int, span: float, seed: int) -> Iterator[Sent]:
    """So many records up to now; each in twenty is bad, or good Avro with values that are not."""
    simulation = Simulation(events=records, end=time.time_ns() // 1000, models=models, seed=seed, span=span)
    rng, ways = np.random.default_rng(seed), list(WAYS.values())
    for chunk in stream(simulation):
        for key, value in zip(chunk.key, encode(chunk.columns), strict=True):
            if rng.random() >= SHARE:
                yield Sent(key, value, ())
            else:
                spoil = ways[int(rng.integers(len(ways)))]
                keys = (key, key, key, None, b"another", b"\xff\x00")
                yield Sent(keys[int(rng.integers(len(keys)))], spoil(value, rng), HEADERS)


def _with(**changes: Any) -> Spoil:
    return lambda value, rng: files.encode(files.decode(value) | changes)


def _bytes(**pieces: bytes) -> Spoil:
    """Some fields as other bytes."""

    def spoil(value: bytes, rng: Random) -> bytes:
        event, out = files.decode(value), BytesIO()
        for name, field in zip(EVENT_FIELDS, EVENT_SCHEMA["fields"], strict=True):
            if name in pieces:
                out.write(pieces[name])
            else:
                fastavro.schemaless_writer(out, field["type"], event[name])
        return files.MARKER + files.FINGERPRINT + out.getvalue()

    return spoil


def _time(change: Callable[[int], int]) -> Spoil:
    def spoil(value: bytes, rng: Random) -> bytes:
        event = files.decode(value)
        return files.encode(event | {"ts": change(event["ts"])})

    return spoil


def _flipped(value: bytes, rng: Random) -> bytes:
    """A bit anywhere, which may leave a good event."""
    damaged = bytearray(value)
    damaged[int(rng.integers(len(value)))] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _text(text: bytes) -> bytes:
    return varint(len(text)) + text


ONE = struct.pack("<f", 1.0)
WAYS: dict[str, Spoil] = {
    "empty": lambda value, rng: b"",
    "too short": lambda value, rng: value[: int(rng.integers(1, 10))],
    "wrong magic": lambda value, rng: b"\xc3\x02" + value[2:],
    "confluent framing": lambda value, rng: b"\x00\x00\x00\x00\x07" + value[10:],
    "JSON text": lambda value, rng: json.dumps(files.decode(value)).encode(),
    "truncated": lambda value, rng: value[: int(rng.integers(10, len(value)))],
    "trailing bytes": lambda value, rng: value + rng.bytes(int(rng.integers(1, 9))),
    "unknown schema": lambda value, rng: value[:2] + rng.bytes(8) + value[10:],
    "union 2": _bytes(data_hash=varint(2)),
    "union -1": _bytes(embedding=varint(-1)),
    "boolean 7": _bytes(timed_out=b"\x07"),
    "int 2^40": _bytes(http_status=varint(1) + varint(2**40)),
    "long of eleven bytes": _bytes(ts=b"\x80" * 10 + b"\x01"),
    "no UTF-8 in the key": _bytes(model_id=_text(b"digits-\xff")),
    "no UTF-8": _bytes(req_id=_text(b"\xed\xa0\x80")),
    "array of 2^62": _bytes(features=varint(2**62) + ONE),
    "array of -2^63": _bytes(features=varint(-(2**63)) + varint(4) + ONE + b"\x00"),
    "array block of another size": _bytes(features=varint(-1) + varint(5) + ONE + b"\x00"),
    "map of 2^62": _bytes(gauges=varint(1) + varint(2**62)),
    "lone *": _with(lane="*"),
    "__other__": _with(model_id="__other__"),
    "key of 16 KiB": _with(model_version="v" * 16_385),
    "dimension of features": _with(features=[0.5] * 7),
    "dimension of embedding": _with(embedding=[0.0] * 3),
    "an hour ahead": _time(lambda ts: ts + HOUR),
    "a year ahead": _time(lambda ts: ts + YEAR),
    "off by 1000": _time(lambda ts: ts * 1000),
    "off by 1/1000": _time(lambda ts: ts // 1000),
    "a year behind": _time(lambda ts: ts - YEAR),
    "no time": _time(lambda ts: -(2**62)),
    "oversized": lambda value, rng: value + bytes(MAX_RECORD_BYTES),
    "tombstone": lambda value, rng: None,
    "bit flip": _flipped,
    "NaN and infinities": _with(features=[float("nan"), float("inf"), -float("inf"), 3e38] + [0.0] * 12),
    "values out of range": _with(latency_ms=-1.0, http_status=999, score=1.5, probs=[2.0] * 10),
    "duplicate": _with(req_id="again"),
}
