"""An input topic, filled, and a configuration of a worker that reads it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from streammon.adapters.kafka.admin import Admin
from streammon.adapters.kafka.producer import KafkaProducer, Record
from streammon.adapters.kafka.sink import Topics
from streammon.baselines.build import build
from streammon.baselines.store import save
from tests.bench import stream

PARTITIONS = 8
REFERENCE = 5_000  # events behind a baseline
MINUTE = 60_000_000  # microseconds


def fill(bootstrap: str, topic: str, blocks: Iterable[stream.Block]) -> None:
    """Produce the events, keyed, uncompressed. The broker stamps them."""
    with KafkaProducer(bootstrap, topic) as producer:
        for block in blocks:
            producer.send(Record(key, value, 0) for key, value in zip(block.keys, block.values, strict=True))


def baselines(folder: Path, models: int) -> list[str]:
    """A baseline for each model, of its own distribution; returns their folders."""
    paths = []
    for model in range(models):
        rng = np.random.default_rng(1_000_000 + model)
        probs = rng.dirichlet(np.full(stream.CLASSES, 0.3), REFERENCE)
        picked, counts = np.unique(probs.argmax(axis=1), return_counts=True)
        path = folder / stream.model_id(model)
        save(
            build(
                model_id=stream.model_id(model),
                model_version=stream.VERSION,
                features=stream.features(rng, REFERENCE),
                scores=probs.max(axis=1),
                classes={str(c): int(n) for c, n in zip(picked, counts, strict=True)},
                created_at=int(time.time() * 1e6),
                embedding=stream.EMBEDDING,
            ),
            path,
        )
        paths.append(str(path))
    return paths


def configuration(folder: Path, bootstrap: str, events: str, name: str, baselines: Iterable[str], **more: Any) -> Path:
    """Settings of a worker with topics and a group of its own, all created; returns the file. JSON is YAML."""
    topics = {part: f"{name}-{part}" for part in Topics._fields} | {"events": events}
    settings = {
        "group": name,
        "topics": topics,
        "kafka": {"bootstrap.servers": bootstrap},
        "windows": ["1m", "5m"],
        "baselines": list(baselines),
        "rules": [
            {"id": "drift", "measurement": "feature.psi_excess", "window": "1m", "above": 0.5, "min_samples": 300},
            {"id": "slow", "measurement": "latency.p95", "window": "1m", "above": 250},
        ],
        **more,
    }
    Admin({"bootstrap.servers": bootstrap}).create(Topics(**topics), PARTITIONS, 1)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(settings))
    return path
