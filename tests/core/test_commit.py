"""When commits and snapshots are due, in seconds of a clock that the tests hold."""

from __future__ import annotations

from streammon.core.commit import CommitPolicy, CommitSchedule

POLICY = CommitPolicy(interval=1.0, least=0.2, snapshot_interval=30.0, snapshot_events=100)


def test_without_progress_nothing_is_ever_due() -> None:
    schedule = CommitSchedule(POLICY, now=100.0)
    assert not schedule.due(1e9)
    assert not schedule.snapshot_due(1e9)
    schedule.progressed(0, closed=False)
    assert not schedule.due(1e9)


def test_events_are_committed_after_the_interval() -> None:
    schedule = CommitSchedule(POLICY, now=100.0)
    schedule.progressed(1, closed=False)
    assert not schedule.due(100.99)
    assert schedule.due(101.0)


def test_a_closed_window_asks_for_a_commit_but_not_sooner_than_the_least() -> None:
    schedule = CommitSchedule(POLICY, now=100.0)
    schedule.progressed(1, closed=True)
    assert not schedule.due(100.19)
    assert schedule.due(100.2)


def test_a_decision_without_events_is_committed_like_a_closed_window() -> None:
    schedule = CommitSchedule(POLICY, now=100.0)
    schedule.progressed(0, closed=True)
    assert schedule.due(100.2)
    assert not schedule.snapshot_due(1e9), "but there is nothing new for a snapshot"


def test_urgency_stays_until_the_commit() -> None:
    schedule = CommitSchedule(POLICY, now=100.0)
    schedule.progressed(1, closed=True)
    schedule.progressed(1, closed=False)
    assert schedule.due(100.2)
    schedule.committed(100.5, snapshot=False)
    assert not schedule.due(1e9), "nothing happened since"
    schedule.progressed(1, closed=False)
    assert not schedule.due(101.4)
    assert schedule.due(101.5)


def test_a_snapshot_is_due_after_its_interval_or_its_number_of_events() -> None:
    schedule = CommitSchedule(POLICY, now=0.0)
    schedule.progressed(99, closed=False)
    assert not schedule.snapshot_due(29.9)
    assert schedule.snapshot_due(30.0)
    schedule.progressed(1, closed=False)
    assert schedule.snapshot_due(0.1)


def test_commits_between_snapshots_do_not_put_them_off() -> None:
    schedule = CommitSchedule(POLICY, now=0.0)
    for second in range(1, 31):
        schedule.progressed(1, closed=False)
        assert schedule.snapshot_due(float(second)) is (second == 30)
        schedule.committed(float(second), snapshot=False)
    schedule.committed(30.0, snapshot=True)
    schedule.progressed(1, closed=False)
    assert not schedule.snapshot_due(59.9)
    assert schedule.snapshot_due(60.0)


def test_a_refused_commit_stays_due() -> None:
    """Whoever was refused does not say `committed`, and tries again."""
    schedule = CommitSchedule(POLICY, now=0.0)
    schedule.progressed(1, closed=True)
    assert schedule.due(0.5)
    assert schedule.due(0.6)
