"""What the loop does, as lines of the log: rebalances, recoveries and commits with topic, partitions and positions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from streammon.core.outputs import AlertEvent
from streammon.core.ports import Observer, Outputs, Restored
from streammon.telemetry.logs import log
from streammon.telemetry.names import Event

PRODUCERS_CLOCKS = (
    "record timestamps are the producers' (CreateTime), so max_future_skew is only as good as their clocks: what lies "
    "beyond this worker's own clock becomes a dead letter (FUTURE), but one clock that is a little ahead closes "
    "windows early for its series. Set message.timestamp.type=LogAppendTime on the topic"
)


class LogObserver(Observer):
    """Writes what the loop does to the log. It remembers positions, as of the last commit, to name them."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._positions: dict[int, int] = {}

    def assigned(self, partitions: Sequence[int]) -> None:
        self._positions.clear()
        self._log(Event.ASSIGNED, partitions=sorted(partitions))

    def restored(self, partition: int, restored: Restored, position: int, seconds: float) -> None:
        assert restored.snapshot is not None
        header = restored.snapshot.header
        self._stand(
            Event.RESTORED,
            partition,
            position,
            snapshot=header.generation,
            snapshot_position=header.position,
            panes=len(restored.snapshot.panes),
            seconds=round(seconds, 3),
        )

    def live(self, partition: int, position: int) -> None:
        self._stand(Event.LIVE, partition, position)

    def kept(self, partition: int, position: int) -> None:
        self._stand(Event.KEPT, partition, position)

    def advanced(self, partition: int, position: int, seconds: float, windows: int) -> None:
        self._log(Event.ADVANCED, partition=partition, position=position, seconds=round(seconds, 3), windows=windows)

    def producers_clocks(self) -> None:
        self._log(Event.PRODUCERS_CLOCKS, logging.WARNING, reason=PRODUCERS_CLOCKS)

    def paused(self, partition: int, position: int, reason: str) -> None:
        self._log(Event.PAUSED, logging.ERROR, partition=partition, position=position, reason=reason)

    def revoked(self, partitions: Sequence[int]) -> None:
        self._log(Event.REVOKED, partitions=sorted(partitions), positions=self._of(partitions))

    def lost(self, partitions: Sequence[int]) -> None:
        self._log(Event.LOST, logging.WARNING, partitions=sorted(partitions), positions=self._of(partitions))

    def committed(self, outputs: Outputs, seconds: float) -> None:
        self._positions |= outputs.positions
        self._log(
            Event.COMMITTED,
            logging.DEBUG,
            positions=outputs.positions,
            milliseconds=round(seconds * 1000),
            metrics=len(outputs.metrics),
            alerts=len(outputs.alerts),
            dead_letters=len(outputs.dead_letters),
            snapshots=len(outputs.snapshots),
        )

    def commit_refused(self, error: Exception) -> None:
        self._log(Event.COMMIT_REFUSED, logging.WARNING, positions=self._positions, reason=str(error))

    def rebuilt(self, error: Exception) -> None:
        self._log(Event.REBUILT, logging.WARNING, positions=self._positions, reason=str(error))

    def alert(self, alert: AlertEvent) -> None:
        log(
            Event.ALERT,
            topic=alert.topic,
            partition=alert.partition,
            position=alert.closing_position,
            state=alert.state.value,
            summary=alert.summary,
            alert_id=alert.alert_id,
        )

    def _stand(self, event: Event, partition: int, position: int, **fields: Any) -> None:
        self._positions[partition] = position
        self._log(event, partition=partition, position=position, **fields)

    def _log(self, event: Event, level: int = logging.INFO, **fields: Any) -> None:
        log(event, level, topic=self._topic, **fields)

    def _of(self, partitions: Sequence[int]) -> dict[int, int]:
        return {partition: self._positions[partition] for partition in partitions if partition in self._positions}
