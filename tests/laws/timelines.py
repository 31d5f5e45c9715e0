"""An engine on the timelines of the oracle: whole or in pieces, with restarts, and with the idle advances."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from streammon.core.aggregates import base
from streammon.core.closing import ClosedGroup, Header
from streammon.core.engine import Engine
from streammon.core.errors import Code
from streammon.core.events import EventBatch
from streammon.core.timeline import LATE
from tests.core.batches import events
from tests.core.hand import idle as idle_entry
from tests.core.test_snapshot import restored
from tests.laws.harness import plan_of
from tests.oracle.clock import Series, Verdict
from tests.oracle.timelines import Bare, Closed, Expected, Timeline

VERDICTS = {int(Code.OK): Verdict.ACCEPTED, LATE: Verdict.LATE, int(Code.FUTURE): Verdict.FUTURE}


class Played(NamedTuple):
    engine: Engine
    found: Expected
    groups: list[ClosedGroup]


def play(timeline: Timeline, cuts: Iterable[int] = (), restarts: Iterable[int] = ()) -> Played:
    """Feed a timeline in batches that end at `cuts`; at `restarts`, the engine is written down and read back."""
    engine = Engine(plan_of(timeline.config, "t"), 0, {})
    batch = batch_of(timeline)
    played = Played(engine, Expected([], [], []), [])
    idle, restarts = list(timeline.idle), sorted(restarts)
    bounds = sorted({0, len(batch), *(cut for cut in cuts if cut < len(batch)), *(q for q, _ in idle), *restarts})
    for low, high in zip(bounds, [*bounds[1:], len(batch)], strict=True):
        while restarts and restarts[0] <= low:
            restarts.pop(0)
            engine = restored(engine)
        while idle and idle[0][0] <= low:
            position, advance = idle.pop(0)
            played.found.until_due.append(engine.until_due())
            played.groups.extend(engine.decide(idle_entry(position, advance)))
        fed = engine.feed(batch.rows(low, high))
        played.groups.extend(fed.closed)
        played.found.verdicts.extend(VERDICTS[code] for code in fed.verdict.tolist())
    played.found.until_due.append(engine.until_due())
    return Played(engine, played.found._replace(closed=closed(played.groups)), played.groups)


def batch_of(timeline: Timeline) -> EventBatch:
    """Latencies are whole numbers, whose sums are exact; sums of scores depend on their order."""
    return events(
        [
            {
                **event.series._asdict(),
                "ts": event.ts,
                "timestamp": event.timestamp,
                "latency_ms": float(event.value),
                "score": event.value % 1009 / 1009,
            }
            for event in timeline.events
        ]
    )


def steady(panes: int, length: int, slide: int = 1, seed: int = 0) -> Timeline:
    """Two events in each of `length` panes of 10; windows of `panes` panes; one that nobody has keeps them narrow."""
    rng = np.random.default_rng(seed)
    series = Series("m", "1", "a")
    values = rng.integers(0, 1 << 40, 2 * length).tolist()
    events = [Bare(series, 5 * k, 5 * k, value) for k, value in enumerate(values)]
    windows, narrow = [(10 * panes, 10 * slide, 0), (10, 10, 0)], {"window": (10, 10, 0), "model": "nobody"}
    config = {"windows": windows, "scopes": [narrow], "allowed_lateness": 0, "idle_grace": 10**6, "max_future_skew": 0}
    return Timeline(config, events)


def folded(timeline: Timeline) -> tuple[int, int]:
    """Rows of state that were folded into others, and the windows of more than one pane that closed.

    Counted at latency.min, the only field of its kind.
    """
    rows, fold = 0, base._FOLD["min"]

    def count(out: NDArray[Any], window: NDArray[np.intp], panes: NDArray[Any]) -> None:
        nonlocal rows
        rows += len(panes)
        fold(out, window, panes)

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(base._FOLD, "min", count)
        groups = play(timeline).groups
    return rows, sum(header.spec.size > 10 for _, _, header in rows_of(groups))


def rows_of(groups: Sequence[ClosedGroup]) -> list[tuple[ClosedGroup, int, Header]]:
    """Windows: the group and the row in it, and its header."""
    return [(group, w, header) for group in groups for w, header in enumerate(group.headers)]


def closed(groups: Sequence[ClosedGroup]) -> list[Closed]:
    """In publishing order; sums of whole numbers below 2^53 are exact."""
    return sorted(
        Closed(
            header.closing_position,
            header.start + header.spec.size,
            (header.spec.size, header.spec.slide, header.spec.offset),
            Series(*header.series),
            header.n,
            header.n_late,
            int(group.aggregates["latency"].state["sum"][w]),
        )
        for group, w, header in rows_of(groups)
    )
