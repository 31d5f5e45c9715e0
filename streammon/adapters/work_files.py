"""The unfinished work of a replay: one SQLite database for each partition, in which a commit is one transaction.

Partitions do not know each other, so each is as durable as its own last commit, and whoever goes on may share them out
among processes as he likes.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from streammon.adapters.changelog import Changelog
from streammon.adapters.changelog_codec import decode_key
from streammon.adapters.codec import from_bytes, to_bytes, to_datum
from streammon.adapters.dead_letters import dead_record
from streammon.adapters.file_sink import ALERTS, DEAD_LETTERS, LATE, METRICS, ReplayFiles, marked_datum
from streammon.adapters.late_records import late_record
from streammon.core.errors import UsageError
from streammon.core.journal import JournalEntry
from streammon.core.ports import Committed, Outputs, Restored

_TABLES = """
CREATE TABLE IF NOT EXISTS output (number INTEGER PRIMARY KEY, file TEXT, data BLOB);
CREATE TABLE IF NOT EXISTS changelog (key BLOB PRIMARY KEY, value BLOB);
CREATE TABLE IF NOT EXISTS journal (sequence INTEGER PRIMARY KEY, data BLOB);
CREATE TABLE IF NOT EXISTS position (only INTEGER PRIMARY KEY CHECK (only = 0), position INTEGER, counts TEXT);
CREATE TABLE IF NOT EXISTS finished (only INTEGER PRIMARY KEY CHECK (only = 0));
"""


class WorkFiles:
    """Sink and state store of some partitions. `counts` has what was counted of each, and is part of its commits."""

    def __init__(
        self,
        directory: Path,
        topic: str,
        partitions: Sequence[int],
        journal: Sequence[JournalEntry] | None,
        framed: bool,
    ) -> None:
        """`journal`: given entries, or None where those that were decided here count. `framed`: see marked.marked."""
        self._topic, self._journal, self._framed = topic, journal, framed
        self._changelog = Changelog()
        self._opened = {partition: _Database(database(directory, partition)) for partition in partitions}
        self.counts: dict[int, Counter[str]] = {p: file.counts() for p, file in self._opened.items()}

    def committed(self, partitions: Sequence[int]) -> dict[int, Committed | None]:
        found = {partition: self._opened[partition].position() for partition in partitions}
        return {p: None if position is None else Committed(position, "") for p, position in found.items()}

    def load(self, partition: int, heartbeat: Callable[[], None]) -> Restored:
        rows = self._opened[partition].rows("SELECT key, value FROM changelog")
        restored = self._changelog.restored(partition, {decode_key(key): value for key, value in rows})
        if self._journal is not None:
            entries = [entry for entry in self._journal if entry.partition == partition]
            return restored._replace(journal=sorted(entries, key=lambda entry: entry.sequence))
        rows = self._opened[partition].rows("SELECT data FROM journal ORDER BY sequence")
        return restored._replace(journal=[from_bytes(JournalEntry, data) for (data,) in rows])

    def commit(self, outputs: Outputs) -> str:
        produced = self._produced(outputs)
        changes: dict[int, list[tuple[bytes, bytes | None]]] = {}
        for partition, key, value in chain(self._changelog.memory(outputs), self._changelog.snapshots(outputs)):
            changes.setdefault(partition, []).append((key, value))
        decided: dict[int, list[JournalEntry]] = {}
        for entry in outputs.journal:
            decided.setdefault(entry.partition, []).append(entry)
        for partition, position in outputs.positions.items():
            file = self._opened[partition]
            with file.transaction():
                file.add("INSERT INTO output (file, data) VALUES (?, ?)", produced.get(partition, ()))
                changed = changes.get(partition, ())
                file.add("DELETE FROM changelog WHERE key = ?", ((key,) for key, value in changed if value is None))
                file.add("REPLACE INTO changelog VALUES (?, ?)", (row for row in changed if row[1] is not None))
                entries = ((entry.sequence, to_bytes(entry)) for entry in decided.get(partition, ()))
                file.add("REPLACE INTO journal VALUES (?, ?)", entries)
                file.add("REPLACE INTO position VALUES (0, ?, ?)", [(position, json.dumps(self.counts[partition]))])
        self._changelog.committed()
        return ""

    def reset(self, fenced: bool) -> None:
        """A file's outcome is never unknown."""

    def finish(self) -> None:
        """Nothing is left to do: whoever goes on need not look at these partitions again."""
        for file in self._opened.values():
            with file.transaction():
                file.add("REPLACE INTO finished VALUES (0)", [()])

    def close(self) -> None:
        for file in self._opened.values():
            file.close()

    def _produced(self, outputs: Outputs) -> dict[int, list[tuple[str, bytes]]]:
        """(file, datum) of everything that is published, by partition."""
        out: dict[int, list[tuple[str, bytes]]] = {}
        for name, events in ((METRICS, outputs.metrics), (ALERTS, outputs.alerts)):
            for event in events:
                out.setdefault(event.partition, []).append((name, to_datum(event)))
        for letter in outputs.dead_letters:
            mark = dead_record(letter, self._topic, framed=self._framed)
            out.setdefault(letter.partition, []).append(
                (DEAD_LETTERS, marked_datum(DEAD_LETTERS, letter.timestamp, mark))
            )
        for late in outputs.late:
            mark = late_record(late, self._topic, framed=self._framed)
            out.setdefault(late.partition, []).append((LATE, marked_datum(LATE, late.timestamp, mark)))
        return out


