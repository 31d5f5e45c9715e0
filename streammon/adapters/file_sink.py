"""The sink of a replay: metric and alert events in two files, which appear when the replay is complete."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streammon.adapters.files import OutputFile
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.core.ports import Outputs

METRICS, ALERTS = "metrics.avro", "alerts.avro"


class FileSink:
    """Writes to a directory, which is made at need."""

    def __init__(self, directory: Path, metadata: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._metrics = OutputFile(directory / METRICS, MetricEvent, metadata)
        self._alerts = OutputFile(directory / ALERTS, AlertEvent, metadata)

    def commit(self, outputs: Outputs) -> str:
        self._metrics.write(outputs.metrics)
        self._alerts.write(outputs.alerts)
        return ""

    def reset(self) -> None:
        """A file's outcome is never unknown."""

    def close(self) -> None:
        self._metrics.close()
        self._alerts.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._metrics.discard()
        self._alerts.discard()
