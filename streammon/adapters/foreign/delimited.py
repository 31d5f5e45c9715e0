"""CSV and its kin: text with a line of names, then rows of cells between delimiters, quoted where needed."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from streammon.adapters.foreign.cells import Problem
from streammon.adapters.foreign.rows import BLOCK_ROWS, Rows, lines_in, opened
from streammon.core.errors import Code, UsageError
from streammon.text import counted, shown

if TYPE_CHECKING:
    from _csv import Reader as _Reader

DELIMITERS = ",;\t|"


class DelimitedTable:
    """One file. An empty cell is null; the delimiter is the one that the line of names has most of."""

    kind, fixed = "CSV", True

    def __init__(self, path: Path, max_row_bytes: int) -> None:
        self.path, self._max = path, max_row_bytes
        csv.field_size_limit(max_row_bytes)  # of the process; a cell may be a list of a thousand numbers
        with _text(path) as file:
            head = file.readline(max_row_bytes)
            self._delimiter = max(DELIMITERS, key=head.count)
            file.seek(0)
            self.names: Sequence[str] = [name.strip() for name in next(self._reader(_Tape(file)), [])]
        if not any(self.names):
            raise UsageError(f"{path}: line 1 is empty: expected the names of the columns")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise UsageError(f"{path}: line 1 names column {shown(twice[0])} twice: rename one of them")
        self.records = max(0, lines_in(path) - 1)

    def rows(self, columns: Collection[str]) -> Iterator[Rows]:
        with _text(self.path) as file:
            tape = _Tape(file)
            reader = self._reader(tape)
            next(reader)
            while True:
                tape.cut(reader.line_num)
                found = list(islice(_records(reader), BLOCK_ROWS))
                if not found:
                    return
                yield self._block(found, tape.lines, tape.before, columns)

    def _reader(self, tape: _Tape) -> _Reader:
        return csv.reader(tape, delimiter=self._delimiter)

    def _block(
        self, found: list[tuple[int, int, list[str] | str]], lines: list[str], before: int, columns: Collection[str]
    ) -> Rows:
        def text(row: int) -> bytes:
            first, last, _ = found[row]
            return "".join(lines[first - before : last - before]).rstrip("\r\n").encode(errors="surrogateescape")

        problems: dict[int, Problem] = {}
        width, damaged = len(self.names), not _is_utf8(lines)
        rows = []
        for number, (first, last, row) in enumerate(found):
            suspect = len(row) != width or damaged or last - first > 1 or isinstance(row, str)
            if suspect and (problem := self._problem(row, text(number))):
                problems[number] = problem
            rows.append([""] * width if number in problems else row)
        cells = dict(zip(self.names, zip(*rows, strict=True), strict=True))
        return Rows(
            len(rows),
            {name: [cell or None for cell in cells[name]] for name in columns},
            problems,
            lambda row: f"line {found[row][0] + 1:,}",
            text,
        )

    def _problem(self, row: list[str] | str, text: bytes) -> Problem | None:
        """What is wrong with a row as such."""
        if isinstance(row, str) or len(text) > self._max:
            why = row if isinstance(row, str) else "the row is larger than input.max_record_bytes"
            return Problem(Code.OVERSIZED, None, f"{why}; is a quote not closed?")
        if not _is_utf8([text.decode(errors="surrogateescape")]):
            return Problem(Code.ENCODING, None, "the row is not UTF-8")
        if len(row) == len(self.names):
            return None
        code = Code.TRUNCATED if len(row) < len(self.names) else Code.TRAILING
        return Problem(
            code, None, f"the row has {counted(len(row), 'cell')}, and there are {len(self.names):,} columns"
        )


class _Tape:
    """The lines of a file, as a reader goes through them; those of the rows at hand are kept."""

    def __init__(self, file: TextIO) -> None:
        self._file, self.lines, self.before = file, list[str](), 0

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.lines.append(line)
            yield line

    def cut(self, before: int) -> None:
        """Forget the lines up to this number."""
        self.lines, self.before = self.lines[before - self.before :], before


def _records(reader: _Reader) -> Iterator[tuple[int, int, list[str] | str]]:
    """(lines before the row, lines up to its end, its cells or why there are none). Empty lines are no rows."""
    while True:
        first = reader.line_num
        row: list[str] | str
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            row = str(error)
        if row:
            yield first, reader.line_num, row


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """Bytes that are no UTF-8 come as surrogates; a mark in front of the text is none of it."""
    with opened(path) as file, TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as text:
        yield text


def _is_utf8(lines: list[str]) -> bool:
    try:
        "".join(lines).encode()
    except UnicodeEncodeError:
        return False
    return True
