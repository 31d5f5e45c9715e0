"""The sink of a replay: metric and alert events and dead letters in files, which appear when the replay is complete."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from hashlib import blake2b
from pathlib import Path

from streammon.adapters.containers import SYNC_BYTES
from streammon.adapters.dead_letters import DEAD_LETTER_BYTES, dead_record
from streammon.adapters.envelopes import NOT_AVAILABLE, Envelope, EnvelopeWriter
from streammon.adapters.files import OutputFile
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.core.ports import DeadLetter, Outputs
from streammon.scopes import ClosedOrDiscarded

METRICS, ALERTS, DEAD_LETTERS = "metrics.avro", "alerts.avro", "dead_letters.avro"


class FileSink(ClosedOrDiscarded):
    """Writes to a directory, which is made at need.

    Dead letters are recorded envelopes: the records that live would write, numbered, with the time of what was read.

    A context manager: left without an error, all files get their names; otherwise nothing stays behind.
    """

    def __init__(self, directory: Path, metadata: Mapping[str, str], topic: str, framed: bool = True) -> None:
        """`topic`: of the records that are replayed. `framed`: see dead_letters.dead_record."""
        self._directory, self._topic, self._framed = directory, topic, framed
        self._dead = 0  # letters so far
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
            sync = blake2b(repr((topic, sorted(metadata.items()))).encode(), digest_size=SYNC_BYTES).digest()
            self._dead_letters = EnvelopeWriter(directory / DEAD_LETTERS, sync)
            undo.callback(self._dead_letters.discard)
            self._undo = undo.pop_all()

    def commit(self, outputs: Outputs) -> str:
        self._metrics.write(outputs.metrics)
        self._alerts.write(outputs.alerts)
        self._dead_letters.write(map(self._envelope, outputs.dead_letters))
        return ""

    def _envelope(self, letter: DeadLetter) -> Envelope:
        record = dead_record(letter, self._topic, DEAD_LETTER_BYTES, self._framed)
        self._dead += 1
        milliseconds = letter.timestamp // 1000
        headers = tuple(record.headers)
        return Envelope(DEAD_LETTERS, 0, self._dead - 1, milliseconds, NOT_AVAILABLE, record.key, record.value, headers)

    def reset(self, fenced: bool) -> None:
        """A file's outcome is never unknown."""

    def close(self) -> None:
        """Give the files their names: all, or none."""
        try:
            self._metrics.close()
            self._alerts.close()
            self._dead_letters.close()
        except BaseException:
            for name in (METRICS, ALERTS):
                (self._directory / name).unlink(missing_ok=True)
            self.discard()
            raise

    def discard(self) -> None:
        """Leave nothing behind."""
        self._undo.close()


def _remove(directories: list[Path]) -> None:
    """Those that are empty, up to the first that is not."""
    with suppress(OSError):
        for directory in directories:
            directory.rmdir()


def check_directory(directory: Path, *, replace: bool) -> None:
    """Refuse, before the work begins, a directory that holds something; with `replace`, only what is no directory.

    Replacing touches the files of a replay and nothing else.
    """
    try:
        there = sorted(entry.name for entry in directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}: choose another --out") from error
    if there and not replace:
        raise UsageError(f"{directory} is not empty: choose another --out, or add --replace to overwrite a replay")
