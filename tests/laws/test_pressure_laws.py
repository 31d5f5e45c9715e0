"""Laws of the line when it must not go on: undecodable partitions, commits that are refused, large dead letters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.adapters.memory import MemoryBroker, MemorySink, MemorySource
from streammon.core.commit import CommitPolicy
from streammon.core.ports import CommitRefusedError, Listener, Observer, OutcomeUnknownError, Outputs, RecordBatch
from tests.laws.harness import AT_THE_END, Line
from tests.oracle.streams import Item, Stream, random_stream

GARBAGE = b"{}"
DECODED = {"FUTURE", "DIMENSION"}  # refused for what they say
PIECES = st.lists(st.tuples(st.integers(0, 1), st.integers(1, 400)), max_size=10)


def spoiled(seed: int, before: int, garbage: int) -> Stream:
    """A random stream with garbage in a row in partition 0, behind `before` records."""
    stream = random_stream(seed, 60)
    items = stream.partitions[0]
    bad = [items[before]._replace(event=None, raw=GARBAGE)] * garbage
    stream.partitions[0] = items[:before] + bad + items[before:]
    return stream


def has_long_key(item: Item) -> bool:
    """Decoded too, and then RANGE for a part of the series key over 16 KiB."""
    event = item.event or {}
    return any(len(str(event.get(name)).encode()) > 1 << 14 for name in ("model_id", "model_version", "lane"))


def paused_behind(line: Line) -> int | None:
    """The offset at which most of the last 1,000 records are letters that could not be decoded, by counting."""
    letters = {
        offset
        for partition, offset, code in line.dead_letters
        if partition == 0 and code not in DECODED and not has_long_key(line.stream.partitions[0][offset])
    }
    last: deque[bool] = deque(maxlen=1_000)
    for offset in range(len(line.broker.log[0])):
        last.append(offset in letters)
        if sum(last) > 500:
            return offset
    return None


@dataclass
class Told(Observer):
    """Keeps what it is told of pauses."""

    pauses: list[tuple[int, int, str]] = field(default_factory=list)
    commits: list[Outputs] = field(default_factory=list)

    def paused(self, partition: int, position: int, reason: str) -> None:
        self.pauses.append((partition, position, reason))

    def committed(self, outputs: Outputs, seconds: float) -> None:
        self.commits.append(outputs)


@settings(max_examples=15)
@given(seed=st.integers(0, 9), before=st.integers(1, 50), garbage=st.integers(480, 700), pieces=PIECES)
def test_a_partition_that_cannot_be_decoded_is_read_up_to_one_record_however_the_log_is_split(
    seed: int, before: int, garbage: int, pieces: list[tuple[int, int]]
) -> None:
    """Up to there it publishes what it does without pausing; other partitions are read to their ends."""
    on = Line(spoiled(seed, before, garbage), policy=AT_THE_END, pauses=True, observer=Told()).run(pieces)
    off = Line(spoiled(seed, before, garbage), policy=AT_THE_END).run()
    last = paused_behind(off)
    end = len(on.broker.log[0]) if last is None else last + 1
    assert on.broker.committed[0].position == end
    assert on.broker.committed[1].position == len(on.broker.log[1])
    assert on.dead_letters == [letter for letter in off.dead_letters if letter[0] == 1 or letter[1] < end]
    assert on.metrics == [m for m in off.metrics if m["partition"] == 1 or m["closing_position"] <= end]
    assert isinstance(on.observer, Told)
    assert [(partition, position) for partition, position, _ in on.observer.pauses] == (
        [] if last is None else [(0, end)]
    )


def test_the_reason_names_what_was_found_and_what_to_do() -> None:
    told = Told()
    Line(spoiled(0, 1, 700), pauses=True, observer=told).run()
    ((_, position, reason),) = told.pauses
    for words in (f"offset {position - 1}", "FRAMING", "501 of the last", "input.pause_when_undecodable: false"):
        assert words in reason


def test_another_life_goes_on_behind_the_record_at_which_the_last_one_paused() -> None:
    """And looks at the next records afresh. In the end every record has had its say once, as without pauses."""
    line, off = Line(spoiled(1, 20, 1_100), pauses=True), Line(spoiled(1, 20, 1_100)).run()
    positions = []
    for _ in range(3):
        line.run()
        positions.append(line.broker.committed[0].position)
    assert positions[1] == positions[0] + 501
    assert positions[2] == len(line.broker.log[0])
    assert line.dead_letters == off.dead_letters
    assert line.broker.metrics == off.broker.metrics


class Rebalanced(MemorySource):
    """Everything is taken away and comes back when `after` records were read."""

    after = 1_000

    def start(self, listener: Listener) -> None:
        self.listener = listener
        super().start(listener)

    def poll(self, timeout: float) -> RecordBatch | None:
        if sum(self._position.values()) >= self.after:
            self.after = 1 << 62
            self.listener.revoked(sorted(self._log))
            self.listener.assigned(sorted(self._log))
        return super().poll(timeout)

    def finished(self) -> bool:
        return super().finished() and self.after > 1_000


def test_a_partition_that_comes_back_stays_paused() -> None:
    """Its state was kept, so nothing has changed; the observer hears of the pause again."""
    told = Told()
    stream = spoiled(2, 20, 3_000)
    stream.partitions[1] = random_stream(2, 600).partitions[1]
    line = Line(stream, pauses=True, source=Rebalanced, observer=told).run([(0, 600), (1, 500)])
    assert [position for _, position, _ in told.pauses] == [line.broker.committed[0].position] * 2
    assert line.broker.committed[1].position == len(stream.partitions[1])


class TakenAgain(Rebalanced):
    """What came back can be taken away again, for some polls."""

    after = 100
    away = 0  # polls until it comes back

    def take_away(self) -> None:
        self.away = 10
        self.listener.revoked(sorted(self._log))

    def poll(self, timeout: float) -> RecordBatch | None:
        if not self.away:
            return super().poll(timeout)
        self.away -= 1
        if not self.away:
            self.listener.assigned(sorted(self._log))
        return None

    def seek(self, positions: Mapping[int, int]) -> None:
        assert not self.away, "somebody else may have them now"
        super().seek(positions)


def test_partitions_taken_away_while_the_sink_starts_afresh_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows the outcome of the commit at a rebalance; the sink polls to find out, and the next one comes."""
    sources: list[TakenAgain] = []

    def source(broker: MemoryBroker, pieces: Iterable[tuple[int, int]]) -> TakenAgain:
        sources.append(TakenAgain(broker, pieces))
        return sources[-1]

    monkeypatch.setattr(MemorySink, "reset", lambda sink, fenced: sources[-1].take_away())
    whole = Line(random_stream(3, 400), policy=AT_THE_END).run()
    unknown = {(2, "before"): OutcomeUnknownError}  # the first one is that of the start
    line = Line(random_stream(3, 400), policy=AT_THE_END, troubles=unknown, source=source).run([(0, 60), (1, 60)] * 2)
    assert line.broker.metrics == whole.broker.metrics
    assert line.dead_letters == whole.dead_letters


