"""The same events as records of a topic and as rows of a file: the same windows, alerts, dead letters, late events."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adapters.foreign.writing import WRITERS, Event, iso, source
from tests.laws.harness import AT_THE_END, Line, reference
from tests.oracle.streams import FEATURES, Item, Stream, random_stream

BASELINE = reference()


def as_recorded(stream: Stream, change: Any = lambda event: event) -> Stream:
    """The events of the first partition, each in a record whose timestamp is its ts and whose key is its model."""
    events = [change(item.event) for item in stream.partitions[0] if item.event is not None]
    items = [Item(event["ts"], event["model_id"], event["model_id"].encode(), event) for event in events]
    return replace(stream, partitions={0: items})


def outcome(line: Line) -> Any:
    """Everything that was published."""
    line.run()
    late = [(each.offset, each.timestamp, each.series, each.pane_start) for each in line.broker.late]
    return line.metrics, line.alerts, line.dead_letters, late


def of_file(stream: Stream, path: Path, mapping: dict[str, Any] | None = None) -> Any:
    opened = source(path, mapping=mapping)
    baselines = {BASELINE.baseline_id: BASELINE}
    return outcome(Line(stream, baselines, AT_THE_END, source=lambda *_: opened, decoder=opened.decoder))


def of_topic(stream: Stream) -> Any:
    return outcome(Line(stream, {BASELINE.baseline_id: BASELINE}, AT_THE_END))


@pytest.mark.parametrize("seed", range(4))
def test_every_kind_of_file_gives_the_windows_of_the_recording(seed: int, tmp_path: Path) -> None:
    """Out of order, late, 20 h behind, silent series, reserved names, wrong dimensions, NaN and infinities included."""
    recorded = as_recorded(random_stream(seed, events=150, partitions=1), as_in_text)
    rows = [item.event for item in recorded.partitions[0] if item.event is not None]
    expected = of_topic(recorded)
    assert len(expected[0]) >= 3
    for kind, write in WRITERS.items():
        path = tmp_path / f"events.{kind}"
        write(path, rows)
        assert of_file(recorded, path) == expected, kind


@pytest.mark.parametrize("style", ["microseconds", "iso", "bigquery"])
def test_a_table_with_a_column_for_each_feature_gives_the_windows_of_the_recording(style: str, tmp_path: Path) -> None:
    """Other names, a semicolon between cells, missing features as empty cells, quoted text over several lines."""
    recorded = as_recorded(random_stream(3, events=200, partitions=1), lambda event: with_features(event) | TWO_LINES)
    events = [item.event for item in recorded.partitions[0] if item.event is not None]
    times: dict[str, Callable[[int], str]] = {
        "microseconds": str,
        "iso": iso,
        "bigquery": lambda ts: iso(ts).replace("T", " ").replace("+00:00", " UTC"),
    }
    path = tmp_path / "export.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["when", "model", "note", *FEATURES, *PLAIN])
        for event in events:
            features = ["" if np.isnan(value) else repr(value) for value in event["features"]]
            plain = [event[name] for name in PLAIN]
            writer.writerow([times[style](event["ts"]), event["model_id"], "not; asked for", *features, *plain])
    mapping = {"ts": "when", "model_id": "model", "features": FEATURES}
    without_lists = replace(
        recorded, partitions={0: [replace_event(item, probs=[], embedding=None) for item in recorded.partitions[0]]}
    )
    expected = of_topic(without_lists)
    assert of_file(without_lists, path, mapping) == expected
    assert len(expected[0]) > 10
    assert expected[2]  # there are dead letters
    assert expected[3]  # and late events


PLAIN = (
    *("req_id", "model_version", "lane", "data_hash", "git_commit", "latency_ms", "http_status", "timed_out"),
    *("score", "prediction"),
)
TWO_LINES = {"git_commit": 'one "quoted"\nand another; line'}


def as_in_text(event: Event) -> dict[str, Any]:
    """An empty cell of CSV is null; and a number in text has no other precision than the one in a record."""
    return {**event, "req_id": event["req_id"] or "none", "probs": [float(np.float32(p)) for p in event["probs"]]}


def with_features(event: Event) -> dict[str, Any]:
    """With a column for each, there are always as many as there are columns."""
    numbers = event["features"] if len(event["features"]) == len(FEATURES) else [float("nan")] * len(FEATURES)
    return as_in_text(event) | {"features": numbers}


def replace_event(item: Item, **values: Any) -> Item:
    assert item.event is not None
    return item._replace(event=item.event | values)
