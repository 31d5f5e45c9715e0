"""Whether the worker is alive and ready, as its loop reports it and others may ask from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from streammon.core.ports import Observer, Outputs, Restored


class Phase(StrEnum):
    """Of an assigned partition."""

    RESTORING = "restoring"
    LIVE = "live"
    PAUSED = "paused"


class _Part(NamedTuple):
    phase: Phase
    position: int | None = None  # None: not known yet
    reason: str = "its state is read back, and the log up to the last commit"


class Health(Observer):
    """The latest of what the loop said.

    Live: something of the loop was heard within `longest_turn` seconds. Ready: live, the group has given partitions
    (or none, for want of them), each of them is live and not paused, and the last commit was not refused.
    """

    def __init__(self, topic: str, longest_turn: float, now: Callable[[], float]) -> None:
        self._topic, self._longest_turn, self._now = topic, longest_turn, now
        self._lock = threading.Lock()
        self._heard = now()
        self._parts: dict[int, _Part] | None = None  # None: no assignment
        self._refused = ""  # why the last commit was

    def turned(self) -> None:
        self._heard = self._now()

    def assigned(self, partitions: Sequence[int]) -> None:
        with self._lock:
            self._parts = {partition: _Part(Phase.RESTORING) for partition in partitions}
            self._refused = ""  # what was refused was dropped with the partitions of before
        self.turned()

    def restored(self, partition: int, restored: Restored, position: int, seconds: float) -> None:
        self._put(partition, _Part(Phase.RESTORING, position))

    def live(self, partition: int, position: int) -> None:
        self._put(partition, _Part(Phase.LIVE, position))

    def kept(self, partition: int, position: int) -> None:
        self._put(partition, _Part(Phase.LIVE, position))

    def paused(self, partition: int, position: int, reason: str) -> None:
        self._put(partition, _Part(Phase.PAUSED, position, reason))

    def revoked(self, partitions: Sequence[int]) -> None:
        self._leave()

    def lost(self, partitions: Sequence[int]) -> None:
        self._leave()

    def rebuilt(self, error: Exception) -> None:
        self._leave()

    def committed(self, outputs: Outputs, seconds: float) -> None:
        self._refused = ""
        self.turned()

    def commit_refused(self, error: Exception) -> None:
        self._refused = str(error)
        self.turned()

    def turn_age(self) -> float:
        """Seconds since something was heard of the loop."""
        return self._now() - self._heard

    def count(self, *phases: Phase) -> int:
        """Assigned partitions in one of these phases."""
        with self._lock:
            return sum(part.phase in phases for part in (self._parts or {}).values())

    def is_live(self) -> bool:
        return self.turn_age() <= self._longest_turn

    def is_ready(self) -> bool:
        return not self.missing()

    def liveness(self) -> dict[str, Any]:
        """For people and probes, as JSON."""
        found = {"live": self.is_live(), "seconds_since_turn": round(self.turn_age(), 3), "limit": self._longest_turn}
        return found if self.is_live() else found | {"reason": "the loop does not turn: the group counts it out"}

    def readiness(self) -> dict[str, Any]:
        """For people and probes, as JSON: what is missing, with its reason and, of a partition, its position."""
        missing = self.missing()
        return {"ready": not missing, "missing": missing}

    def missing(self) -> list[dict[str, Any]]:
        """What keeps it from being ready; nothing if it is."""
        found: list[dict[str, Any]] = []
        if not self.is_live():
            found.append({"what": "turn", "reason": self.liveness()["reason"]})
        with self._lock:
            parts = None if self._parts is None else sorted(self._parts.items())
        if parts is None:
            found.append({"what": "assignment", "reason": "the group has not given partitions, or took them away"})
        for number, part in parts or ():
            if part.phase is not Phase.LIVE:
                place = {"topic": self._topic, "partition": number, "position": part.position}
                found.append({"what": part.phase.value, **place, "reason": part.reason})
        if refused := self._refused:
            found.append({"what": "commit", "reason": f"the last one was refused: {refused}"})
        return found

    def _put(self, partition: int, part: _Part) -> None:
        with self._lock:
            if self._parts is not None:
                self._parts[partition] = part
        self.turned()

    def _leave(self) -> None:
        with self._lock:
            self._parts = None
        self.turned()
