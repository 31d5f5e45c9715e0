"""Memory: of a worker at a hundred series over ten million events, and at the cap on series; of the state alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.bench import pipeline, stream, topic
from tests.bench.report import Figure, Goal
from tests.broker.jvm_broker import Broker

COMMAND = "make bench ARGS='--only memory'"
COMMAND_AT_CAP = "make bench ARGS='--only cap'"
GIB = 1 << 30
EVENTS = 10_000_000
SETTLED = 0.2  # of the events: by then every kernel is loaded and every pane has been filled once

CAP = 125  # series of a partition, 1,000 in all
MODELS_BEYOND = 1_500
EVENTS_AT_CAP = 3_000_000

COMMAND_STATE = "make bench ARGS='--only state'"
EVENTS_PER_PANE = 50


def measure(broker: Broker, folder: Path) -> list[Figure]:
    """A hundred series with baselines, 25 minutes of event time."""
    models = 50
    config = topic.configuration(folder, broker.bootstrap, "events", "memory", topic.baselines(folder, models))
    seen = _seen(broker, config, EVENTS, models=models, span=25 * topic.MINUTE)
    settled = [size for position, size in seen if position <= SETTLED * EVENTS]
    later = [size for position, size in seen if position > SETTLED * EVENTS]
    return [
        Figure("memory.100_series", max(settled + later) / GIB, "GiB", Goal(at_most=1.5), COMMAND),
        Figure("memory.growth_over_10M_events", max(later) / max(settled), "x", Goal(at_most=1.1), COMMAND),
    ]


def measure_at_cap(broker: Broker, folder: Path) -> list[Figure]:
    """More models than the cap allows, with declared dimensions."""
    config = topic.configuration(
        folder,
        broker.bootstrap,
        "events",
        "cap",
        [],
        limits={"series_per_partition": CAP},
        models=[
            {
                "match": "*",
                "features": stream.FEATURES,
                "classes": [str(c) for c in range(stream.CLASSES)],
                "embedding": stream.EMBEDDING,
            }
        ],
    )
    seen = _seen(broker, config, EVENTS_AT_CAP, models=MODELS_BEYOND, lanes=1, span=12 * topic.MINUTE)
    return [Figure("memory.at_cap", max(size for _, size in seen) / GIB, "GiB", Goal(at_most=4), COMMAND_AT_CAP)]


def measure_state() -> list[Figure]:
    """1,000 series that hold as many panes as an hour sliding by a minute ever needs, in one partition."""
    found = pipeline.child("state", str(EVENTS_PER_PANE))

    def figure(name: str, value: float, unit: str, goal: Goal | None = None) -> Figure:
        return Figure(f"memory.state.{name}", value, unit, goal, COMMAND_STATE)

    return [
        figure("series", found["series"], ""),
        figure("panes", found["panes"] / found["series"], "of a series"),
        figure("pane", found["counted"] / found["panes"], "bytes"),
        *(figure(f"pane.{name}", size, "bytes") for name, size in found["aggregates"].items()),
        figure("counted", found["counted"] / GIB, "GiB"),
        figure("resident", found["resident"] / GIB, "GiB", Goal(at_most=4)),
        figure("peak_with_snapshot", found["peak"] / GIB, "GiB"),
    ]


def _seen(broker: Broker, config: Path, events: int, **shape: Any) -> list[tuple[int, int]]:
    """(events committed, resident bytes), four times a second."""
    topic.fill(broker.bootstrap, "events", stream.events(events, end=int(time.time() * 1e6), **shape))
    seen: list[tuple[int, int]] = pipeline.work(config, events)["memory"]
    return seen
