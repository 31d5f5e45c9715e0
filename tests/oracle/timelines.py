"""Random timelines of one partition: bare events and idle advances, under random settings. Units are small numbers.

    live           every lane and version of two models, out of order
    silent         the partition jumps; lanes come back behind it
    nightly        a lane and a model 72,000 (20 h) behind
    future         beyond the record's timestamp and the skew
    on an edge     of a pane, a window, or where a pane is sealed, and one unit to either side
    idle           advances between two records

Times may lie before the epoch. `value` of an event is a whole number of up to 2^40: a sum names its events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tests.oracle.clock import ClosedWindow, PartitionTimeline, Series, Spec, Verdict
from tests.oracle.oracle import timeline_of

Window = tuple[int, int, int]

SKEW = 300
WINDOWS: tuple[tuple[Window, ...], ...] = (
    ((60, 60, 0),),
    ((60, 60, 0), (300, 300, 0)),
    ((60, 60, 0), (300, 60, 0)),
    ((120, 30, 0), (60, 60, 0)),
    ((180, 60, 20), (60, 60, -40)),
    ((90, 90, 0), (60, 20, 0)),
    ((600, 60, 0), (60, 60, 0), (240, 240, 120)),
    ((1440, 360, -120), (60, 60, 0)),
)
ROLLUPS = ("lanes", "versions", "model")
SERIES = (
    Series("m", "1", "a"),
    Series("m", "1", "b"),
    Series("m", "2", "a"),
    Series("m", "2", "c"),
    Series("x", "1", "a"),
)
NIGHTLY = (Series("m", "1", "nightly"), Series("nightly", "1", "a"))
NIGHT = 72_000


class Bare(NamedTuple):
    """One event; its offset is its number."""

    series: Series
    ts: int
    timestamp: int  # of the record
    value: int


class Closed(NamedTuple):
    """What is compared of a closed window, in publishing order."""

    position: int
    end: int
    spec: Window
    series: Series
    n: int
    n_late: int
    total: int  # of the values of its events


@dataclass(frozen=True)
class Timeline:
    config: dict[str, Any]  # of the oracle
    events: list[Bare]
    idle: list[tuple[int, int]] = field(default_factory=list)  # (position, advance)


class Expected(NamedTuple):
    closed: list[Closed]
    verdicts: list[Verdict]
    until_due: list[int | None]  # before each idle advance, and at the end


def expected(timeline: Timeline) -> Expected:
    """What the oracle says, event by event."""
    clock: PartitionTimeline[int] = timeline_of(timeline.config)
    found = Expected([], [], [])
    idle = list(timeline.idle)

    def decide(offset: float) -> None:
        while idle and idle[0][0] <= offset:
            found.until_due.append(clock.until_due())
            found.closed.extend(map(_closed, clock.advance(*idle.pop(0))))

    for offset, event in enumerate(timeline.events):
        decide(offset)
        series = clock.counts_for(event.series)
        verdict, closed = clock.feed(offset, event.timestamp, series, event.ts, event.value)
        found.verdicts.append(verdict)
        found.closed.extend(map(_closed, closed))
    decide(float("inf"))
    found.until_due.append(clock.until_due())
    return found._replace(closed=sorted(found.closed))


def _closed(window: ClosedWindow[int]) -> Closed:
    total = sum(window.events)
    spec = (window.spec.size, window.spec.slide, window.spec.offset)
    return Closed(window.closing_position, window.end, spec, window.series, len(window.events), window.n_late, total)


def random_timeline(seed: int, events: int = 120, **config: Any) -> Timeline:
    """The same for the same arguments; `config` overrides what is drawn."""
    rng = np.random.default_rng(seed)
    windows = WINDOWS[seed % len(WINDOWS)]
    settings: dict[str, Any] = {
        "windows": list(windows),
        "allowed_lateness": _one(rng, (0, 10, 10, 60, 75, 400)),
        "idle_grace": _one(rng, (0, 120, 120, 1_000)),
        "max_future_skew": SKEW,
        "rollups": [kind for kind in ROLLUPS if rng.random() < 0.5],
        "empty_windows": _one(rng, (0, 0, 1, 3)),
        "max_series": _one(rng, (1_000, 1_000, 4, 2)),
        "expire_after": _one(rng, (10**9, 10**9, 3_000, 800)),
        "scopes": [{"window": windows[-1], **_one(rng, SCOPES)}] if rng.random() < 0.25 else [],
    }
    settings |= config
    return Timeline(settings, *_walk(rng, events, settings))


SCOPES: tuple[dict[str, str], ...] = ({"lane": "[*]"}, {"lane": "a"}, {"model": "m", "version": "[12]"}, {"model": "x"})


def _walk(rng: np.random.Generator, count: int, config: dict[str, Any]) -> tuple[list[Bare], list[tuple[int, int]]]:
    now = _one(rng, (0, -600, 1_000_000, -NIGHT // 2))
    specs = [Spec(*window) for window in config["windows"]]
    weights = rng.dirichlet(np.ones(len(SERIES)))  # some lanes are busy, some hardly there
    lag = {series: _one(rng, (0, 0, 30, 150, 700)) for series in SERIES}
    events: list[Bare] = []
    idle: list[tuple[int, int]] = []
    while len(events) < count:
        kind = rng.random()
        series = SERIES[int(rng.choice(len(SERIES), p=weights))]
        ts = now - lag[series] - int(rng.integers(0, 25))
        if kind < 0.72:
            now += int(rng.integers(0, 15))
        elif kind < 0.77:
            now += int(rng.integers(60, 1_200))
            ts = now
        elif kind < 0.85:
            series = NIGHTLY[int(rng.integers(2))]
            ts = now - NIGHT
        elif kind < 0.88:
            ts = now + SKEW + int(rng.integers(-1, 2)) * _one(rng, (1, 1, 500_000))
        elif kind < 0.96:
            spec = specs[int(rng.integers(len(specs)))]
            edge = (now - spec.offset) // spec.slide * spec.slide + spec.offset
            ts = edge + _one(rng, (0, config["allowed_lateness"])) + int(rng.integers(-1, 2))
        else:
            wide = int(rng.integers(1, 400)) * _one(rng, (1, 1, 5))
            idle.append((len(events), wide))
            now += wide if rng.random() < 0.7 else 0  # or the records that come next were delayed
            continue
        events.append(Bare(series, ts, now, int(rng.integers(0, 1 << 40))))
    idle += [(count, int(rng.integers(1, 700))) for _ in range(int(rng.integers(0, 4)))]
    return events, idle


def _one(rng: np.random.Generator, choices: Sequence[Any]) -> Any:
    return choices[int(rng.integers(len(choices)))]
