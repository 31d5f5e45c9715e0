"""When to commit and when to snapshot: a frozen policy and a small state machine that is fed `now`.

A commit is asked for by a closed window, comes at the latest `interval` after the first thing to commit, and never
sooner than `least` after the last one (back to back, transactions wait for each other at the broker), but for
`most_bytes`: memory does not wait. Seconds on any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    interval: float = 1.0
    least: float = 0.2
    snapshot_interval: float = 30.0
    snapshot_events: int = 500_000
    most_bytes: int = 8 << 20  # of dead letters and late records that wait


class CommitSchedule:
    """Feed it what happened; ask it what is due.

    >>> schedule = CommitSchedule(CommitPolicy(), now=0.0)
    >>> schedule.progressed(10, closed=True)
    >>> schedule.due(0.1), schedule.due(0.3)
    (False, True)
    """

    def __init__(self, policy: CommitPolicy, now: float) -> None:
        self._policy = policy
        self._committed = self._snapshot = now
        self._events = 0  # since the last snapshot
        self._pending = self._urgent = self._refused = False
        self._bytes = 0  # since the last commit

    def progressed(self, events: int, closed: bool, size: int = 0) -> None:
        """Positions moved, perhaps windows closed, and dead letters and late records of `size` bytes wait."""
        self._events += events
        self._bytes += size
        self._pending = self._pending or events > 0 or closed
        self._urgent = self._urgent or closed

    def due(self, now: float) -> bool:
        if self._bytes >= self._policy.most_bytes and not self._refused:
            return True
        wait = self._policy.least if self._urgent or self._refused else self._policy.interval
        return self._pending and now - self._committed >= wait

    def snapshot_due(self, now: float) -> bool:
        """Whether the next commit carries a snapshot."""
        return self._events >= self._policy.snapshot_events or (
            self._events > 0 and now - self._snapshot >= self._policy.snapshot_interval
        )

    def refused(self, now: float) -> None:
        """A commit was tried in vain: try again after `least`."""
        self._committed = now
        self._pending = self._refused = True

    def committed(self, now: float, snapshot: bool) -> None:
        self._committed = now
        self._pending = self._urgent = self._refused = False
        self._bytes = 0
        if snapshot:
            self._snapshot = now
            self._events = 0
