"""The sink of a replay: metric and alert events in two files, which appear when the replay is complete."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from streammon.adapters.files import OutputFile
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.core.ports import Outputs

METRICS, ALERTS = "metrics.avro", "alerts.avro"


class FileSink:
    """Writes to a directory, which is made at need.

    A context manager: left without an error, both files get their names; otherwise nothing stays behind.
    """

    def __init__(self, directory: Path, metadata: Mapping[str, str]) -> None:
        self._directory = directory
        missing = [path for path in (directory, *directory.parents) if not path.exists()]  # innermost first
        with ExitStack() as undo:
            undo.callback(_remove, missing)
            try:
                directory.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UsageError(f"cannot write to {directory}: {error.strerror}: choose another --out") from error
            self._metrics = OutputFile(directory / METRICS, MetricEvent, metadata)
            undo.callback(self._metrics.discard)
            self._alerts = OutputFile(directory / ALERTS, AlertEvent, metadata)
            undo.callback(self._alerts.discard)
            self._undo = undo.pop_all()

    def commit(self, outputs: Outputs) -> str:
        self._metrics.write(outputs.metrics)
        self._alerts.write(outputs.alerts)
        return ""

    def reset(self, fenced: bool) -> None:
        """A file's outcome is never unknown."""

    def close(self) -> None:
        """Give the files their names: both, or none."""
        try:
            self._metrics.close()
            self._alerts.close()
        except BaseException:
            (self._directory / METRICS).unlink(missing_ok=True)
            self.discard()
            raise

    def discard(self) -> None:
        """Leave nothing behind."""
        self._undo.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def _remove(directories: list[Path]) -> None:
    """Those that are empty, up to the first that is not."""
    with suppress(OSError):
        for directory in directories:
            directory.rmdir()


def check_directory(directory: Path, *, replace: bool) -> None:
    """Refuse, before the work begins, a directory that holds something; with `replace`, only what is no directory.

    Replacing touches the two files and nothing else.
    """
    try:
        there = sorted(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}: choose another --out") from error
    if there and not replace:
        raise UsageError(f"{directory} is not empty: choose another --out, or add --replace to overwrite a replay")
