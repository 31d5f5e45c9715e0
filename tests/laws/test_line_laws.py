"""Laws of the whole line, on random streams, against the independent oracle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.core.journal import JournalEntry, Kind
from streammon.core.ports import CommitRefusedError, OutcomeUnknownError
from tests.laws.harness import AT_THE_END, Line, reference, saved
from tests.oracle.compare import compare, order_differences
from tests.oracle.oracle import Result
from tests.oracle.oracle import run as oracle
from tests.oracle.streams import RULES, SECOND, TIMES, Stream, random_stream, streams

BASELINE = reference()
BASELINES = {BASELINE.baseline_id: BASELINE}

# Pieces in which a log is read: (partition, records). What they leave over is read in whole partitions.
PIECES = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 25)), min_size=4, max_size=30)
CRASHES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["before", "after"])), max_size=4)


# Commits (the 2nd, 3rd, ...) of one life that go wrong: undone; or nobody knows, and they are done or not.
COMMITS = st.integers(2, 8)
UNDONE = st.sampled_from([CommitRefusedError, OutcomeUnknownError])
TROUBLES = st.builds(
    lambda undone, done: undone | done,
    st.dictionaries(st.tuples(COMMITS, st.just("before")), UNDONE, max_size=4),
    st.dictionaries(st.tuples(COMMITS, st.just("after")), st.just(OutcomeUnknownError), max_size=2),
)

STREAMS = 100  # and more, longer ones, in `make faults`
EVENTS = 90  # records of a partition


def stream_of(seed: int, events: int = EVENTS) -> Stream:
    """Two in three have more series than their limit allows; one in eight has sliding windows, roll-ups and more."""
    stream = random_stream(seed, events, max_series=(None, 3, 1)[seed % 3])
    rules = [*stream.config["rules"], *TIMES["rules"][len(RULES) :]]
    return replace(stream, config=stream.config | TIMES | {"rules": rules}) if seed % 8 == 1 else stream


@cache
def uncut(seed: int) -> Line:
    """A stream read in one piece per partition."""
    return Line(stream_of(seed), BASELINES).run()


def silences(stream: Stream, seed: int) -> dict[int, list[tuple[int, int]]]:
    """Idle advances for the oracle: by partition, (position, advance), some at one position, some behind the end."""
    rng = np.random.default_rng(seed)
    found = {}
    for partition, items in stream.partitions.items():
        positions = sorted(rng.integers(1, len(items) + 1, 5).tolist()) + [len(items)] * int(rng.integers(3))
        found[partition] = [(position, int(rng.integers(1, 400)) * SECOND) for position in positions]
    return found


def journalled(line: Line, idle: Mapping[int, list[tuple[int, int]]]) -> Line:
    """The line with a journal that holds these idle advances behind what it decides at the beginning."""
    topic, partitions = line.stream.topic, line.stream.partitions
    journal = Line(line.stream, line.baselines).read(*((partition, 1) for partition in partitions)).broker.journal
    for partition in partitions:
        first = sum(entry.partition == partition for entry in journal)
        for sequence, (position, advance) in enumerate(idle[partition], first):
            value = json.dumps({"advance": advance})
            journal.append(JournalEntry(topic, partition, position, sequence, Kind.IDLE, value))
    line.decides, line.broker.journal = False, journal
    return line


def assert_published(line: Line, expected: Result, seed: int) -> None:
    """Windows, numbers, alerts and dead letters of a line are the oracle's, each once and in order."""
    assert compare(expected, line.metrics, line.alerts) == [], f"seed {seed}"
    assert order_differences(expected, line.metrics, line.alerts) == [], f"seed {seed}"
    letters = sorted((d.partition, d.offset, d.code) for d in expected.dead_letters)
    assert line.dead_letters == letters, f"seed {seed}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The baseline as the oracle reads it."""
    return saved(BASELINE, tmp_path_factory.mktemp("oracle") / "baseline")


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, STREAMS, 25))
def test_the_line_publishes_what_the_oracle_does(first: int, directory: Path) -> None:
    """100 streams: out of order, silent, future, 20 h old, with a baseline and without, of too many series."""
    for seed in range(first, first + 25):
        stream = stream_of(seed, 60)
        line = Line(stream, BASELINES, AT_THE_END).run()
        expected = oracle(stream.records(), stream.topic, stream.config | {"baselines": [directory]})
        assert_published(line, expected, seed)


