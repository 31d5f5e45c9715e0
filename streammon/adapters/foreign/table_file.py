"""A file of rows as events: which columns, and cells below them, the mapping of the settings means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from streammon.adapters.avro.columns import EVENT_COLUMNS, Constant, Defaults
from streammon.adapters.avro.paths import parse_path
from streammon.adapters.avro.wants import FieldMapping
from streammon.adapters.foreign.filling import CellPath, Filling, Places
from streammon.adapters.foreign.rows import Events, Table
from streammon.core.errors import UsageError
from streammon.text import shown

_NAMED = 20  # columns that a refusal names
_FIELDS = (
    *EVENT_COLUMNS.ints,
    *EVENT_COLUMNS.floats,
    *EVENT_COLUMNS.strings,
    *EVENT_COLUMNS.lists,
    *EVENT_COLUMNS.string_lists,
)


class TableFile:
    """Raises UsageError where the file lacks what the mapping names, or what every event needs."""

    def __init__(self, table: Table, mapping: FieldMapping, defaults: Defaults) -> None:
        self.path: Path = table.path
        self.records: int = table.records
        self._table = table
        paths: dict[str, tuple[CellPath, ...]] = {}
        constants: dict[str, Constant] = {}
        for field in _FIELDS:
            wanted = mapping.get(field, field)
            if wanted is None:
                continue
            found = [self._path(text) for text in ([wanted] if isinstance(wanted, str) else wanted)]
            lacking = [path.text for path in found if path.column not in table.names]
            if lacking and field in defaults:
                constants[field] = defaults[field]
            elif lacking and field in mapping:
                where = "no column" if table.fixed else "in none of the first rows (a null there would do)"
                self._refuse(
                    f"input.mapping takes {field} from {shown(lacking[0])}, which is {where}: map it elsewhere"
                )
            elif not lacking or not table.fixed:
                paths[field] = tuple(found)
        for field in sorted(EVENT_COLUMNS.required):
            if field not in constants and not any(path.column in table.names for path in paths.get(field, ())):
                self._refuse(f"no column {field}, which every event needs: say in input.mapping which it is")
        arrays = frozenset(field for field in paths if isinstance(mapping.get(field, field), str))
        self._places = Places(paths, arrays, constants)

    def blocks(self) -> Iterator[Events]:
        columns = {path.column for paths in self._places.paths.values() for path in paths}
        return (Filling(rows, self._places).events() for rows in self._table.rows(columns))

    def _path(self, text: str) -> CellPath:
        """The name of a column may look like a path."""
        if text in self._table.names:
            return CellPath(text, text, ())
        first, *rest = parse_path(text)
        return CellPath(text, first, tuple(rest))

    def _refuse(self, why: str) -> NoReturn:
        names: Sequence[str] = self._table.names
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        there = ", ".join(shown(name, 60) for name in names[:_NAMED]) + more
        raise UsageError(f"{self.path}, read as {self._table.kind}: {why}; its columns are {there}")
