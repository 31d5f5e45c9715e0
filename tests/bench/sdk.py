"""What the producer SDK costs the service that it lives in: one call of `log`, and the latency of its requests.

The service (service.py) runs in a process of its own against four brokers: the real one, which is well; an embedded one
that is gone (connections are refused), one that answers each request two seconds late, one that refuses every event.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any

import numpy as np
from confluent_kafka import KafkaError

from streammon.adapters.kafka.embedded import PRODUCE, EmbeddedBroker
from streammon.sdk import EventProducer
from tests.bench.report import Figure, Goal
from tests.bench.service import arrays
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import create_topic

COMMAND = "make bench ARGS='--only sdk'"
TOPIC, PARTITIONS = "sdk-events", 4
CALLS, BLOCK = 20_000, 200
TURNS, SECONDS = 30, 1.0  # with the SDK, and as many without
ROUND_TRIP_MS = 2_000  # of the slow broker
REFUSALS = 100_000  # more than requests are sent
MIB = 1 << 20


def measure(broker: Broker, turns: int = TURNS, seconds: float = SECONDS) -> list[Figure]:
    """All rows of the table."""
    as_numpy = arrays(np.random.default_rng(1))
    as_lists = {name: values.tolist() for name, values in as_numpy.items()}
    figures = [
        Figure(f"sdk.log_{kind}", median(call_times(fields)) * 1e6, "us", Goal(at_most=20), COMMAND)
        for kind, fields in {"numpy": as_numpy, "lists": as_lists}.items()
    ]
    create_topic(broker.bootstrap, TOPIC, PARTITIONS)
    runs = {"well": serve(broker.bootstrap, turns, seconds)}
    for state in ("gone", "slow", "refusing"):
        with troubled(state) as bootstrap:
            runs[state] = serve(bootstrap, turns, seconds)
    for state, found in runs.items():
        without, with_it = quiet(found["p99_without"]), quiet(found["p99_with"])
        figures.append(Figure(f"sdk.p99_broker_{state}", with_it / without, "x without", Goal(at_most=1.05), COMMAND))
        figures.append(Figure(f"sdk.p99_without_{state}", without * 1e3, "ms", None, COMMAND))
    most = max(found["growth_bytes"] for found in runs.values())
    figures.append(Figure("sdk.memory_growth", most / MIB, "MiB", Goal(at_most=64), COMMAND))
    figures.append(Figure("sdk.uncounted", sum(map(uncounted, runs.values())), "events", Goal(at_most=0), COMMAND))
    return figures


def quiet(turns: list[float]) -> float:
    """The lower quartile: what else runs on the machine only ever makes a turn slower, and the median with it."""
    return quantiles(turns, n=4, method="inclusive")[0]


def call_times(fields: dict[str, Any]) -> list[float]:
    """Seconds of each call of `log`, while the events of before are sent."""
    times = []
    with EmbeddedBroker() as broker:
        broker.create(TOPIC, PARTITIONS)
        with EventProducer(broker.address, model_id="bench", model_version="1", topic=TOPIC) as events:
            for number in range(CALLS):
                before = time.perf_counter()
                events.log(f"r{number}", prediction="3", score=0.9, latency_ms=2.0, http_status=200, **fields)
                times.append(time.perf_counter() - before)
                if number % BLOCK == BLOCK - 1:
                    time.sleep(0.01)
        assert events.stats() == (CALLS, CALLS, 0, {})
    return times


@contextmanager
def troubled(state: str) -> Iterator[str]:
    """The address of an embedded broker in trouble."""
    with EmbeddedBroker() as broker:
        broker.create(TOPIC, PARTITIONS)
        if state == "gone":
            broker.set_down()
        elif state == "slow":
            broker.set_rtt(ROUND_TRIP_MS)
        else:
            broker.push_errors(PRODUCE, *[KafkaError.TOPIC_AUTHORIZATION_FAILED] * REFUSALS)
        yield broker.address


def serve(bootstrap: str, turns: int, seconds: float) -> dict[str, Any]:
    """What tests.bench.service found."""
    command = [sys.executable, "-m", "tests.bench.service", bootstrap, TOPIC, str(seconds), str(turns)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def uncounted(found: dict[str, Any]) -> int:
    """Calls of `log` that are neither delivered nor dropped at the end."""
    stats = found["stats"]
    lost: int = found["calls"] - stats["delivered"] - sum(stats["dropped"].values())
    return abs(lost)
