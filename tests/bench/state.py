"""The state of one partition as a process of its own: SERIES series that each hold all the panes they ever do.

python -m tests.bench.state EVENTS_PER_PANE

Prints one JSON object: "series" and live "panes", "counted" bytes as the engine counts them, "aggregates" (bytes of a
pane by aggregate), "resident" bytes that feeding added, and "peak", the most that feeding and a snapshot took.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.baselines.store import load_all
from streammon.core import snapshot
from streammon.core.engine import Engine
from streammon.core.outputs import WindowSpec
from streammon.core.plan import Plan
from streammon.core.state import ActiveBaseline
from tests.bench import decode, stream, topic

MODELS, LANES = 20, 50
WINDOWS = (WindowSpec(topic.MINUTE, topic.MINUTE), WindowSpec(60 * topic.MINUTE, topic.MINUTE))
END = (
    1_790_000_000_000_000 // topic.MINUTE * topic.MINUTE + 5_000_000
)  # the first pane is not sealed for the last window yet
BATCH = 10_000
PATTERNS = 64


def main() -> None:
    engine = engine_of(Plan(topic="events", windows=WINDOWS))
    print(json.dumps(measured(engine, int(sys.argv[1]))))


def engine_of(plan: Plan) -> Engine:
    """Nothing counted yet; a baseline of every model is active."""
    with tempfile.TemporaryDirectory() as folder:
        paths = topic.baselines(Path(folder), MODELS)
        baselines = {baseline.baseline_id: baseline for baseline in load_all([Path(path) for path in paths])}
    engine = Engine(plan, 0, baselines)
    for one in baselines.values():
        engine.activate(ActiveBaseline(one.baseline_id, one.model_id, one.model_version, one.content_hash, None))
    return engine


def measured(engine: Engine, each: int) -> dict[str, Any]:
    """What `each` events a pane of every series make of it, over as long as the longest window lasts."""
    plan, decoder, before, done = engine.plan, AvroDecoder([stream.SCHEMA]), 0, 0
    count, span = MODELS * LANES * plan.live_panes * each, plan.live_panes * plan.pane_width
    for block in stream.events(count, models=MODELS, lanes=LANES, end=END, span=span, each=PATTERNS):
        before = before or resident()
        for low in range(0, len(block.values), BATCH):
            values = block.values[low : low + BATCH]
            engine.feed(decoder.decode(decode.joined(values, first=done, timestamp=END)))
            done += len(values)
    fill, grown = engine.fill(), resident() - before
    held = snapshot.panes(engine)
    return {
        "series": fill.series,
        "panes": fill.panes,
        "counted": fill.bytes,
        "aggregates": by_aggregate(engine),
        "resident": grown,
        "peak": resident("VmHWM") - before,
        "copied": len(held),
    }


def by_aggregate(engine: Engine) -> dict[str, float]:
    """Bytes of a pane in the greatest store."""
    store = max(engine.panes.stores, key=lambda store: store.nbytes)
    slots = len(store.reference)
    return {name: sum(array.nbytes for array in state.values()) / slots for name, state in store.state.items()}


def resident(field: str = "VmRSS") -> int:
    """Bytes of this process in memory, or the most there ever were."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
