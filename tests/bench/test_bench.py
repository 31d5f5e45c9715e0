"""The benchmark's own parts: a stream that is what it says, and a report that does not hide a missed goal."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import fastavro

from tests.bench import replay, stream
from tests.bench.report import Figure, Goal, table, write


def test_the_stream_is_what_it_says() -> None:
    """As many events of every series, over the span, each with an id of its own, in Avro that fastavro reads."""
    span, end = 60_000_000, 1_790_000_000_000_000
    blocks = list(stream.events(60_000, models=3, end=end, span=span))
    values = [value for block in blocks for value in block.values]
    keys = [key for block in blocks for key in block.keys]
    assert all(value.startswith(stream.HEADER) for value in values)
    events: list[Any] = [
        fastavro.schemaless_reader(io.BytesIO(value[len(stream.HEADER) :]), stream.PARSED, None)
        for value in values[::7]
    ]
    times = [event["ts"] for event in events]
    assert times == sorted(times)
    assert end - span < times[0] < end - span + span // 1000
    assert len({value[stream.REQUEST_AT :][: stream.REQUEST_BYTES] for value in values}) == 60_000
    assert [event["model_id"].encode() for event in events] == keys[::7]
    shares = Counter((event["model_id"], event["lane"]) for event in events)
    assert len(shares) == 6
    assert min(shares.values()) > 0.8 * len(events) / 6
    assert {len(event["features"]) for event in events} == {16}


def test_the_same_arguments_give_the_same_stream() -> None:
    first, second = (next(stream.events(100, models=2, end=10**15, span=10**6, seed=4)) for _ in range(2))
    assert first == second


def test_a_missed_goal_shows(tmp_path: Path) -> None:
    """In the table and in the file; what an earlier run measured of other things stays."""
    figures = [Figure("a", 0.3, "x", Goal(at_least=0.35), "make a"), Figure("b", 4.0, "s", Goal(at_most=5), "make b")]
    lines = table(figures).splitlines()
    assert lines[1].endswith("MISSED")
    assert lines[2].endswith("met")
    path = tmp_path / "build" / "bench.json"
    write([Figure("c", 1.0, "", None, "make c")], path)
    write(figures, path)
    found = {item["name"]: item for item in json.loads(path.read_text())}
    assert {name: item["met"] for name, item in found.items()} == {"a": False, "b": True, "c": None}
    assert found["a"] == {
        "name": "a", "value": 0.3, "unit": "x", "goal": ">= 0.35", "met": False, "command": "make a",
    }  # fmt: skip


def test_a_stream_of_many_lanes() -> None:
    """Each lane has a name of its own, and its events are of so many patterns."""
    block = next(stream.events(2_000, models=2, lanes=5, each=4, end=10**15, span=10**6))
    events: list[Any] = [
        fastavro.schemaless_reader(io.BytesIO(value[len(stream.HEADER) :]), stream.PARSED, None)
        for value in block.values
    ]
    patterns = {(event["model_id"], event["lane"], event["latency_ms"]) for event in events}
    assert Counter((model, lane) for model, lane, _ in patterns) == {
        (f"model-000{model}", lane): 4 for model in range(2) for lane in ("prod", "canary", "arm-2", "arm-3", "arm-4")
    }


def test_replay_is_held_to_the_medians_of_the_same_run() -> None:
    """The share of the decoder's rate, the gain from a second job, the share of the bare loop's; CPU per million."""

    def runs(*seconds: float, cpu: float = 1.0) -> list[dict[str, Any]]:
        return [{"events": 1_000_000, "seconds": each, "cpu": cpu, "metrics": 300} for each in seconds]

    found = {
        "decoder": runs(0.5, 0.4, 0.6),
        "one": runs(2.0, 9.0, 1.0, cpu=3.0),
        "two": runs(1.25, 1.0, 2.0),
        "bare": runs(1.0, 1.0, 1.0),
        "topic": runs(4.0, 4.0, 4.0, cpu=5.0),
    }
    figures = {figure.name: figure for figure in replay.figures(found)}
    values = {name: round(figure.value, 6) for name, figure in figures.items()}
    assert values["replay.share_of_decoder"] == 0.25
    assert values["replay.two_jobs"] == 1.6
    assert values["replay.topic_share_of_bare_loop"] == 0.25
    assert (values["replay.cpu"], values["replay.topic_cpu"]) == (3.0, 5.0)
    goals = {name: figure.met for name, figure in figures.items() if figure.goal is not None}
    assert goals == {
        "replay.share_of_decoder": True,
        "replay.two_jobs": False,
        "replay.topic_share_of_bare_loop": False,
    }
