"""The benchmark's stream: canonical events of many series, made fast enough to fill a broker.

Every event has 16 features, 10 probabilities and a 64-d embedding of its own series' distribution, its own time and
its own request id; the rest of a series' events comes from a few hundred patterns. Encoded by fastavro once, then
copied, with the bytes of time and request id written over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.schema_files import MARKER, load_schema, schema_identity

_CANONICAL = load_schema("inference_event")
SCHEMA, PARSED = _CANONICAL.definition, _CANONICAL.plain
FEATURES, CLASSES, EMBEDDING = 16, 10, 64
VERSION = "v1"
LANES = ("prod", "canary")
PATTERNS = 256  # of each series
BLOCK = 50_000  # events made at once


def header(schema: Any) -> bytes:
    """What single-object encoding puts in front of a datum."""
    return MARKER + schema_identity(schema)


HEADER = header(SCHEMA)
TIME_AT, TIME_BYTES = len(HEADER), 8  # `ts` comes first, and takes 8 bytes from 1970-06 to 2084
REQUEST_AT, REQUEST_BYTES = TIME_AT + TIME_BYTES + 1, 16


class Block(NamedTuple):
    """Events in the order in which they are produced."""

    keys: list[bytes]
    values: list[bytes]


def model_id(number: int) -> str:
    return f"model-{number:04d}"


def features(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """[n, FEATURES] of a model in good health: half of them skewed, one of them with ties, 1 % missing."""
    values = rng.normal(size=(n, FEATURES))
    values[:, ::2] = np.exp(values[:, ::2] / 2)
    values[:, 3] = np.round(values[:, 3])
    values[rng.random((n, FEATURES)) < 0.01] = np.nan
    return values.astype(np.float32).astype(np.float64)


def lane_id(number: int) -> str:
    return LANES[number] if number < len(LANES) else f"arm-{number}"


def events(
    count: int,
    *,
    models: int,
    lanes: int = len(LANES),
    end: int,
    span: int,
    seed: int = 0,
    each: int = PATTERNS,
) -> Iterator[Block]:
    """`count` events of models x lanes series, evenly over `span` microseconds that finish at `end`, in random order
    of series, of `each` patterns a series. The same arguments give the same bytes.
    """
    rng = np.random.default_rng(seed)
    series = [(model_id(model), lane_id(lane)) for model in range(models) for lane in range(lanes)]
    length = max(len(_encoded(rng, *one)) for one in series)
    patterns = np.zeros((len(series) * each, length), np.uint8)
    size = np.zeros(len(patterns), np.int64)
    for pattern in range(len(patterns)):
        datum = _encoded(rng, *series[pattern // each])
        patterns[pattern, : len(datum)] = np.frombuffer(datum, np.uint8)
        size[pattern] = len(datum)
    keys = [model.encode() for model, _ in series]
    for low in range(0, count, BLOCK):
        n = min(BLOCK, count - low)
        row = rng.integers(len(patterns), size=n)
        data = patterns[row]
        number = low + np.arange(n, dtype=np.int64)
        data[:, TIME_AT : TIME_AT + TIME_BYTES] = _varints(end - span + (number + 1) * span // count)
        data[:, REQUEST_AT : REQUEST_AT + REQUEST_BYTES] = _hexadecimal(number)
        joined, sizes = data.tobytes(), size[row].tolist()
        yield Block(
            [keys[s] for s in (row // each).tolist()],
            [joined[i * length : i * length + sizes[i]] for i in range(n)],
        )


def _encoded(rng: np.random.Generator, model: str, lane: str) -> bytes:
    probs = rng.dirichlet(np.full(CLASSES, 0.3))
    return _CANONICAL.to_bytes(
        {
            "ts": 1_700_000_000_000_000,
            "req_id": "0" * REQUEST_BYTES,
            "model_id": model,
            "model_version": VERSION,
            "lane": lane,
            "data_hash": "3f9a2c41",
            "git_commit": "8691538",
            "latency_ms": float(rng.lognormal(3.0, 0.4)),
            "http_status": 200 if rng.random() < 0.99 else 503,
            "timed_out": bool(rng.random() < 0.002),
            "score": float(probs.max()),
            "prediction": str(int(probs.argmax())),
            "probs": probs.tolist(),
            "features": features(rng, 1)[0].tolist(),
            "categories": [],
            "embedding": rng.normal(size=EMBEDDING).tolist(),
        }
    )


def _varints(times: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[n, TIME_BYTES]: zigzag varints of times that all take so many bytes."""
    zigzag = times * 2
    assert (zigzag >> 7 * (TIME_BYTES - 1) > 0).all()
    assert (zigzag >> 7 * TIME_BYTES == 0).all()
    bits = (zigzag[:, None] >> (7 * np.arange(TIME_BYTES))) & 0x7F
    bits[:, :-1] |= 0x80
    return bits.astype(np.uint8)


def _hexadecimal(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """[n, REQUEST_BYTES] digits. The numbers are mixed first: ids of real requests do not count up."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    digits = (mixed[:, None] >> (4 * np.arange(REQUEST_BYTES - 1, -1, -1, dtype=np.uint64))) & np.uint64(15)
    return np.frombuffer(b"0123456789abcdef", np.uint8)[digits.astype(np.intp)]
