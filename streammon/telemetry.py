"""Every operational name once, with its meaning, and the set-up of logs.

Telemetry is about the worker itself; what it publishes about models are metric events.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from streammon.core.outputs import AlertEvent
from streammon.core.ports import Observer, Outputs, Restored

LOGGER = logging.getLogger("streammon")


class Event(StrEnum):
    """Names in the log."""

    STARTED = "started"  # the worker is about to join its group
    RESTORED = "restored"  # state of a partition was read back: from a snapshot, to be brought up to the last commit
    LIVE = "live"  # from this position on, outputs of the partition count
    KEPT = "kept"  # a partition was taken away and came back before anybody else committed: its state is still good
    REVOKED = "revoked"  # partitions are taken away; everything is committed first
    LOST = "lost"  # partitions are gone: what was not committed is dropped
    COMMITTED = "committed"  # a transaction went through
    COMMIT_REFUSED = "commit_refused"  # a transaction was aborted; its outputs will be sent again
    REBUILT = "rebuilt"  # nobody knows whether a transaction went through: state is read back
    ALERT = "alert"  # an alert event was published
    STOPPED = "stopped"  # the worker left its group


class LogObserver(Observer):
    """Writes what the loop does to the log."""

    def restored(self, partition: int, restored: Restored, position: int) -> None:
        assert restored.snapshot is not None
        header = restored.snapshot.header
        log(
            Event.RESTORED,
            partition=partition,
            snapshot=header.generation,
            snapshot_position=header.position,
            position=position,
            panes=len(restored.snapshot.panes),
        )

    def live(self, partition: int, position: int) -> None:
        log(Event.LIVE, partition=partition, position=position)

    def kept(self, partition: int, position: int) -> None:
        log(Event.KEPT, partition=partition, position=position)

    def revoked(self, partitions: Sequence[int]) -> None:
        log(Event.REVOKED, partitions=sorted(partitions))

    def lost(self, partitions: Sequence[int]) -> None:
        log(Event.LOST, logging.WARNING, partitions=sorted(partitions))

    def committed(self, outputs: Outputs, seconds: float) -> None:
        log(
            Event.COMMITTED,
            logging.DEBUG,
            milliseconds=round(seconds * 1000),
            metrics=len(outputs.metrics),
            alerts=len(outputs.alerts),
            dead_letters=len(outputs.dead_letters),
            snapshots=len(outputs.snapshots),
            positions=outputs.positions,
        )

    def commit_refused(self, error: Exception) -> None:
        log(Event.COMMIT_REFUSED, logging.WARNING, reason=str(error))

    def rebuilt(self, error: Exception) -> None:
        log(Event.REBUILT, logging.WARNING, reason=str(error))

    def alert(self, alert: AlertEvent) -> None:
        log(Event.ALERT, state=alert.state.value, summary=alert.summary, alert_id=alert.alert_id)


def log(event: Event, level: int = logging.INFO, **fields: Any) -> None:
    """One line about something that happened."""
    LOGGER.log(level, event.value, extra={"fields": fields})


def set_up(form: str, level: str) -> None:
    """Logs to standard error, for a person ("console") or a machine ("json", one object a line)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Console())
    LOGGER.handlers = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        return json.dumps(
            {"time": record.created, "level": record.levelname, "event": record.getMessage(), **fields}, default=str
        )


class _Console(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items())
        head = f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {record.getMessage()}"
        return f"{head} {fields}".rstrip()
