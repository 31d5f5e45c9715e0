"""An engine fed by hand, one event at a time, with small numbers for times (the units do not matter to an engine)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from streammon.core.baseline import Baseline
from streammon.core.closing import ClosedGroup, Header
from streammon.core.engine import Engine
from streammon.core.journal import JournalEntry, Kind
from streammon.core.outputs import WindowSpec
from streammon.core.plan import Plan
from tests.core.batches import events

MINUTE = WindowSpec(60, 60)


class Window(NamedTuple):
    """What a closed window says in the tests' timelines."""

    model: str
    start: int
    n: int


def plan(*windows: WindowSpec, **settings: Any) -> Plan:
    """Lateness 10, grace 120, skew 300, unless the settings say otherwise."""
    times = {"allowed_lateness": 10, "idle_grace": 120, "max_future_skew": 300}
    return Plan("inference-events", windows or (MINUTE,), **(times | settings))


def idle(position: int, advance: int) -> JournalEntry:
    """The decision that a partition was silent for so long."""
    return JournalEntry("inference-events", 0, position, 0, Kind.IDLE, json.dumps({"advance": advance}))


class Hand:
    """Feeds one engine; the offset of an event is its number."""

    def __init__(self, the_plan: Plan | None = None, baselines: Mapping[str, Baseline] | None = None) -> None:
        self.engine = Engine(the_plan or plan(), 0, baselines or {})
        self.headers: list[Header] = []  # of the last event
        self.verdict = 0  # on it

    def event(self, ts: int, model: str = "a", **values: Any) -> list[Window]:
        """Feed an event; returns the windows that it closes, in order."""
        fed = self.engine.feed(events([{"ts": ts, "model_id": model, **values}], self.engine.position))
        self.verdict = int(fed.verdict[0])
        return self._closed(fed.closed)

    def silence(self, advance: int) -> list[Window]:
        """The partition was silent for so long; returns the windows that this closes, in order."""
        return self._closed(self.engine.decide(idle(self.engine.position, advance)))

    def _closed(self, groups: Sequence[ClosedGroup]) -> list[Window]:
        self.headers = sorted((h for group in groups for h in group.headers), key=lambda header: header.order)
        return [Window(h.series.model_id, h.start, h.n) for h in self.headers]

    def clock(self, model: str = "a", lane: str | None = None) -> int:
        """Of the first series of a model, or of its lane."""
        names = self.engine.series.names
        number = next(k for k, series in enumerate(names) if series.model_id == model and lane in (None, series.lane))
        return int(self.engine.clocks_now()[number])
