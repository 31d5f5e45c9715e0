"""Law 3: what live published, a replay of the recorded topic and journal, and an independent oracle are the same set.

In the run: partitions move twice, all of them are silent twice for longer than `idle_timeout`, and some baselines come
only when the workers start again in the middle. Windows slide and tumble over shared panes, with roll-ups, late events
and windows without events.

    events    |==========|............|=====|=====|=====|............|==========|
    workers   |first ------------------------------- stop|first, with more baselines --------- stop
    second                             |joins ----- goes|
    journal   |policy, 3 baselines    |idle              |3 baselines          |idle
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streammon.simulate.partitioner import partition_of
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import committed, end_offsets, eventually
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import RULES, Line, build_baselines, make_line
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import Feed, inferences
from tests.faults.workers import Crew, crew

SEED = 3
SILENCES = {0.4: 2.0, 0.8: 15.0}  # share of the stream after which nothing comes: seconds of event time without any
FIRST, SECOND = SILENCES
CATCH_UP_SECONDS = 300.0
IDLE_SECONDS = 180.0  # for the journal to say that a partition is silent

pytestmark = [pytest.mark.broker, pytest.mark.slow]


class Size(NamedTuple):
    events: int
    models: int
    partitions: int
    span: float  # seconds of event time
    rate: float  # records a second
    idle_timeout: str
    beginning: tuple[int, ...]  # numbers of the models whose baselines are there from then on
    middle: tuple[int, ...]


WHOLE = Size(
    510_000,  # a model that falls silent leaves 500,000
    models=20,
    partitions=8,
    span=300.0,
    rate=25_000.0,
    idle_timeout="3s",
    beginning=(0, 1, 2),
    middle=(3, 4, 5),
)
PART = Size(10_000, models=6, partitions=2, span=50.0, rate=10_000.0, idle_timeout="1s", beginning=(0,), middle=(1,))


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_replay_and_oracle_say_what_live_published(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    """500,000 events in 8 partitions, of 20 models x 2 lanes."""
    equal(broker, topics, tmp_path, WHOLE)


@pytest.mark.timeout(300)
def test_a_small_part_of_it(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    """The same run with 10,000 events in 2 partitions."""
    equal(broker, topics, tmp_path, PART)


def equal(broker: Broker, topics: Topics, folder: Path, size: Size) -> None:
    """Runs the line, and compares what it published with the oracle (ids, counts and integers exactly, floats within
    1e-9) and with a replay of what was recorded (bit for bit), and the whole of it with one of the topic itself.
    """
    paths = build_baselines(folder / "baselines", (*size.beginning, *size.middle))
    line = time_line(broker, topics, folder, size, paths[: len(size.beginning)])
    later = line.with_settings("later", baselines=[str(path) for path in paths])
    records = inferences(
        size.events, models=size.models, partitions=size.partitions, span=size.span, seed=SEED, gaps=SILENCES
    )
    homes = {partition_of(record.key or b"", size.partitions) for record in records[:1000]}
    assert len(homes) == size.partitions, "a partition is empty: it has nothing to close when it falls silent"
    with (
        crew(line.config, folder / "logs") as workers,
        Feed(broker.bootstrap, line.topic("events"), records, part=size.events // 100, rate=size.rate) as feed,
    ):
        middle = live(line, later, workers, feed)
    found = published.read(line)
    entries = Counter(entry["kind"] for entry in found.journal)
    print(f"{len(records)} records, {len(found.metrics)} metric and {len(found.alerts)} alert events, {dict(entries)}")
    expected = verdict.expect(later, found.journal)
    print(f"{len(expected.late)} late events; oracle: {len(expected.metrics)} metric events")
    activated = [(partition, position, "baseline") for partition, position in middle.items() for _ in size.middle]
    verdict.none(verdict.differences(line, expected, found, activated))
    verdict.none(verdict.replay_differences(later, found, folder))
    if size is WHOLE:
        verdict.none(verdict.topic_replay_differences(later, found, folder))
    had_what_it_takes(found, expected.late)


def time_line(broker: Broker, topics: Topics, folder: Path, size: Size, baselines: list[Path]) -> Line:
    windows = {"10s": "5s", "30s": "15s every 5s"}
    rules: list[dict[str, Any]] = [{**rule, "window": windows[rule["window"]]} for rule in RULES]
    rules.append({"id": "slow-model", "measurement": "latency.p95", "window": "5s", "lane": "[*]", "above": 22})
    models = {"match": "digits-[3-7]", "features": 16, "classes": [str(n) for n in range(10)], "embedding": 64}
    return make_line(
        broker.bootstrap,
        topics.prefix,
        folder,
        partitions=size.partitions,
        baselines=baselines,
        windows=list(windows.values()),
        rollups=["lanes", "model"],
        empty_windows=2,
        idle_timeout=size.idle_timeout,
        models=[models],
        rules=rules,
    )


def live(line: Line, later: Line, workers: Crew, feed: Feed) -> dict[int, int]:
    """The run, as the head of this file draws it; returns the positions at which the later baselines came."""
    first = workers.start(start="earliest")
    second, third = workers.prepare(), workers.prepare(config=later.config)
    feed.release_to(FIRST)
    await_silence(line, 1)
    second.go()
    second.await_event("restored")
    first.await_event("kept")
    feed.release_to(0.5)
    second.terminate()
    first.await_event("restored", len(second.events("restored")))
    feed.release_to(0.6)
    first.terminate()
    middle = committed(line.bootstrap, line.group, line.topic("events"))
    third.go()
    third.await_event("live")
    feed.release_to(SECOND)
    await_silence(line, 2)
    feed.finish()
    await_caught_up(line, third, timeout=CATCH_UP_SECONDS)
    third.terminate()
    return middle


def await_silence(line: Line, times: int) -> None:
    """Return once the journal says of every partition, at its end and `times` ends in all, that it is silent."""
    ends = end_offsets(line.bootstrap, line.topic("events"))

    def said() -> bool:
        places = {
            (entry["partition"], entry["position"])
            for entry in published.events(line, "journal", "journal_entry")
            if entry["kind"] == "idle"
        }
        return places >= set(ends.items()) and all(
            sum(partition == p for partition, _ in places) >= times for p in ends
        )

    eventually(said, f"an idle advance of every partition at {ends}", IDLE_SECONDS, every=0.2)


def had_what_it_takes(found: published.Published, late: list[tuple[int, int]]) -> None:
    """The run was about what it says: else equality says little."""
    states = Counter(metric["baseline_state"] for metric in found.metrics)
    assert set(states) == {"ok", "no_baseline", "spans_two"}, states
    assert late, "no event was late"
    assert any(metric["n_late"] for metric in found.metrics)
    assert any(metric["n"] == 0 for metric in found.metrics), "no window was empty"
    assert any(metric["lane"] == "*" for metric in found.metrics), "no roll-up"
    ends = {(entry["partition"], entry["position"]) for entry in found.journal if entry["kind"] == "idle"}
    assert any((metric["partition"], metric["closing_position"]) in ends for metric in found.metrics)
    activations = [json.loads(entry["value"]) for entry in found.journal if entry["kind"] == "baseline"]
    assert any(activation["effective_from"] is not None for activation in activations)
    assert {alert["state"] for alert in found.alerts} >= {"FIRING", "RESOLVED"}
