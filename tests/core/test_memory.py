"""The formula for memory: what it says is what the arrays take."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from streammon.core.baseline import Layout
from streammon.core.engine import Engine
from streammon.core.memory import pane_bytes, state_bytes
from streammon.core.outputs import WindowSpec
from streammon.core.panes import BARE, Panes
from streammon.core.plan import ModelShape
from tests.core.batches import events
from tests.core.hand import plan

ROOT = Path(__file__).parents[2]
LAYOUTS = [BARE, Layout(("a",)), Layout(("a", "b", "c"), ("x", "y"), 4)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_pane_takes_what_the_declarations_say(layout: Layout) -> None:
    """Up to the arrays that are the same for a whole store, and 4 bytes for the row of its baseline."""
    panes = Panes()
    pane = panes.open(0, layout, None)
    rows = sum(array.nbytes // len(array) for array in panes.table)
    assert pane_bytes(layout) == rows + sum(np.asarray(array).nbytes for array in panes.state(pane).values())


def test_a_full_partition_takes_no_more_than_the_formula() -> None:
    """20 series and `__other__`, each with all the panes it can have: the arrays hold these, and half as many more."""
    layout = Layout(("a", "b"))
    the_plan = plan(WindowSpec(60, 60), WindowSpec(600, 600), max_series=20, models=(ModelShape("*", layout),))
    engine = Engine(the_plan, 0, {})
    for start in range(0, 660, 60):
        at = min(start, 609)
        engine.feed(events([{"ts": at, "model_id": f"m{k}"} for k in range(25)], engine.position))
    assert engine.fill().panes <= 21 * the_plan.live_panes
    assert engine.panes.nbytes <= 1.6 * state_bytes(the_plan, layout)


def test_the_formula_is_that_of_the_documentation() -> None:
    """`A kB + B kB x F` in the README, for F features."""
    [(fixed, each)] = re.findall(r"\(([\d.]+) kB \+ ([\d.]+) kB x F\)", (ROOT / "README.md").read_text())
    for features in (0, 1, 16, 200):
        said = float(fixed) + float(each) * features
        taken = pane_bytes(Layout(tuple(map(str, range(features))))) / 1000
        assert taken == pytest.approx(said, rel=0.05)
