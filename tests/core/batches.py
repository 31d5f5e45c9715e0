"""Event batches for tests of the core: from rows written out as dicts, and full of awkward values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from streammon.core.events import EventBatch
from tests.baselines.batches import Row, batch_of

FEATURES, CLASSES, EMBEDDING = ("age", "income", "tenure"), ("cat", "dog"), 2  # as in the random streams

AWKWARD: dict[str, tuple[Any, ...]] = {
    "http_status": (200, 200, 404, 503, 0, 99, 999, -1, 600),
    "timed_out": (0, 0, 1),
    "key": (0, 0, 1, 2),
    "req_id": (*(f"request-{number:x}" for number in range(200)), "again", "again", "", None),
    "latency_ms": (12.5, 80.0, 81.0, 1e-9, 0.0, -0.0, -3.0, 1e300, np.inf, -np.inf, np.nan),
    "score": (0.1, 0.29, 0.5, 1.0, 0.0, -0.1, 1.5, 1e300, np.inf, np.nan),
    "prediction": ("cat", "dog", "bird", "", None),
    "model_version": ("1", None),
    "probs": (
        (0.25, 0.75),
        (0.0, 1.0),
        (-0.0, 1.0),
        (0.0, 1.0000001),
        (np.nan, 1.0),
        (np.inf, 0.0),
        (-1.0, 2.0),
        (1e300, 0.0),
        (),
    ),
    "embedding": ((0.5, -0.25), ()),
}
AWKWARD_FEATURES = (0.0, 0.1, -1.7, 2.5, 1000.0, -1e99, 1e99, 1e300, -1e300, np.inf, -np.inf, np.nan)


def events(rows: Sequence[Row], first: int = 0) -> EventBatch:
    """Events at offsets `first`, `first + 1`, ... A record is as old as its event, unless its row has a `timestamp`."""
    batch = batch_of(rows)
    timestamp = np.array([row.get("timestamp", row.get("ts", 0)) for row in rows], np.int64)
    return replace(batch, offset=np.arange(first, first + len(rows)), timestamp=timestamp)


def awkward(seed: int, n: int) -> EventBatch:
    """n events of every kind that may reach an aggregate: nulls, empty lists, NaN, infinities, 1e300, nonsense."""
    rng = np.random.default_rng(seed)

    def row() -> Row:
        values = {name: choices[int(rng.integers(len(choices)))] for name, choices in AWKWARD.items()}
        odd = rng.choice(AWKWARD_FEATURES, len(FEATURES))
        plain = rng.normal(0, 1, len(FEATURES))
        features = np.where(rng.random(len(FEATURES)) < 0.3, odd, plain).tolist()
        return values | {"model_id": "m", "features": () if rng.random() < 0.1 else features}

    return events([row() for _ in range(n)])
