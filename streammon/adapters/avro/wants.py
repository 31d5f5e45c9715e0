"""What a mapping wants for the columns: from where in a writer's schema, and to which place in which column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, NoReturn

from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.ops import FLOATS, INTS, ITEM_SLOT, NOWHERE, SLOT, STRINGS
from streammon.adapters.avro.paths import EACH, Steps, parse_path
from streammon.core.errors import UsageError

FieldMapping = Mapping[str, str | Sequence[str] | None]
"""Column to path of a field (paths.py), a list also to several paths; None: leave it null."""


class Kind(Enum):
    """What a target takes."""

    WHOLE = "a whole number or a boolean"
    REAL = "a number"
    TEXT = "a string, bytes or an enum"
    REALS = "an array of numbers"
    TEXTS = "an array of strings"

    @property
    def item(self) -> Kind:
        """What each item of the array is."""
        return {Kind.REALS: Kind.REAL, Kind.TEXTS: Kind.TEXT}.get(self, self)


class Target(NamedTuple):
    """Where a value of the writer's goes: a column, or one value of a list."""

    name: str  # of the column
    kind: Kind
    path: str  # as the mapping has it
    place: int = NOWHERE  # of a number or string, see ops.py
    column: int = 0
    slot: int = 0  # in a list

    @property
    def in_list(self) -> bool:
        return self.kind is not self.kind.item or self.place in (SLOT, ITEM_SLOT)


class Want(NamedTuple):
    """A target, and the steps to it from the type at hand."""

    steps: Steps
    target: Target

    @property
    def next(self) -> Want:
        return Want(self.steps[1:], self.target)

    @property
    def gathers(self) -> bool:
        """Whether it is a list, of every item of some array that is still to come."""
        return EACH in self.steps


@dataclass(slots=True)
class Lists:
    """What the lists of one kind (numbers, or strings) need beside their targets. Column numbers count from the
    columns of the set on: those behind them hold the parts of lists that are put together."""

    columns: int
    slots: list[tuple[int, int]] = field(default_factory=list)  # (column, number of its single values)
    joins: list[tuple[int, int, int]] = field(default_factory=list)  # (column, first part, number of parts)
    parts: int = 0

    def targets(self, name: str, kind: Kind, column: int, paths: Sequence[str]) -> list[Want]:
        """The wants of a list that several paths make: each one value, or with `[]` any number of them."""
        place = SLOT if kind is Kind.REALS else ITEM_SLOT
        steps = [_steps(name, path) for path in paths]
        if not any(EACH in each for each in steps):
            self.slots.append((column, len(paths)))
            return [
                Want(each, Target(name, kind.item, path, place, column, slot))
                for slot, (each, path) in enumerate(zip(steps, paths, strict=True))
            ]
        wants: list[Want] = []
        first, singles = self.parts, 0
        for each, path in zip(steps, paths, strict=True):
            if EACH in each or not singles:
                self.parts += 1
                singles = 0
            part = self.columns + self.parts - 1
            if EACH in each:
                wants.append(Want(each, Target(name, kind, path, column=part)))
                continue
            if singles:
                self.slots.pop()
            wants.append(Want(each, Target(name, kind.item, path, place, part, singles)))
            singles += 1
            self.slots.append((part, singles))
        self.joins.append((column, self.columns + first, self.parts - first))
        return wants


class Wanted(NamedTuple):
    """What a mapping wants, of any schema."""

    wants: tuple[Want, ...]
    named: frozenset[str]  # columns that the mapping names; the others are the fields of the same name
    null: frozenset[str]  # columns that the mapping leaves null
    numbers: Lists
    strings: Lists


def wanted(columns: ColumnSet, mapping: FieldMapping | None) -> Wanted:
    """The wants of a mapping. A column that it does not name is the field of the same name, where a schema has one."""
    mapping = mapping or {}
    numbers, strings = Lists(len(columns.lists)), Lists(len(columns.string_lists))
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
    wants: list[Want] = []
    for kind, place, names in kinds:
        for column, name in enumerate(names):
            path = mapping.get(name, name)
            if path is None:
                continue
            many = kind.item is not kind
            if isinstance(path, str):
                steps = _steps(name, path)
                if many and EACH not in steps:
                    steps = (*steps, EACH)
                elif EACH in steps and not many:
                    _refuse(name, f"takes one value, and {path!r} is one for every item: write [0] for the first item")
                wants.append(Want(steps, Target(name, kind, path, place, column)))
            elif many and path:
                wants += (numbers if kind is Kind.REALS else strings).targets(name, kind, column, path)
            else:
                lists = ", ".join((*columns.lists, *columns.string_lists))
                _refuse(name, f"takes one path; only {lists} take several")
    null = frozenset(name for name, path in mapping.items() if path is None)
    return Wanted(tuple(wants), frozenset(mapping), null, numbers, strings)


def _steps(name: str, path: str) -> Steps:
    try:
        return parse_path(path)
    except ValueError as problem:
        _refuse(name, f"{path!r} {problem}")


def _refuse(name: str, why: str) -> NoReturn:
    raise UsageError(f"field mapping: {name!r} {why}")