class Watched(MemorySource):
    """Says how many records it delivered, by poll."""

    def __init__(self, broker: MemoryBroker, pieces: Iterable[tuple[int, int]]) -> None:
        super().__init__(broker, pieces)
        self.broker = broker

    def poll(self, timeout: float) -> RecordBatch | None:
        records = super().poll(timeout)
        DELIVERED.append((self.broker.commits, 0 if records is None else len(records)))
        return records


DELIVERED: list[tuple[int, int]] = []  # commits so far, records


def test_nothing_is_read_while_a_commit_is_refused() -> None:
    """So that what waits does not grow; then reading goes on where it was, and nothing is lost or doubled."""
    DELIVERED.clear()
    whole = Line(random_stream(3, 400)).run()
    refusals = {(number, "before"): CommitRefusedError for number in range(4, 30)}
    line = Line(random_stream(3, 400), troubles=refusals, source=Watched).run([(0, 5), (1, 5)] * 200)
    stuck = [records for commits, records in DELIVERED if commits == 3]
    first_refused = next(n for n, records in enumerate(stuck) if records == 0)
    assert len(stuck[first_refused:]) >= 26, "there were as many tries"
    assert not any(stuck[first_refused:])
    assert line.broker.metrics == whole.broker.metrics
    assert line.dead_letters == whole.dead_letters


@pytest.mark.parametrize("size", [100, 20_000])
def test_dead_letters_do_not_wait_once_they_are_large(size: int) -> None:
    """A commit holds no more than most_bytes and what came with the last batch."""
    stream = random_stream(4, 60)
    stream.partitions[0] += [stream.partitions[0][-1]._replace(event=None, raw=b"x" * size)] * 400
    told = Told()
    policy = CommitPolicy(interval=1e9, least=1e9, snapshot_interval=1e9, snapshot_events=1 << 62, most_bytes=100_000)
    batch = 10
    line = Line(stream, policy=policy, observer=told).run([(0, batch)] * 60)
    held = [sum(len(letter.origin.value or b"") for letter in outputs.dead_letters) for outputs in told.commits]
    assert sum(held) >= 400 * size
    assert max(held) <= 100_000 + batch * size
    assert len(held) >= sum(held) / (100_000 + batch * size)
    assert line.broker.committed[0].position == len(stream.partitions[0])
    assert [letter[:2] for letter in line.dead_letters] == sorted({letter[:2] for letter in line.dead_letters})
    assert all(low.positions[0] <= high.positions[0] for low, high in pairwise(told.commits))
