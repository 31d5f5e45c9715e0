"""`make bench`: what streammon costs, as ratios of runs that alternate, because machines are shared and noisy.

python -m tests.bench [--only PART ...] [--events N] [--runs 5] [--profile FILE]

Prints a table and writes build/bench.json. The broker is that of the tests, on this machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench import decode, memory, pipeline, replay, sdk
from tests.bench.report import Figure, table, write
from tests.broker.jvm_broker import Broker, find_broker

OUT = Path("build/bench.json")
PARTS = ("decode", "pipeline", "replay", "memory", "cap", "state", "sdk")
MOST, REPLAYED = 10_000_000, 4_000_000  # events of the pipeline's stream, and of the replay's


def main() -> int:
    """Exit code 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART")
    parser.add_argument("--events", type=int, help=f"of the stream: pipeline {MOST:,}, replay {REPLAYED:,}")
    parser.add_argument("--runs", type=int, default=5, help="of the pipeline, the replay, and what they are held to")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="one more run, under cProfile")
    args = parser.parse_args()
    alone: dict[str, Callable[[], list[Figure]]] = {"decode": decode.measure, "state": memory.measure_state}
    parts: dict[str, Callable[[Broker, Path], list[Figure]]] = {
        "pipeline": lambda b, folder: pipeline.measure(b, folder, args.events or MOST, args.runs, args.profile),
        "replay": lambda b, folder: replay.measure(b, folder, args.events or REPLAYED, args.runs, args.profile),
        "memory": memory.measure,
        "cap": memory.measure_at_cap,
        "sdk": lambda broker, _: sdk.measure(broker),
    }
    wanted = args.only or PARTS
    figures = [figure for name, step in alone.items() if name in wanted for figure in step()]
    for name in (name for name in parts if name in wanted):
        with tempfile.TemporaryDirectory() as folder:  # a broker of its own: the streams fill its disk
            broker = find_broker(Path(folder) / "broker")
            try:
                figures += parts[name](broker, Path(folder))
            finally:
                broker.close()
    write(figures, OUT)
    print(table(figures))
    return 0 if all(figure.met is not False for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
