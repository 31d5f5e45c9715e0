"""Replay: of a recorded file beside the decoder alone, on one core and on two; of a topic beside the bare consume loop.

The stream is the pipeline's, with what time costs switched on: sliding windows, roll-ups, windows without events.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from streammon.adapters.avro.decoder import AvroDecoder
from tests.bench import decode, pipeline, stream, topic
from tests.bench.report import Figure, Goal
from tests.broker.jvm_broker import Broker

COMMAND = "make bench ARGS='--only replay'"
EVENTS = "replay-events"
MODELS = 20
MINUTES = 10  # of event time
LEAST_CLOSES = 200
WINDOWS = ("1m", "5m every 1m")
ROLLUPS = ("lanes", "versions", "model")
DECODED = 200_000  # events, for the decoder's own rate


def measure(broker: Broker, folder: Path, events: int, runs: int, profile: Path | None) -> list[Figure]:
    config = topic.configuration(
        folder,
        broker.bootstrap,
        EVENTS,
        "replay",
        topic.baselines(folder, MODELS),
        windows=list(WINDOWS),
        rollups=list(ROLLUPS),
        empty_windows=1,
    )
    span = MINUTES * topic.MINUTE
    topic.fill(broker.bootstrap, EVENTS, stream.events(events, models=MODELS, end=int(time.time() * 1e6), span=span))
    recording = folder / "events.avro"
    streammon("record", "--config", str(config), "--topic", EVENTS, "--out", str(recording))

    def file(jobs: int) -> Callable[[], dict[str, Any]]:
        return lambda: replay(folder, config, "--from", str(recording), "--jobs", str(jobs))

    steps: dict[str, Callable[[], dict[str, Any]]] = {
        "decoder": decoder_alone,
        "one": file(1),
        "two": file(2),
        "bare": lambda: pipeline.child("bare", broker.bootstrap, EVENTS, str(events)),
        "topic": lambda: replay(folder, config, "--topic", EVENTS, "--jobs", "1"),
    }
    steps["one"]()  # compiled, and in the page cache
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in steps}
    for number in range(runs):
        for name, step in steps.items():
            found[name].append(step())
        told = ", ".join(f"{name} {rate(each[-1:]):,.0f}" for name, each in found.items())
        print(f"run {number}: {told} events/s", file=sys.stderr, flush=True)
    if profile is not None:
        replay(folder, config, "--from", str(recording), "--jobs", "1", profile=profile)
    closes = min(run["metrics"] for run in found["one"])
    assert closes >= LEAST_CLOSES, f"a replay closed {closes} windows, fewer than {LEAST_CLOSES}: take more minutes"
    return figures(found)


def figures(found: dict[str, list[dict[str, Any]]]) -> list[Figure]:
    """From what each step said in each run: {"events", "seconds", "cpu"}."""
    speed = {name: rate(each) for name, each in found.items()}
    cpu = {name: statistics.median(run["cpu"] / run["events"] * 1e6 for run in each) for name, each in found.items()}

    def figure(name: str, value: float, unit: str, goal: Goal | None = None) -> Figure:
        return Figure(f"replay.{name}", value, unit, goal, COMMAND)

    return [
        figure("decoder_alone", speed["decoder"], "events/s"),
        figure("one_job", speed["one"], "events/s"),
        figure("share_of_decoder", speed["one"] / speed["decoder"], "x", Goal(at_least=0.25)),
        figure("two_jobs", speed["two"] / speed["one"], "x of one", Goal(at_least=1.7)),
        figure("cpu", cpu["one"], "s/million events"),
        figure("closes", statistics.median(run["metrics"] for run in found["one"]), "in a run"),
        figure("bare_loop", speed["bare"], "events/s"),
        figure("topic", speed["topic"], "events/s"),
        figure("topic_share_of_bare_loop", speed["topic"] / speed["bare"], "x", Goal(at_least=0.35)),
        figure("topic_cpu", cpu["topic"], "s/million events"),
    ]


def rate(runs: list[dict[str, Any]]) -> float:
    """Events a second, the median."""
    return float(statistics.median(run["events"] / run["seconds"] for run in runs))


def decoder_alone() -> dict[str, Any]:
    """From values in one buffer to columns, again and again."""
    values = next(stream.events(decode.BATCH, models=MODELS, end=int(time.time() * 1e6), span=topic.MINUTE)).values
    decoder, joined = AvroDecoder([stream.SCHEMA]), decode.joined(values)
    decoder.decode(joined)  # compiled, or read from numba's cache
    times = []
    for _ in range(DECODED // decode.BATCH):
        started = time.perf_counter()
        decoder.decode(joined)
        times.append(time.perf_counter() - started)
    seconds = statistics.median(times)
    return {"events": decode.BATCH, "seconds": seconds, "cpu": seconds}


def replay(folder: Path, config: Path, *options: str, profile: Path | None = None) -> dict[str, Any]:
    """The command's own summary; `cpu` is that of its processes, their start included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = str(folder / "replayed")
    told = streammon("replay", "--config", str(config), *options, "--out", out, "--replace", "--json", profile=profile)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    summary: dict[str, Any] = json.loads(told)
    return {"cpu": spent, **summary}


def streammon(*arguments: str, profile: Path | None = None) -> str:
    """What a command prints, run as a process."""
    under = [] if profile is None else ["-m", "cProfile", "-o", str(profile)]
    command = [sys.executable, *under, "-m", "streammon", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=dict(os.environ))
    return done.stdout
