"""An engine fed by hand, one event at a time, with small numbers for times (the units do not matter to an engine)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from streammon.core.baseline import Baseline
from streammon.core.closing import Header
from streammon.core.engine import Engine
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
        self.headers = sorted((h for group in fed.closed for h in group.headers), key=lambda header: header.order)
        return [Window(h.series.model_id, h.start, h.n) for h in self.headers]

    def clock(self, model: str = "a") -> int:
        number = next(k for k, series in enumerate(self.engine.series.names) if series.model_id == model)
        return int(self.engine.clocks_now()[number])
