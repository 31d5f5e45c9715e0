"""The files of a replay: what live publishes in topics. They appear when the replay is complete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from hashlib import blake2b
from itertools import count
from pathlib import Path

from streammon.adapters.containers import SYNC_BYTES
from streammon.adapters.envelopes import NOT_AVAILABLE, Envelope, EnvelopeWriter, from_datum, to_datum
from streammon.adapters.files import OutputFile
from streammon.adapters.marked import Marked
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.scopes import ClosedOrDiscarded

METRICS, ALERTS, DEAD_LETTERS, LATE = "metrics.avro", "alerts.avro", "dead_letters.avro", "late.avro"


class MarkedFile(EnvelopeWriter):
    """Dead letters or late records as recorded envelopes: the records that live would write, numbered, with the time of
    what was read.
    """

    def __init__(self, path: Path, metadata: Mapping[str, str], topic: str) -> None:
        sync = blake2b(repr((topic, sorted(metadata.items()))).encode(), digest_size=SYNC_BYTES).digest()
        super().__init__(path, sync)
        self._numbers = count()

    def write_data(self, items: Iterable[bytes]) -> None:
        """Append what `marked_datum` made."""
        self.write(from_datum(data)._replace(offset=next(self._numbers)) for data in items)


def marked_datum(name: str, time: int, record: Marked) -> bytes:
    """A dead letter or late record for the file of this name; `time`: of what was read, microseconds."""
    headers = tuple(record.headers)
    return to_datum(Envelope(name, 0, 0, time // 1000, NOT_AVAILABLE, record.key, record.value, headers))


class ReplayFiles(ClosedOrDiscarded):
    """The files in a directory, which is made at need.

    A context manager: left without an error, all files get their names; otherwise nothing stays behind.
    """

    def __init__(self, directory: Path, metadata: Mapping[str, str], topic: str, late: bool = False) -> None:
        """`topic`: of the records that are replayed. `late`: there may be late records."""
        self._directory = directory
        self._files: dict[str, OutputFile[MetricEvent] | OutputFile[AlertEvent] | MarkedFile] = {}
        with ExitStack() as undo:
            make_directory(directory, undo)
            for name in (METRICS, ALERTS, DEAD_LETTERS, LATE)[: 4 if late else 3]:
                path = directory / name
                if name == METRICS:
                    self._files[name] = OutputFile(path, MetricEvent, metadata)
                elif name == ALERTS:
                    self._files[name] = OutputFile(path, AlertEvent, metadata)
                else:
                    self._files[name] = MarkedFile(path, metadata, topic)
                undo.callback(self._files[name].discard)
            self._undo = undo.pop_all()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    def write(self, name: str, items: Iterable[bytes]) -> None:
        """Append Avro data of the file's schema; of dead letters and late records: see marked_datum."""
        self._files[name].write_data(items)

    def close(self) -> None:
        """Give the files their names: all, or none. Late records of an earlier replay do not stay beside them."""
        try:
            if LATE not in self._files:
                (self._directory / LATE).unlink(missing_ok=True)
            for file in self._files.values():
                file.close()
        except BaseException:
            for name in self._files:
                (self._directory / name).unlink(missing_ok=True)
            self.discard()
            raise

    def discard(self) -> None:
        """Leave nothing behind."""
        self._undo.close()


def make_directory(directory: Path, undo: ExitStack) -> None:
    """With its parents; what was made is removed by `undo`, if nobody has put anything there."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]  # innermost first
    undo.callback(_remove, missing)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {directory}: {error.strerror}: choose another --out") from error


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