@pytest.mark.faults
@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(STREAMS, STREAMS + 400, 50))
def test_many_more_streams_of_many_commits(first: int, directory: Path) -> None:
    """400 longer streams; snapshots and commits wherever they fall."""
    for seed in range(first, first + 50):
        stream = stream_of(seed, 300)
        line = Line(stream, BASELINES).run([(0, 37), (1, 53)] * 10)
        expected = oracle(stream.records(), stream.topic, stream.config | {"baselines": [directory]})
        assert_published(line, expected, seed)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 20, 10))
def test_with_a_journal_of_silence_the_line_publishes_what_the_oracle_does(first: int, directory: Path) -> None:
    """20 streams with idle advances anywhere; one in two has roll-ups, sliding and empty windows."""
    for seed in range(first, first + 10):
        stream = stream_of(4 * seed + 1, 40)
        idle = silences(stream, seed)
        line = journalled(Line(stream, BASELINES, AT_THE_END), idle).run()
        expected = oracle(stream.records(), stream.topic, stream.config | {"baselines": [directory], "idle": idle})
        assert_published(line, expected, seed)


@pytest.mark.parametrize("seed", [1, 9])
def test_silence_in_the_journal_gives_the_same_bytes_in_crumbs_and_crashes(seed: int) -> None:
    """Windows that a record and a silence close at one position keep their order, wherever commits fall."""
    stream = stream_of(seed, 40)
    idle = silences(stream, seed)
    whole = journalled(Line(stream, BASELINES, AT_THE_END), idle).run()
    crumbs = [(partition, 3) for partition, items in stream.partitions.items() for _ in items]
    crashes = [(commit, step) for commit in (1, 3, 2) for step in ("before", "after")]
    cut = journalled(Line(stream, BASELINES), idle).run(crumbs, crashes)
    assert cut.broker.metrics == whole.broker.metrics
    assert cut.broker.alerts == whole.broker.alerts
    assert cut.dead_letters == whole.dead_letters


@settings(max_examples=30)
@given(
    stream=streams(max_series=st.none() | st.integers(1, 4)) | st.integers(0, 99).map(lambda seed: stream_of(seed, 60)),
    pieces=PIECES,
)
def test_any_split_of_the_log_gives_the_same_bytes(stream: Stream, pieces: list[tuple[int, int]]) -> None:
    whole, cut = Line(stream, BASELINES, AT_THE_END).run(), Line(stream, BASELINES, AT_THE_END).run(pieces)
    assert cut.broker.metrics == whole.broker.metrics
    assert cut.broker.alerts == whole.broker.alerts
    assert cut.dead_letters == whole.dead_letters


@pytest.mark.parametrize("seed", range(3))
def test_a_log_in_crumbs_gives_the_same_bytes(seed: int) -> None:
    """Record by record, with many commits on the way."""
    whole = uncut(seed)
    crumbs = [(partition, 1) for partition, items in whole.stream.partitions.items() for _ in items]
    cut = Line(whole.stream, BASELINES).run(crumbs)
    assert cut.broker.metrics == whole.broker.metrics
    assert cut.broker.alerts == whole.broker.alerts
    assert cut.dead_letters == whole.dead_letters


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 9), pieces=PIECES, crashes=CRASHES)
def test_a_crash_at_any_commit_changes_nothing(
    seed: int, pieces: list[tuple[int, int]], crashes: list[tuple[int, str]]
) -> None:
    """Every identity once and none missing, in the same order, to the last bit."""
    whole = uncut(seed)
    crashed = Line(stream_of(seed), BASELINES).run(pieces, crashes)
    assert crashed.broker.metrics == whole.broker.metrics
    assert crashed.broker.alerts == whole.broker.alerts
    assert crashed.dead_letters == whole.dead_letters


