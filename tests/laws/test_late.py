"""Laws of late records: each late event once, whatever the split and wherever the worker dies; counted in any case."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.core.commit import CommitPolicy
from streammon.core.ports import LateRecord, Observer, Outputs
from tests.laws.harness import AT_THE_END, Line
from tests.laws.test_line_laws import CRASHES, PIECES
from tests.oracle import files
from tests.oracle.oracle import run as oracle
from tests.oracle.streams import Stream, random_stream

SEEDS = st.integers(0, 9)


@cache
def stream_of(seed: int) -> Stream:
    """One in two has more series than its limit allows."""
    return random_stream(seed, 80, max_series=(None, 2)[seed % 2])


@cache
def late_of(seed: int) -> list[tuple[int, int]]:
    """By the oracle: (partition, offset)."""
    stream = stream_of(seed)
    return sorted(oracle(stream.records(), stream.topic, stream.config).late)


def places(line: Line) -> list[tuple[int, int]]:
    return sorted((record.partition, record.offset) for record in line.broker.late)


@settings(max_examples=10)
@given(seed=SEEDS, pieces=PIECES, crashes=CRASHES)
def test_each_late_event_has_one_record_however_the_log_is_split_and_wherever_the_worker_dies(
    seed: int, pieces: list[tuple[int, int]], crashes: list[tuple[int, str]]
) -> None:
    """Those that are read again in a recovery are published already."""
    line = Line(stream_of(seed)).run(pieces, crashes)
    assert places(line) == late_of(seed) != []


def test_a_late_record_says_what_its_event_says() -> None:
    """The record as it was read, the event's own series (beyond the limit too) and the pane around its ts."""
    seen = 0
    for seed in range(10):
        stream = stream_of(seed)
        windows = stream.config["windows"]
        width = gcd(*(n for size, slide, offset in windows for n in (size, slide, offset - windows[0][2])))
        for record in Line(stream, policy=AT_THE_END).run().broker.late:
            held = stream.partitions[record.partition][record.offset]
            event = files.decode(held.value or b"")
            assert record.origin[:2] == (held.key, held.value)
            assert record.timestamp == held.timestamp
            assert record.series == (event["model_id"], event["model_version"], event["lane"])
            assert record.pane_start <= event["ts"] < record.pane_end == record.pane_start + width
            assert (record.pane_start - windows[0][2]) % width == 0
            seen += 1
    assert seen > 50


def test_without_a_topic_for_them_they_are_counted_only() -> None:
    with_topic, without = Line(stream_of(0)).run(), Line(stream_of(0), keeps_late=False).run()
    assert without.broker.late == []
    assert without.broker.metrics == with_topic.broker.metrics
    assert sum(metric["n_late"] for metric in without.metrics) > 0


@dataclass
class Told(Observer):
    """Keeps what it is told of commits."""

    commits: list[list[LateRecord]] = field(default_factory=list)

    def committed(self, outputs: Outputs, seconds: float) -> None:
        self.commits.append(outputs.late)


@pytest.mark.parametrize("size", [100, 20_000])
def test_late_records_do_not_wait_once_they_are_large(size: int) -> None:
    """A commit holds no more than most_bytes and what came with the last batch."""
    stream = random_stream(4, 60)
    late = next(offset for partition, offset in places(Line(stream, policy=AT_THE_END).run()) if partition == 0)
    event = files.decode(stream.partitions[0][late].value or b"") | {"req_id": "x" * size}
    stream.partitions[0] += [stream.partitions[0][-1]._replace(event=None, raw=files.encode(event))] * 400
    told = Told()
    policy = CommitPolicy(interval=1e9, least=1e9, snapshot_interval=1e9, snapshot_events=1 << 62, most_bytes=100_000)
    Line(stream, policy=policy, observer=told).run([(0, 10)] * 60)
    held = [sum(len(record.origin.value or b"") for record in late) for late in told.commits]
    assert sum(held) >= 400 * size
    assert max(held) <= 100_000 + 10 * (size + 1_000)
    assert len(held) >= sum(held) / (100_000 + 10 * (size + 1_000))
