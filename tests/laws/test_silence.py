"""Silence of a partition, and what producers' clocks say: decisions that the log does not determine, in the journal.

Drawn in minutes of event time from START; windows of 1 m and 5 m, 10 s of lateness. `z` is a second of silence.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from streammon.core.commit import CommitPolicy
from streammon.core.errors import Code
from streammon.core.journal import Kind
from streammon.core.ports import CommitRefusedError
from streammon.silence import LONGEST_GAP, RHYTHM, Silence
from tests.laws.quiet import IDLE_TIMEOUT, Arrive, How, QuietLine, Script, Wait, events
from tests.oracle.compare import compare, order_differences
from tests.oracle.streams import MINUTE, SECOND, START, Stream, random_stream

ENOUGH = 400.0  # seconds: every window of the streams closes
YEAR = 365 * 24 * 60  # minutes
NO_SNAPSHOTS = CommitPolicy(interval=0.5, least=0.1, snapshot_interval=1e9, snapshot_events=1 << 62)
THREE = [("prod", 0.0), ("prod", 0.5), ("prod", 2.5)]  # in the panes 0 and 2; the second closes pane 0


def line_of(*steps: Arrive | Wait, **options: Any) -> QuietLine:
    return QuietLine(events(THREE), steps, **options)


# --- the decision -----------------------------------------------------------------------------------------------------


def test_a_silent_partition_closes_its_windows_once() -> None:
    """
    ts       0  .5        2.5 | zzzzzzzzzz......
    closes   [0,1) at 3       | [2,3) at 3, after 40 s; [0,5) at 3, after 160 s
    """
    line = line_of(Arrive(0, 3), Wait(ENOUGH)).run()
    assert line.closed == [(1, 0, 2, 3), (1, 2, 1, 3), (5, 0, 3, 3)]
    first, second = (entry["value"]["advance"] for entry in line.entries(Kind.IDLE))
    assert 40 * SECOND <= first <= 42 * SECOND, "not before the window is due; soon after"
    assert 160 * SECOND <= first + second <= 163 * SECOND, "silence is counted once"
    assert [(p, position, windows) for p, position, _, windows in line.heard.advances] == [(0, 3, 1), (0, 3, 1)]
    assert len(line_of(Arrive(0, 3), Wait(150.0)).run().entries(Kind.IDLE)) == 1, "it was used up"


def test_no_sooner_than_idle_timeout() -> None:
    """The window is due after 40 s of silence, and has to wait for 100 s."""
    waits = {seconds: line_of(Arrive(0, 3), Wait(seconds), idle_timeout=100.0).run() for seconds in (98.0, 106.0)}
    assert [len(line.entries(Kind.IDLE)) for line in waits.values()] == [0, 1]


def test_nothing_waits_nothing_is_decided() -> None:
    """A partition without an event, and one whose windows have closed: no entry, however long."""
    line = QuietLine(events(THREE, []), [Arrive(0, 3), Wait(10 * ENOUGH)]).run()
    assert len(line.entries(Kind.IDLE)) == 2
    assert {entry["partition"] for entry in line.entries(Kind.IDLE)} == {0}


def test_a_record_ends_the_silence() -> None:
    """Every 30 s one, for minutes, all in one pane: the window would be due after 40 s."""
    stream = events([("prod", 2.5)] * 12)
    line = QuietLine(stream, [step for _ in range(12) for step in (Arrive(0, 1), Wait(30.0))]).run()
    assert not line.entries(Kind.IDLE)


def test_what_comes_after_the_advance_is_judged_by_the_new_clock() -> None:
    """
    ts   0 .5  2.5 | z x 40  | 2.9 late, its pane is sealed; 3.5 is not
    """
    stream = events([*THREE, ("prod", 2.9), ("prod", 3.5)])
    line = QuietLine(stream, [Arrive(0, 3), Wait(60.0), Arrive(0, 2), Wait(ENOUGH)]).run()
    assert line.closed == [(1, 0, 2, 3), (1, 2, 1, 3), (1, 3, 1, 5), (5, 0, 4, 5)]
    assert line.metrics[-1]["n_late"] == 1
    assert_right(line)


def test_another_partition_goes_on_meanwhile() -> None:
    """Partition 1 gets a record every ten seconds: only partition 0 is silent."""
    stream = events(THREE, [("prod", number / 6) for number in range(12)])
    line = QuietLine(stream, [Arrive(0, 3), *(s for _ in range(12) for s in (Arrive(1, 1), Wait(10.0)))]).run()
    assert [(entry["partition"], entry["position"]) for entry in line.entries(Kind.IDLE)] == [(0, 3)]
    assert_right(line)


def test_what_a_later_advance_closes_is_published_behind_what_an_earlier_one_did() -> None:
    """
    ts   prod 2.5   old -60 | z x 40: prod's [2,3) | z x 30 more: old's [-60,-59), though it ends earlier
    """
    stream = events([("prod", 2.5), ("old", -60.0)], windows=[(MINUTE, MINUTE, 0)])
    line = QuietLine(stream, [Arrive(0, 2), Wait(ENOUGH)]).run()
    assert line.closed == [(1, 2, 1, 2), (1, -60, 1, 2)]
    assert_right(line)


# --- what is no silence -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["away", "behind"])
def test_no_confirmation_no_advance(how: How) -> None:
    """A broker that does not answer, or whose end is not what was read (an open transaction): for an hour."""
    line = line_of(Arrive(0, 3), Wait(3600.0, how)).run()
    assert not line.entries(Kind.IDLE)
    assert line.closed == [(1, 0, 2, 3)]


@pytest.mark.parametrize("how", ["away", "behind"])
def test_silence_before_a_gap_does_not_count(how: How) -> None:
    """
    z x 38 | no answer for 10 s | z x 38 | no answer ...: the window, due after 40 s, never closes; then z x 50
    """
    broken = [step for _ in range(5) for step in (Wait(38.0), Wait(10.0, how))]
    assert not line_of(Arrive(0, 3), *broken).run().entries(Kind.IDLE)
    assert len(line_of(Arrive(0, 3), *broken, Wait(50.0)).run().entries(Kind.IDLE)) == 1


def test_nothing_is_late_because_of_an_outage() -> None:
    """
    ts   0 .5  2.5 | broker gone for 30 s | 2.6 ... 2.9, sent before and during the outage, are counted
    """
    stream = events([*THREE, ("prod", 2.6), ("prod", 2.9), ("prod", 4.0)])
    steps: Script = [Arrive(0, 3), Wait(15.0), Wait(30.0, "away"), Arrive(0, 3), Wait(ENOUGH)]
    line = QuietLine(stream, steps).run()
    assert line.closed == [(1, 0, 2, 3), (1, 2, 3, 6), (1, 4, 1, 6), (5, 0, 6, 6)]
    assert all(event["n_late"] == 0 for event in line.metrics)


def test_a_partition_that_is_read_no_further_is_not_silent() -> None:
    """Of 520 records behind three events 501 cannot be decoded: it waits for a person, and its windows with it."""
    stream = events([*THREE, *[("prod", 2.6)] * 520])
    bad = [item._replace(event=None, raw=b"{}") for item in stream.partitions[0][3:]]
    stream = replace(stream, partitions={0: stream.partitions[0][:3] + bad})
    line = QuietLine(stream, [Arrive(0, 600), Wait(ENOUGH)], pauses=True).run()
    assert line.broker.committed[0].position < 523
    assert not line.entries(Kind.IDLE)


@pytest.mark.parametrize("refused,entries", [(40, 1), (200, 0)])
def test_while_a_commit_is_refused_there_is_no_silence(refused: int, entries: int) -> None:
    """It is tried every half second, for 20 s of 70, or for all of them; the window is due after 40 s of silence."""
    troubles = dict.fromkeys(range(2, refused), CommitRefusedError)
    line = line_of(Arrive(0, 3), Wait(70.0), troubles=troubles).run()
    assert len(line.entries(Kind.IDLE)) == entries
    assert line.world.now > 70.0


# --- the journal ------------------------------------------------------------------------------------------------------


def assert_right(line: QuietLine) -> None:
    """What was published is what the oracle says for the log and the decisions, and what a replay says."""
    expected, again = line.expected(), line.replayed()
    assert compare(expected, line.metrics, line.alerts) == []
    assert order_differences(expected, line.metrics, line.alerts) == []
    assert again.broker.metrics == line.broker.metrics
    assert again.broker.alerts == line.broker.alerts
    letters = [[(d.partition, d.offset, d.code) for d in each.broker.dead_letters] for each in (line, again)]
    assert sorted(letters[0]) == sorted(letters[1])
    assert again.broker.journal == line.broker.journal
    for p in line.stream.partitions:
        entries = [(e.sequence, e.position) for e in line.broker.journal if e.partition == p]
        assert [sequence for sequence, _ in entries] == list(range(len(entries)))
        assert all(a <= b for (_, a), (_, b) in pairwise(entries)), "entries lie in the order of the log"


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_crash_around_the_commit_of_an_advance(step: str) -> None:
    """Right before: it is decided anew. Right after: nothing closes twice, at the end of the log or before more."""
    crashes = 0
    for commit in range(8):
        line = QuietLine(events([*THREE, ("prod", 9.0)]), [Arrive(0, 3), Wait(ENOUGH), Arrive(0, 1), Wait(ENOUGH)])
        line.run([(commit, step)])
        assert line.closed == [(1, 0, 2, 3), (1, 2, 1, 3), (5, 0, 3, 3), (1, 9, 1, 4), (5, 5, 1, 4)], commit
        assert_right(line)
        crashes += len(line.heard.advances) > len(line.entries(Kind.IDLE))
    assert bool(crashes) == (step == "before"), "no decision was lost: this proves nothing"


def test_a_worker_that_takes_over_continues_at_the_advanced_clock() -> None:
    """
    life 1   ts 0 .5 2.5 | z x 60       life 2, nothing new |  z x ENOUGH: only [0,5) is left to close
    """
    line = line_of(Arrive(0, 3), Wait(60.0)).run()
    line.world.script += [Wait(ENOUGH)]
    line.run()
    assert line.closed == [(1, 0, 2, 3), (1, 2, 1, 3), (5, 0, 3, 3)]
    total = sum(entry["value"]["advance"] for entry in line.entries(Kind.IDLE))
    assert 160 * SECOND <= total <= 163 * SECOND
    assert_right(line)


def test_a_replay_that_is_interrupted_at_an_advance_goes_on_with_it() -> None:
    """It stops behind the last record before the entry, whose windows are still to come: they come once."""
    live = QuietLine(events([*THREE, ("prod", 9.0)]), [Arrive(0, 3), Wait(ENOUGH), Arrive(0, 1)]).run()
    given = list(live.broker.journal)
    for commit in range(5):
        for step in ("before", "after"):
            script: Script = [Arrive(0, 3), Wait(1.0), Arrive(0, 1), Wait(1.0)]
            again = replace(live, script=script, idle_timeout=None, decides=False, policy=NO_SNAPSHOTS)
            again.broker.journal = list(given)
            again.run([(commit, step)])
            assert again.broker.metrics == live.broker.metrics, (commit, step)
            assert again.broker.journal == given


STEPS = st.one_of(
    st.builds(Arrive, st.integers(0, 1), st.integers(1, 30)),
    st.builds(Wait, st.sampled_from([5.0, 30.0, 90.0]), st.sampled_from(["quiet", "quiet", "away", "behind"])),
)
CRASHES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["before", "after"])), max_size=4)


@settings(max_examples=10, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # shrinking takes minutes
@given(seed=st.integers(0, 30), steps=st.lists(STEPS, min_size=3, max_size=20), crashes=CRASHES)
def test_any_waits_and_crashes_anywhere_replay_equals_live_equals_the_oracle(
    seed: int, steps: list[Arrive | Wait], crashes: list[tuple[int, str]]
) -> None:
    stream = random_stream(seed, 60)
    line = QuietLine(stream, [*steps, Arrive(0, 100), Wait(100.0), Arrive(1, 100), Wait(ENOUGH)])
    line.run(crashes)
    assert line.entries(Kind.IDLE)
    assert_right(line)


# --- producers' clocks ------------------------------------------------------------------------------------------------


def skewed(ts: float, stamp: float) -> Stream:
    """The last of four events has this ts, its record this timestamp; minutes from START."""
    stream = events([*THREE, ("prod", ts), ("prod", 3.0)])
    items = stream.partitions[0]
    items[3] = items[3]._replace(timestamp=START + round(stamp * MINUTE))
    return stream


def wall_line(stream: Stream, create_time: bool = True) -> QuietLine:
    return QuietLine(stream, [Arrive(0, 9)], wall=START / SECOND + 180, create_time=create_time)


def test_an_event_a_year_ahead_moves_no_clock_also_where_its_record_is_a_year_ahead_too() -> None:
    """
    ts   0 .5 2.5 year 3.0     the worker's clock: 3.0
    """
    line = wall_line(skewed(YEAR, YEAR)).run()
    [entry] = line.entries(Kind.VERDICT)
    assert (entry["position"], entry["value"]) == (3, {"code": "FUTURE"})
    [letter] = line.broker.dead_letters
    assert (letter.offset, letter.code) == (3, Code.FUTURE)
    assert line.closed == [(1, 0, 2, 3)]
    assert line.heard.told == 1, "it is said once"
    assert_right(line)


@pytest.mark.parametrize(
    "ts,stamp,letters",
    [
        (YEAR, 2.5, [Code.FUTURE]),  # as everywhere: the record says so, no decision is needed
        (3.2, YEAR, []),  # a good event in a record with a strange timestamp
        (8.0, 8.1, []),  # on the edge: the clock + max_future_skew
    ],
)
def test_what_needs_no_verdict_gets_none(ts: float, stamp: float, letters: list[Code]) -> None:
    line = wall_line(skewed(ts, stamp)).run()
    assert not line.entries(Kind.VERDICT)
    assert [letter.code for letter in line.broker.dead_letters] == letters


def test_the_brokers_own_timestamps_are_not_judged() -> None:
    """On LogAppendTime a worker whose clock is behind is the one that is wrong."""
    line = wall_line(skewed(YEAR, YEAR), create_time=False).run()
    assert not line.entries(Kind.VERDICT)
    assert line.heard.told == 0


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_crash_around_a_verdict(step: str) -> None:
    """A verdict that was committed holds, whatever the clock says later; one that was not is judged anew."""
    for commit in range(4):
        line = QuietLine(
            skewed(YEAR, YEAR),
            [Arrive(0, 4), Wait(2.0), Arrive(0, 1), Wait(ENOUGH)],
            wall=START / SECOND + 180,
            create_time=True,
        )
        line.run([(commit, step)])
        assert [(letter.offset, letter.code) for letter in line.broker.dead_letters] == [(3, Code.FUTURE)]
        assert_right(line)


def test_a_verdict_is_read_back_and_not_asked_for_again() -> None:
    """The second life begins at a snapshot before the record, and its clock is two years ahead."""
    late_snapshots = QuietLine(
        skewed(YEAR, YEAR), [Arrive(0, 4), Wait(2.0)], wall=START / SECOND + 180, create_time=True
    )
    late_snapshots.policy = NO_SNAPSHOTS
    late_snapshots.run([(2, "before")])
    assert [letter.offset for letter in late_snapshots.broker.dead_letters] == [3]
    late_snapshots.wall = START / SECOND + 2 * YEAR * 60
    late_snapshots.world.script = [Arrive(0, 1), Wait(ENOUGH)]
    late_snapshots.run()
    assert len(late_snapshots.entries(Kind.VERDICT)) == 1
    assert_right(late_snapshots)


# --- the measure ------------------------------------------------------------------------------------------------------


def asked_and_answered(silence: Silence, *times: float, end: int | None = 7, after: float = 0.1) -> float:
    for now in times:
        silence.asked(0, now)
        silence.answered(0, end, now + after)
    return silence.of(0)


def test_silence_lies_between_an_answer_and_a_question() -> None:
    """From the first answer, not the question before it; to the last question, not its answer."""
    silence = Silence()
    assert asked_and_answered(silence, 1.0, after=0.5) == 0.0
    assert asked_and_answered(silence, 3.0, after=1.5) == 1.5


def test_another_end_no_answer_or_a_long_gap_begin_it_anew() -> None:
    for what in ("end", "none", "gap"):
        silence = Silence()
        assert asked_and_answered(silence, 1.0, 2.0, 3.0) == pytest.approx(1.9)
        last = 4.0 + (LONGEST_GAP if what == "gap" else 0.0)
        assert asked_and_answered(silence, last, end={"end": 8, "none": None}.get(what, 7)) == 0.0


def test_it_is_asked_in_a_rhythm_and_one_question_at_a_time() -> None:
    silence = Silence()
    silence.disturbed(0, 10.0)
    assert [silence.is_due(0, 10.0 + part * RHYTHM) for part in (0.5, 1.0)] == [False, True]
    silence.asked(0, 11.0)
    assert not silence.is_due(0, 99.0)
    silence.answered(0, 7, 11.5)
    assert [silence.is_due(0, 11.0 + part * RHYTHM) for part in (0.5, 1.0)] == [False, True]


def test_an_answer_that_nobody_waits_for_says_nothing() -> None:
    """It was asked before the partitions were given anew."""
    silence = Silence()
    silence.asked(0, 1.0)
    silence.clear()
    silence.answered(0, 7, 2.0)
    assert asked_and_answered(silence, 3.0) == 0.0
    assert IDLE_TIMEOUT > LONGEST_GAP
