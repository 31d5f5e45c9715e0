"""JSON lines: one object in each line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from streammon.adapters.foreign.cells import Problem
from streammon.adapters.foreign.rows import BLOCK_ROWS, Rows, lines_in, opened
from streammon.core.errors import Code, UsageError

BOM = b"\xef\xbb\xbf"


class JsonLinesTable:
    """One file. Its columns are the keys that its first block has; rows further on may have others."""

    kind, fixed = "JSON lines", False

    def __init__(self, path: Path, max_row_bytes: int) -> None:
        self.path, self._max = path, max_row_bytes
        with opened(path) as file:
            if file.read(len(BOM) + 1).removeprefix(BOM).lstrip()[:1] == b"[":
                raise UsageError(
                    f"{path}: begins with [, so it is one JSON array: write one object a line "
                    "(pandas: to_json(file, orient='records', lines=True))"
                )
            file.seek(0)
            lines, objects, problems = self._objects(file)
        self.names: Sequence[str] = list(dict.fromkeys(name for row in objects for name in row))
        if len(problems) == len(lines) > 0:
            raise UsageError(f"{path}: holds no JSON lines; line {lines[0][0]}: {problems[0].why}")
        self.records = lines_in(path)

    def rows(self, columns: Collection[str]) -> Iterator[Rows]:
        with opened(self.path) as file:
            before = 0
            while True:
                lines, objects, problems = self._objects(file, before)
                if not lines:
                    return
                yield _rows(lines, objects, problems, columns)
                before = lines[-1][0]

    def _objects(
        self, file: BinaryIO, before: int = 0
    ) -> tuple[list[tuple[int, bytes]], list[dict[str, Any]], dict[int, Problem]]:
        """The next lines that are not empty, with their numbers; what they hold; what is wrong with some."""
        numbered = ((number, line.strip()) for number, line in enumerate(file, before + 1))
        lines = list(islice(((number, line) for number, line in numbered if line), BLOCK_ROWS))
        if lines and not before:
            lines[0] = lines[0][0], lines[0][1].removeprefix(BOM)
        objects: list[dict[str, Any]] = []
        problems: dict[int, Problem] = {}
        for row, (_, line) in enumerate(lines):
            found = self._parsed(line)
            if isinstance(found, Problem):
                problems[row], found = found, {}
            objects.append(found)
        return lines, objects, problems

    def _parsed(self, line: bytes) -> dict[str, Any] | Problem:
        if len(line) > self._max:
            return Problem(Code.OVERSIZED, None, "")
        try:
            found = json.loads(line.decode())
        except UnicodeDecodeError as error:
            return Problem(Code.ENCODING, None, f"byte {error.start + 1:,} of the line is not UTF-8")
        except json.JSONDecodeError as error:
            return Problem(Code.FRAMING, None, f"the line is not JSON: {error.msg} at character {error.pos + 1:,}")
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets without end
            return Problem(Code.FRAMING, None, f"the line cannot be read as JSON: {error}")
        return found if isinstance(found, dict) else Problem(Code.FRAMING, None, "the line is JSON, but not an object")


def _rows(
    lines: list[tuple[int, bytes]],
    objects: list[dict[str, Any]],
    problems: dict[int, Problem],
    columns: Collection[str],
) -> Rows:
    return Rows(
        len(lines),
        {name: [found.get(name) for found in objects] for name in columns},
        problems,
        lambda row: f"line {lines[row][0]:,}",
        lambda row: lines[row][1],
    )
