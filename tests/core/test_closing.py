"""Closing: many windows at once, in pieces that fit into memory."""

from __future__ import annotations

import pytest

from streammon.core import closing
from streammon.core.outputs import WindowSpec
from streammon.core.publish import metric_events
from tests.core.batches import events
from tests.core.hand import Hand, plan
from tests.laws.harness import SUITE

SERIES, PANES = 20, 6


@pytest.mark.parametrize("at_once", [1, PANES, 2 * PANES + 1, SERIES * PANES, 4_096])
def test_windows_that_close_together_are_merged_in_pieces(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 silent series, whose windows of 6 panes one event closes: no more panes are gathered at once than allowed."""
    monkeypatch.setattr(closing, "PANES_AT_ONCE", at_once)
    hand = Hand(plan(WindowSpec(60 * PANES, 60 * PANES), WindowSpec(60, 60), allowed_lateness=600))
    for pane in range(PANES):
        for series in range(SERIES):
            hand.event(60 * pane + series, f"m{series}", latency_ms=float(series))
    fed = hand.engine.feed(events([{"ts": 5_000, "model_id": "live"}], hand.engine.position))
    longest = max(len(group.headers) for group in fed.closed)
    assert longest <= max(1, at_once)
    found = metric_events(hand.engine.plan, fed.closed, SUITE)
    long = [event for header, event, _ in found if header.spec.size > 60]
    assert len(found) == SERIES * (PANES + 1)
    assert [(event.series.model_id, event.n) for event in long] == sorted((f"m{k}", PANES) for k in range(SERIES))
    for event in long:
        [mean] = [m.value for m in event.measurements if m.name == "latency.mean"]
        assert mean == float(event.series.model_id[1:])


def test_no_piece_has_more_panes_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 3, 1, 2, 9, 1 panes, three at once: [3] [1 2] [9] [1]."""
    monkeypatch.setattr(closing, "PANES_AT_ONCE", 3)
    windows = [closing.Closing(None, list(range(n))) for n in (3, 1, 2, 9, 1)]  # type: ignore[arg-type]  # not looked at
    pieces = [[len(window.panes) for window in piece] for piece in closing._blocks(windows)]
    assert pieces == [[3], [1, 2], [9], [1]]
