"""A service that answers 1,000 requests a second, with and without the SDK in turns; a process of its own.

python -m tests.bench.service BOOTSTRAP TOPIC SECONDS TURNS

A request: 0.2 ms of computing in Python (the interpreter's lock is held), 1.8 ms of waiting (it is not), as for an
inference on another device. Sixteen threads take them as they come, one each millisecond, and the latency counts from
the moment when a request was due. Prints one JSON object.
"""

from __future__ import annotations

import gc
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from streammon.sdk import EventProducer

RATE = 1_000  # requests per second
COMPUTE, WAIT = 0.000_2, 0.001_8  # seconds
THREADS = 16


class Service:
    """The threads, and what they log."""

    def __init__(self, events: EventProducer) -> None:
        self.events, self.logged = events, 0
        self.fields = arrays(np.random.default_rng(1))

    def turn(self, seconds: float, observed: bool) -> list[float]:
        """Latencies in seconds of the requests of one turn."""
        count, start = int(seconds * RATE), time.perf_counter() + 0.05
        latencies = [0.0] * count
        threads = [
            threading.Thread(target=self._serve, args=(start, range(first, count, THREADS), latencies, observed))
            for first in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if observed:
            self.logged += count
        return latencies

    def _serve(self, start: float, mine: range, latencies: list[float], observed: bool) -> None:
        for number in mine:
            due = start + number / RATE
            if (early := due - time.perf_counter()) > 0:
                time.sleep(early)
            began = time.perf_counter()
            while time.perf_counter() - began < COMPUTE:
                pass
            time.sleep(WAIT)
            if observed:
                self.events.log(f"r{number}", prediction="3", score=0.9, latency_ms=2.0, http_status=200, **self.fields)
            latencies[number] = time.perf_counter() - due


def arrays(rng: np.random.Generator) -> dict[str, Any]:
    """16 features, 10 probabilities, an embedding of 64."""
    return {name: rng.random(n, dtype=np.float32) for name, n in (("features", 16), ("probs", 10), ("embedding", 64))}


def resident() -> int:
    """Bytes of this process in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def main() -> None:
    bootstrap, topic, seconds, turns = sys.argv[1:]
    events = EventProducer(bootstrap, model_id="bench", model_version="1", topic=topic)
    service = Service(events)
    p99: dict[bool, list[float]] = {True: [], False: []}
    service.turn(1.0, True)
    gc.collect()
    before = resident()
    most = 0
    for number in range(int(turns)):
        for observed in (True, False) if number % 2 else (False, True):  # so that a slow stretch hits both
            latencies = sorted(service.turn(float(seconds), observed))
            p99[observed].append(latencies[int(0.99 * len(latencies))])
            most = max(most, resident())
    events.close()
    found = {
        "p99_without": p99[False],
        "p99_with": p99[True],
        "growth_bytes": most - before,
        "calls": service.logged,
        "stats": events.stats()._asdict(),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
