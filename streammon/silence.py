"""Silence of partitions: the time in which the broker confirmed, again and again, that nothing new was there.

    records   | | |           broker stopped            |
    asked            ?  ?  ?  ?  ?  ?  ?  ?  ?  ?  ?  ?    ?  ?
    answered          !  !  !  .  .  .  .  !  !  !  !  !      !
    silence           0──2     none        0───────────4      0

It begins with the first answer that confirms the end, never before, and lasts to the last question whose answer did. A
record, a partition that is behind, paused or whose end moved, an answer that does not come: each ends it, and it begins
anew. So time in which the broker was away is no silence.
"""

from __future__ import annotations

from dataclasses import dataclass

RHYTHM = 1.0  # seconds from one question about a partition to the next, and from the last record to the first
LONGEST_GAP = 5.0  # seconds between two questions: beyond, nobody knows what was in between


@dataclass(slots=True)
class _Quiet:
    """Of one partition. Seconds on the clock of the caller."""

    disturbed: float  # when a record came, or it could not be asked about
    asked: float | None = None  # the question that waits for its answer
    last_asked: float = float("-inf")
    since: float | None = None  # when the first answer came
    until: float = 0.0  # when the last question was asked that confirmed the end
    end: int = -1  # what the answers say


class Silence:
    """Fed with what happens, at `now` in seconds on a monotonic clock; tells how long it has been silent.

    >>> silence = Silence()
    >>> silence.disturbed(0, now=10.0)
    >>> for now in (11.0, 12.0, 13.0):
    ...     silence.asked(0, now)
    ...     silence.answered(0, end=42, now=now + 0.25)
    >>> silence.of(0)  # from 11.25 to 13.0
    1.75
    """

    def __init__(self) -> None:
        self._partitions: dict[int, _Quiet] = {}

    def clear(self) -> None:
        """Other partitions, or the same ones anew."""
        self._partitions = {}

    def disturbed(self, partition: int, now: float) -> None:
        """A record came, or nothing is read of the partition."""
        quiet = self._of(partition, now)
        quiet.disturbed, quiet.since = now, None

    def is_due(self, partition: int, now: float) -> bool:
        """Whether to ask where the partition ends."""
        quiet = self._of(partition, now)
        return quiet.asked is None and now - max(quiet.disturbed, quiet.last_asked) >= RHYTHM

    def asked(self, partition: int, now: float) -> None:
        """A question was sent."""
        quiet = self._of(partition, now)
        quiet.asked = quiet.last_asked = now

    def answered(self, partition: int, end: int | None, now: float) -> None:
        """Its answer: the end of the partition, all of which was read; None where that cannot be said."""
        quiet = self._of(partition, now)
        asked, quiet.asked = quiet.asked, None
        if asked is None or end is None:
            quiet.since = None
        elif quiet.since is None or end != quiet.end or asked - quiet.until > LONGEST_GAP:
            quiet.since = quiet.until = now
            quiet.end = end
        else:
            quiet.until = asked

    def of(self, partition: int) -> float:
        """Seconds of silence, since it was last used up."""
        quiet = self._partitions.get(partition)
        return 0.0 if quiet is None or quiet.since is None else max(0.0, quiet.until - quiet.since)

    def used(self, partition: int) -> None:
        """The clocks have advanced by it: from here on it counts anew."""
        quiet = self._partitions[partition]
        quiet.since = quiet.until

    def _of(self, partition: int, now: float) -> _Quiet:
        return self._partitions.setdefault(partition, _Quiet(now))
