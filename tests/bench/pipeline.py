"""The whole line, exactly-once on, beside a bare consume loop on the same topic."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench import stream, topic
from tests.bench.report import Figure, Goal
from tests.broker.jvm_broker import Broker

COMMAND = "make bench ARGS='--only pipeline'"
EVENTS = "bench-events"
MODELS = 20
MINUTES = 10  # of event time: 40 series close a window each minute, and one of five minutes
LEAST = {"closes": 200, "commits": 20, "snapshots": 3}  # in each timed span


def measure(broker: Broker, folder: Path, events: int, runs: int, profile: Path | None) -> list[Figure]:
    paths = topic.baselines(folder, MODELS)
    span = MINUTES * topic.MINUTE

    def configured(name: str) -> Path:
        return topic.configuration(folder, broker.bootstrap, EVENTS, name, paths)

    configured("warm-up")  # creates the input
    topic.fill(broker.bootstrap, EVENTS, stream.events(events, models=MODELS, end=int(time.time() * 1e6), span=span))
    bare, line = [], []
    work(configured("warm-up"), events)
    for number in range(runs):
        bare.append(child("bare", broker.bootstrap, EVENTS, str(events)))
        line.append(work(configured(f"run-{number}"), events))
        print(_told(number, bare[-1], line[-1]), file=sys.stderr, flush=True)
    if profile is not None:
        work(configured("profile"), events, "--profile", str(profile))
    for name, least in LEAST.items():
        assert all(run[name] >= least for run in line), f"a run had fewer than {least} {name}: take more events"
    speed = statistics.median(run["events"] / run["seconds"] for run in line)
    unit = statistics.median(run["events"] / run["seconds"] for run in bare)
    return [
        Figure("pipeline", speed, "events/s", None, COMMAND),
        Figure("pipeline.bare_loop", unit, "events/s", None, COMMAND),
        Figure("pipeline.share_of_bare_loop", speed / unit, "x", Goal(at_least=0.35), COMMAND),
        Figure("pipeline.cpu", _cpu(line), "s/million events", Goal(at_most=5), COMMAND),
        Figure("pipeline.cpu_of_bare_loop", _cpu(bare), "s/million events", None, COMMAND),
        Figure("pipeline.commits", statistics.median(run["commits"] for run in line), "in the span", None, COMMAND),
        Figure("pipeline.snapshots", statistics.median(run["snapshots"] for run in line), "in the span", None, COMMAND),
        Figure("pipeline.closes", statistics.median(run["closes"] for run in line), "in the span", None, COMMAND),
    ]


def work(config: Path, events: int, *more: str) -> dict[str, Any]:
    """A worker on everything; see line.py."""
    return child("line", str(config), str(events), *more)


def child(module: str, *arguments: str) -> dict[str, Any]:
    """What a module of this package prints, run as a process."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _cpu(runs: list[dict[str, Any]]) -> float:
    return float(statistics.median(run["cpu"] / run["events"] * 1e6 for run in runs))


def _told(number: int, bare: dict[str, Any], line: dict[str, Any]) -> str:
    rates = [run["events"] / run["seconds"] for run in (bare, line)]
    return f"run {number}: bare loop {rates[0]:,.0f}, pipeline {rates[1]:,.0f} events/s, {rates[1] / rates[0]:.2f}"