@settings(max_examples=20)
@given(seed=st.integers(0, 9), pieces=PIECES, troubles=TROUBLES)
def test_a_commit_that_is_refused_or_of_unknown_outcome_changes_nothing(
    seed: int, pieces: list[tuple[int, int]], troubles: dict[tuple[int, str], type[Exception]]
) -> None:
    """What was refused is sent again; after an unknown outcome the worker looks what is durable, and goes on there."""
    whole = uncut(seed)
    line = Line(stream_of(seed), BASELINES, troubles=troubles).run(pieces)
    line.troubles = {}
    line.run()  # in case that the last commit was the one
    assert line.broker.metrics == whole.broker.metrics
    assert line.broker.alerts == whole.broker.alerts
    assert line.dead_letters == whole.dead_letters
    assert line.broker.journal == whole.broker.journal


@pytest.mark.parametrize("seed", [1, 2])
def test_a_crash_among_series_beyond_the_limit_changes_nothing(seed: int) -> None:
    """Commit by commit: who is over the limit is over it in the next life, and the alert about it fires once."""
    whole = uncut(seed)
    crashes = [(commit, step) for commit in range(1, 4) for step in ("before", "after")]
    crashed = Line(stream_of(seed), BASELINES).run([(0, 9), (1, 9)] * 9, crashes)
    assert crashed.broker.metrics == whole.broker.metrics
    assert crashed.broker.alerts == whole.broker.alerts
    assert any(metric["model_id"] == "__other__" for metric in whole.metrics)
    fired = [alert for alert in whole.alerts if alert["rule_id"] == "too-many-series" and alert["state"] == "FIRING"]
    assert fired
    assert {alert["model_id"] for alert in fired} == {"__other__"}


@pytest.mark.parametrize("seed", range(10))
def test_what_else_is_in_the_topic_does_not_change_a_value(seed: int) -> None:
    """A partition alone publishes what it publishes beside others."""
    both = uncut(seed)
    for partition, items in stream_of(seed).partitions.items():
        alone = Line(Stream(both.stream.topic, {partition: items}, both.stream.config), BASELINES).run()
        assert alone.broker.metrics[partition] == both.broker.metrics[partition]
        assert alone.broker.alerts.get(partition) == both.broker.alerts.get(partition)


@pytest.mark.parametrize("seed", range(10))
def test_a_bad_record_affects_nothing_but_its_dead_letter(seed: int) -> None:
    """With tombstones in the place of bad records, everything else stays as it is."""
    whole = uncut(seed)
    stream = stream_of(seed)
    for partition, offset, _ in whole.dead_letters:
        stream.partitions[partition][offset] = stream.partitions[partition][offset]._replace(event=None, raw=None)
    assert whole.dead_letters
    without = Line(stream, BASELINES).run()
    assert without.broker.metrics == whole.broker.metrics
    assert without.broker.alerts == whole.broker.alerts
    assert without.dead_letters == []


@pytest.mark.parametrize("seed", [1, 2])
def test_the_number_of_threads_does_not_change_a_value(seed: int) -> None:
    """One and two, of torch and of numba."""
    before = torch.get_num_threads(), numba.get_num_threads()
    published = []
    try:
        for threads in (1, min(2, before[1])):
            torch.set_num_threads(threads)
            numba.set_num_threads(threads)
            line = Line(stream_of(seed), BASELINES).run()
            published.append((line.broker.metrics, line.broker.alerts))
    finally:
        torch.set_num_threads(before[0])
        numba.set_num_threads(before[1])
    assert published[0] == published[1] == (uncut(seed).broker.metrics, uncut(seed).broker.alerts)
