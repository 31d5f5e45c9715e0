"""Rows of cells to columns of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro.columns import EVENT_COLUMNS, Constant
from streammon.adapters.avro.ops import RESERVED_TEXTS
from streammon.adapters.avro.paths import EACH, Steps
from streammon.adapters.foreign.cells import (
    Problem,
    Refused,
    each,
    flags,
    follow,
    lists,
    moments,
    reals,
    texts,
    wholes,
)
from streammon.adapters.foreign.rows import Arrays, Events, Rows
from streammon.core.errors import Code
from streammon.core.events import EventBatch

_NULL_TIME = -(2**63)


class CellPath(NamedTuple):
    """Where a value is."""

    text: str  # as the mapping has it
    column: str
    steps: Steps  # below the cell

    @property
    def gathers(self) -> bool:
        return EACH in self.steps


class Places(NamedTuple):
    """Where the fields of events come from. A field that is in neither mapping is null."""

    paths: Mapping[str, tuple[CellPath, ...]]
    arrays: frozenset[str]  # fields that are one path; a list is then an array, and otherwise one value of each path
    constants: Mapping[str, Constant]


class Filling:
    """One block. Of a row that is no event the first problem is kept."""

    def __init__(self, rows: Rows, places: Places) -> None:
        self._rows, self._places = rows, places
        self._problems = dict(rows.problems)
        self._strings: list[bytes] = []  # one behind another
        self._filled = 0  # bytes of them

    def events(self) -> Events:
        count, fields = self._rows.count, EVENT_COLUMNS
        ints = np.column_stack([self._ints(field) for field in fields.ints])
        floats = np.column_stack([reals(self._cells(field), self._refused(field)) for field in fields.floats])
        start, length = _stacked([self._texts(field) for field in fields.strings])
        numbers = [self._numbers(field) for field in fields.lists]
        list_length = np.column_stack([lengths for _, lengths in numbers])
        words = [self._words(field) for field in fields.string_lists]
        item_start, item_length = (np.concatenate(pair) for pair in zip(*(items for items, _ in words), strict=True))
        items_length = np.column_stack([lengths for _, lengths in words])
        code = np.zeros(count, np.uint8)
        for row, problem in self._problems.items():
            code[row] = problem.code
        batch = EventBatch(
            np.frombuffer(b"".join(self._strings) or b"\0", np.uint8),
            np.zeros(count, np.int64),
            np.zeros(count, np.int64),
            code,
            np.zeros(count, np.uint8),
            ints,
            floats,
            start,
            length,
            _starts(list_length),
            list_length,
            np.concatenate([values for values, _ in numbers]),
            _starts(items_length),
            items_length,
            item_start,
            item_length,
        )
        return Events(batch, self._problems.__getitem__, self._rows.where, self._rows.text)

    # What is in the file

    def _cells(self, field: str) -> Sequence[Any]:
        """Of a field that is one value, or one array."""
        if field in self._places.constants:
            return [self._places.constants[field]] * self._rows.count
        paths = self._places.paths.get(field)
        return [None] * self._rows.count if paths is None else self._at(paths[0])

    def _at(self, path: CellPath) -> Sequence[Any]:
        cells = self._rows.columns[path.column]
        if not path.steps:
            return cells
        return each(cells, lambda cell: follow(cell, path.steps), None, self._refuse(path.text))

    def _refused(self, field: str) -> Refused:
        paths = self._places.paths.get(field)
        return self._refuse(field if paths is None else paths[0].text)

    def _refuse(self, path: str) -> Refused:
        def refuse(row: int, code: Code, why: str) -> None:
            self._problems.setdefault(row, Problem(code, path, why))

        return refuse

    # Single values

    def _ints(self, field: str) -> NDArray[np.int64]:
        cells, refused = self._cells(field), self._refused(field)
        if field in EVENT_COLUMNS.flags:
            return flags(cells, refused)
        if field not in EVENT_COLUMNS.times:
            return wholes(cells, refused)
        found = moments(cells, _NULL_TIME, refused)
        if field in EVENT_COLUMNS.required:
            for row in np.flatnonzero(found == _NULL_TIME).tolist():
                refused(row, Code.MISSING, "")
        return found

    def _texts(self, field: str) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Starts and lengths."""
        refused = self._refused(field)
        found = texts(self._cells(field), refused)
        reserved = RESERVED_TEXTS[: EVENT_COLUMNS.reserved.get(field, 0)]
        taken = {name.encode() for name in reserved}
        if taken and not taken.isdisjoint(found):
            for row, text in enumerate(found):
                if text in taken:
                    refused(row, Code.RANGE, f"reserved for series of our own: {text.decode()}")
        if field in EVENT_COLUMNS.required and None in found:
            for row, text in enumerate(found):
                if text is None:
                    refused(row, Code.MISSING, "")
        return self._keep(found, -1)

    def _keep(self, found: Sequence[bytes | None], null: int) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Starts and lengths of strings, which the buffer then holds."""
        present = [text or b"" for text in found]
        sizes = np.fromiter(map(len, present), np.int64, len(present))
        start = self._filled + np.cumsum(sizes) - sizes
        self._strings.append(b"".join(present))
        self._filled += int(sizes.sum())
        length = sizes.astype(np.int32)
        if null and None in found:
            length[[text is None for text in found]] = null
        return start, length

    # Lists

    def _numbers(self, field: str) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The values of all rows, and how many each has."""
        values, lengths = self._list(field)
        return reals(values, self._refused_value(field, lengths)), lengths

    def _words(self, field: str) -> tuple[tuple[NDArray[np.int64], NDArray[np.int32]], NDArray[np.int32]]:
        """The same, of strings."""
        values, lengths = self._list(field)
        return self._keep(texts(values, self._refused_value(field, lengths)), 0), lengths

    def _list(self, field: str) -> tuple[Sequence[Any] | NDArray[np.float64], NDArray[np.int32]]:
        paths = self._places.paths.get(field, ())
        if self._is_of_single_values(field):
            columns = [self._at(path) for path in paths]
            lengths = np.full(self._rows.count, len(paths), np.int32)
            return list(chain.from_iterable(zip(*columns, strict=True))), lengths
        parts = [self._part(field, path) for path in paths]
        if len(parts) == 1 and isinstance(parts[0], Arrays):
            return parts[0].values, parts[0].lengths
        rows = parts[0] if len(parts) == 1 else [list(chain.from_iterable(row)) for row in zip(*parts, strict=True)]
        return list(chain.from_iterable(rows)), np.fromiter(map(len, rows), np.int32, len(rows))

    def _is_of_single_values(self, field: str) -> bool:
        paths = self._places.paths.get(field, ())
        return field not in self._places.arrays and not any(path.gathers for path in paths)

    def _part(self, field: str, path: CellPath) -> Sequence[Sequence[Any]]:
        """What a path adds to the list of each row."""
        cells = self._at(path)
        if field in self._places.arrays or path.gathers:
            return cells if isinstance(cells, Arrays) else lists(cells, self._refuse(path.text))
        return [(cell,) for cell in cells]

    def _refused_value(self, field: str, lengths: NDArray[np.int32]) -> Refused:
        """For values of lists, by their number among all of the block."""
        paths = self._places.paths.get(field, ())
        ends = np.cumsum(lengths)
        single = self._is_of_single_values(field)

        def refuse(number: int, code: Code, why: str) -> None:
            row = int(np.searchsorted(ends, number, "right"))
            place = number - int(ends[row]) + int(lengths[row])
            path = paths[place].text if single else f"{field}[{place}]"
            self._problems.setdefault(row, Problem(code, path, why))

        return refuse


def _stacked(columns: list[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[NDArray[Any], NDArray[Any]]:
    first, second = zip(*columns, strict=True)
    return np.column_stack(first), np.column_stack(second)


def _starts(length: NDArray[np.int32]) -> NDArray[np.int64]:
    """[n, columns] where lists begin that lie one behind another, column by column."""
    ends = np.cumsum(length.T, dtype=np.int64)
    return np.ascontiguousarray(ends.reshape(length.T.shape).T - length)
