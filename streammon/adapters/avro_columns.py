"""Which columns a decoder fills, and from where in the writer's schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

import numpy as np

from streammon.adapters.avro_ops import FLOATS, INTS, NOWHERE, NULL_INT, SLOT, STRINGS, Columns
from streammon.core import events
from streammon.core.errors import UsageError

FieldMapping = Mapping[str, str | Sequence[str] | None]
"""Column to path of a field ("payload.model.name"), a list of numbers also to several paths; None: leave it null."""


@dataclass(frozen=True)
class ColumnSet:
    """Names of the columns by kind, in the order of their numbers, and what is special about some of them."""

    ints: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # of numbers
    string_lists: tuple[str, ...] = ()
    times: frozenset[str] = frozenset()  # ints that are long: microseconds, or as their type says
    flags: frozenset[str] = frozenset()  # ints that are boolean
    binary: frozenset[str] = frozenset()  # strings that are bytes and need not be UTF-8
    required: frozenset[str] = frozenset()  # ints and strings whose null is MISSING
    reserved: frozenset[str] = frozenset()  # strings in which a lone `*` is RANGE

    def allocate(self, rows: int, values: int, items: int) -> Columns:
        """Columns with room for so many list values and strings of lists. Room that is not touched costs no memory."""
        ints = np.zeros((rows, len(self.ints)), np.int64)
        null_int = np.array([NULL_INT if name in self.required else 0 for name in self.ints], np.int64)
        ints[:, null_int != 0] = NULL_INT
        return Columns(
            null_int,
            ints,
            np.full((rows, len(self.floats)), np.nan),
            np.zeros((rows, len(self.strings)), np.int64),
            np.full((rows, len(self.strings)), -1, np.int32),
            np.zeros((rows, len(self.lists)), np.int64),
            np.zeros((rows, len(self.lists)), np.int32),
            np.empty(values, np.float64),
            np.zeros((rows, len(self.string_lists)), np.int64),
            np.zeros((rows, len(self.string_lists)), np.int32),
            np.empty(items, np.int64),
            np.empty(items, np.int32),
            np.array([0, 0, -1, 0], np.int64),
        )


EVENT_COLUMNS = ColumnSet(
    events.INTS,
    events.FLOATS,
    events.STRINGS,
    events.LISTS,
    events.STRING_LISTS,
    times=frozenset({"ts"}),
    flags=frozenset({"timed_out"}),
    required=frozenset({"ts", "model_id"}),
    reserved=frozenset({"model_id", "model_version", "lane"}),
)


class Kind(Enum):
    """What a target takes."""

    WHOLE = "a whole number or a boolean"
    REAL = "a number"
    TEXT = "a string, bytes or an enum"
    REALS = "an array of numbers"
    TEXTS = "an array of strings"


class Target(NamedTuple):
    """Where a field of the writer's schema goes: a column, or one value of a list."""

    name: str  # of the column
    kind: Kind
    place: int = NOWHERE  # of a number or string, see avro_ops
    column: int = 0
    slot: int = 0


@dataclass(slots=True)
class Node:
    """What is wanted from a field: as a whole (targets), and from the fields of the record that it is (below)."""

    targets: list[Target] = field(default_factory=list)
    below: dict[str, Node] = field(default_factory=dict)

    def add(self, path: str, target: Target) -> None:
        node = self
        for name in path.split("."):
            node = node.below.setdefault(name, Node())
        node.targets.append(target)


def wanted(columns: ColumnSet, mapping: FieldMapping | None, fields: Sequence[str]) -> tuple[Node, dict[int, int]]:
    """The tree of what a mapping wants, and the lists that it gathers from single fields: column to number of values.

    A column that the mapping does not name is the field of the same name, where the schema has one among its `fields`.
    """
    mapping = mapping or {}
    kinds = (
        (Kind.WHOLE, INTS, columns.ints),
        (Kind.REAL, FLOATS, columns.floats),
        (Kind.TEXT, STRINGS, columns.strings),
        (Kind.REALS, NOWHERE, columns.lists),
        (Kind.TEXTS, NOWHERE, columns.string_lists),
    )
    known = {name for _, _, names in kinds for name in names}
    for name in mapping:
        if name not in known:
            raise UsageError(f"field mapping: there is no field {name!r}; fields are {', '.join(sorted(known))}")
    root, gathered = Node(), {}
    for kind, place, names in kinds:
        for column, name in enumerate(names):
            path = mapping.get(name, name if name in fields else None)
            if path is None:
                continue
            if isinstance(path, str):
                root.add(path, Target(name, kind, place, column))
            elif kind is Kind.REALS and path:
                gathered[column] = len(path)
                for slot, one in enumerate(path):
                    root.add(one, Target(name, Kind.REAL, SLOT, column, slot))
            else:
                raise UsageError(
                    f"field mapping: {name!r} takes one path; only {', '.join(columns.lists)} take several"
                )
    return root, gathered