def database(directory: Path, partition: int) -> Path:
    return directory / f"partition-{partition}.sqlite"


def standing(directory: Path, partition: int) -> tuple[Counter[str], bool]:
    """What was counted of a partition, and whether nothing is left to do there."""
    if not database(directory, partition).exists():
        return Counter(), False
    file = _Database(database(directory, partition))
    try:
        return file.counts(), any(file.rows("SELECT only FROM finished"))
    finally:
        file.close()


def gather(directory: Path, partitions: Sequence[int], files: ReplayFiles) -> tuple[Counter[str], Counter[str]]:
    """Write all outputs, in order of partitions and as they were published. Returns what was counted of all partitions,
    and how many outputs each file has.
    """
    counts: Counter[str] = Counter()
    written: Counter[str] = Counter()
    opened = [_Database(database(directory, partition)) for partition in sorted(partitions)]
    for file in opened:
        counts.update(file.counts())
        for name in files.names:
            rows = file.rows("SELECT data FROM output WHERE file = ? ORDER BY number", name)
            files.write(name, _counted((data for (data,) in rows), name, written))
        file.close()
    return counts, written


def _counted(items: Iterable[bytes], name: str, written: Counter[str]) -> Iterator[bytes]:
    for item in items:
        written[name] += 1
        yield item


class _Database:
    def __init__(self, path: Path) -> None:
        self._path = path
        with self._refused():
            self._file = sqlite3.connect(path, isolation_level=None)  # transactions begin where we say so
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = NORMAL")  # whole after a crash; a power cut may cost commits
            self._file.executescript(_TABLES)

    def position(self) -> int | None:
        return next((int(position) for (position,) in self.rows("SELECT position FROM position")), None)

    def counts(self) -> Counter[str]:
        return Counter(next((json.loads(text) for (text,) in self.rows("SELECT counts FROM position")), {}))

    def rows(self, query: str, *arguments: str) -> Iterator[tuple[Any, ...]]:
        with self._refused():
            yield from self._file.execute(query, arguments)

    def add(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._file.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._refused():
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._file.execute("COMMIT")
            except BaseException:
                if self._file.in_transaction:
                    self._file.execute("ROLLBACK")
                raise

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _refused(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UsageError(
                f"cannot write {self._path}: {error}: make room, or see who else uses it, and go on with --resume"
            ) from error
