"""The whole line as a process: a worker that stops when it has committed so many events.

python -m tests.bench.line CONFIG EVENTS [--profile FILE]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

from streammon import worker
from streammon.settings import load
from streammon.telemetry import LOGGER, Event
from tests.bench.bare import cpu

PAGE = 4096  # bytes


class Watch(logging.Handler):
    """Reads the worker's log: when the first commit is through (from then on it reads), and how far the last one is."""

    def __init__(self, events: int) -> None:
        super().__init__()
        self.wanted = events
        self.started = self.ended = self.spent = 0.0
        self.commits = self.snapshots = self.closes = self.alerts = self.position = 0

    @property
    def done(self) -> bool:
        return self.position >= self.wanted

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() != Event.COMMITTED:
            return
        fields: dict[str, Any] = record.__dict__["fields"]
        if not self.started:  # the first commit only says where reading begins
            self.started, self.spent = time.perf_counter(), cpu()
            return
        if self.done:
            return
        self.commits += 1
        self.closes += fields["metrics"]
        self.alerts += fields["alerts"]
        self.snapshots += fields["snapshots"] > 0
        self.position = sum(fields["positions"].values())
        if self.done:
            self.ended, self.spent = time.perf_counter(), cpu() - self.spent


class Memory(threading.Thread):
    """Resident bytes of this process, by events committed."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(daemon=True)
        self.watch = watch
        self.seen: list[tuple[int, int]] = []

    def run(self) -> None:
        while not self.watch.done:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self.seen.append((self.watch.position, pages * PAGE))
            time.sleep(0.25)


def main() -> None:
    """Prints what a `Watch` saw, `seconds` and `cpu` in it, and `memory`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("events", type=int)
    parser.add_argument("--profile", type=Path)
    args = parser.parse_args()
    watch = Watch(args.events)
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.addHandler(watch)
    LOGGER.propagate = False
    memory = Memory(watch)
    memory.start()
    profile = cProfile.Profile(builtins=False) if args.profile else None
    if profile is not None:
        profile.enable()
    worker.run(load(args.config), "earliest", stopping=lambda: watch.done)
    if profile is not None:
        profile.disable()
        profile.dump_stats(args.profile)
    print(
        json.dumps(
            {
                "events": watch.position,
                "seconds": watch.ended - watch.started,
                "cpu": watch.spent,
                "commits": watch.commits,
                "snapshots": watch.snapshots,
                "closes": watch.closes,
                "alerts": watch.alerts,
                "memory": memory.seen,
            }
        )
    )


if __name__ == "__main__":
    main()
