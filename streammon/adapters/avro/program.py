"""From a writer's schema and what is wanted from it to a program for kernel.py.

Everything is read, in the schema's order: a wrong byte in a field that nobody asked for makes the record as wrong as
any other. What is not wanted is only not stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro import ops
from streammon.adapters.avro.columns import ColumnSet, Defaults
from streammon.adapters.avro.emit import Emitter, Pools
from streammon.adapters.avro.fit import Misfit, misfit
from streammon.adapters.avro.paths import EACH, index, joined, key
from streammon.adapters.avro.schema import AvroSchema, Type
from streammon.adapters.avro.wants import Kind, Lists, Want, Wanted
from streammon.core.errors import UsageError

FIXED_SIZES = {"float": 4, "double": 8}


class Room(NamedTuple):
    """How many values, of lists of numbers or of strings, rows can have."""

    single: int  # of every row, whatever its bytes
    least: int  # bytes of any other value, at least; 0 where there are none
    times: int  # that bytes are read for a list, at most
    copies: int  # of every value: 2 where lists are put together

    def values(self, rows: int, size: int) -> int:
        """In so many rows of `size` bytes together."""
        return self.copies * (rows * self.single + (self.times * size // self.least if self.least else 0))


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """How to decode datums of one schema."""

    words: NDArray[np.int64]
    name: str  # of the schema
    least: int  # bytes of a datum, at least
    numbers: Room
    strings: Room
    lacking: dict[Want, Misfit]  # what the mapping names and this schema does not have
    places: tuple[tuple[int, str], ...]  # (first word, path of the field that it reads), ascending

    def path(self, word: int) -> str | None:
        """Path, in the writer's schema, of the field that an operation reads; None where it reads none."""
        place = bisect_right(self.places, word, key=lambda place: place[0]) - 1
        return (self.places[place][1] or None) if place >= 0 else None


def compile_program(
    schema: AvroSchema,
    columns: ColumnSet,
    wanted: Wanted,
    defaults: Defaults,
    pools: Pools,
) -> Program:
    """The program that fills `columns` from datums of a schema.

    What the schema lacks is null, or its column's default. Raises UsageError where a field is of a type that its column
    does not take.
    """
    if schema.type.kind != "record":
        raise UsageError(f"schema {schema.name}: {schema.type} where a record is needed")
    wants: list[Want] = []
    lacking: dict[Want, Misfit] = {}
    for want in wanted.wants:
        found = misfit(schema.type, want, columns)
        if found is None:
            wants.append(want)
        elif not found.lacks:
            raise UsageError(refusal(want, found, schema.name))
        elif want.target.name in wanted.named:
            lacking[want] = found
    compiler = _Compiler(schema, columns, pools)
    filled = {want.target.name for want in wants} | wanted.null
    for name, value in defaults.items():
        if name not in filled:
            compiler.constant(name, value)
    for column, count in wanted.numbers.slots:
        compiler.emit(ops.SLOTS, column, count)
    for column, count in wanted.strings.slots:
        compiler.emit(ops.ITEM_SLOTS, column, count)
    compiler.value(schema.type, wants, "")
    compiler.end(wanted)
    return Program(
        np.array(compiler.words, np.int64),
        schema.name,
        schema.type.least,
        compiler.room(Kind.REALS, wanted.numbers),
        compiler.room(Kind.TEXTS, wanted.strings),
        lacking,
        tuple(compiler.places),
    )


def refusal(want: Want, found: Misfit, schema: str) -> str:
    return f"field {want.target.name}: {found.path!r} of schema {schema} {found.why}; map it elsewhere"


class _Compiler(Emitter):
    """Writes the program of one schema. Methods take a type, what is wanted from it, and its path for messages."""

    def __init__(self, schema: AvroSchema, columns: ColumnSet, pools: Pools) -> None:
        super().__init__(schema, columns, pools)
        self.least = {Kind.REALS: 0, Kind.TEXTS: 0}
        self.times = 1
        self.level = 0  # of values that are read more than once

    def value(self, type_: Type, wants: Sequence[Want], path: str) -> None:
        """A value of any type. Each target that takes it whole, and each list that takes every item of it, reads it
        anew: a list's values lie side by side."""
        alone = [want for want in wants if not want.steps or want.steps[0] == EACH]
        shared = [want for want in wants if want.steps and want.steps[0] != EACH]
        passes = [[want] for want in alone] + ([shared] if shared or not alone else [])
        self.at(path)
        if len(passes) > 1:
            self.times = max(self.times, sum(want.target.kind in self.least for want in wants))
            self.emit(ops.MARK, self.level)
        self.level += 1
        for number, one in enumerate(passes):
            if number:
                self.at(path)
                self.emit(ops.REWIND, self.level - 1)
            self.read(type_, one, path)
        self.level -= 1

    def read(self, type_: Type, wants: Sequence[Want], path: str) -> None:
        """Once, for wants that can be had together."""
        if type_.kind == "union":
            self.union(type_, wants, path)
        elif type_.kind == "record":
            self.record(type_, wants, path)
        elif not wants:
            if not self.skip(type_):
                self.loop(type_, path, lambda: self.item(type_, path))
        elif type_.kind == "null":
            pass
        elif not wants[0].steps:
            self.store(type_, wants[0].target)
        elif wants[0].steps[0] == EACH:
            self.gather(type_, wants[0], path)
        elif type_.kind == "array":
            self.emit(ops.COUNT)
            self.loop(type_, path, lambda: self.pick(type_.parts[0], wants, path))
        else:
            self.loop(type_, path, lambda: self.keys(type_.parts[0], wants, path))

    def record(self, type_: Type, wants: Sequence[Want], path: str) -> None:
        below = _by_step(wants, str)
        for name, part in zip(type_.names, type_.parts, strict=True):
            self.value(part, below.get(name, ()), joined(path, name))

    def union(self, type_: Type, wants: Sequence[Want], path: str) -> None:
        """What does not fit a branch is null there."""
        count = len(type_.parts)
        start = self.emit(ops.UNION, count, *[0] * count)
        exits = []
        for number, part in enumerate(type_.parts):
            self.land(start + 2 + number, start)
            fitting = [want for want in wants if part.kind != "null" and self.fits(part, want)]
            for want in wants:
                if want not in fitting:
                    self.null(want.target)
            self.value(part, fitting, path)
            self.at(path)
            if number < count - 1:
                exits.append(self.emit(ops.JUMP, 0))
        for jump in exits:
            self.land(jump + 1, jump)

    def fits(self, type_: Type, want: Want) -> bool:
        gathering = want.target.kind in self.least and want.target.place != ops.NOWHERE
        return misfit(type_, want, self.columns, gathering=gathering) is None

    # Arrays and maps

    def loop(self, type_: Type, path: str, body: Callable[[], None]) -> None:
        """The blocks of an array or a map; `body` reads one item, with its key."""
        start = self.emit(ops.BLOCK, type_.parts[0].least + (type_.kind == "map"), 0)
        body()
        self.at(path)
        again = self.emit(ops.NEXT, 0)
        self.words[again + 1] = start + 3 - again
        self.land(start + 2, start)

    def item(self, type_: Type, path: str) -> None:
        """An item that nobody wants."""
        if type_.kind == "map":
            self.emit(ops.TEXT, ops.NOWHERE, 0, 0, 1, 0)
        self.value(type_.parts[0], (), path + EACH)

    def gather(self, type_: Type, want: Want, path: str) -> None:
        """Every item of an array, to a list. Arrays in it that are gathered too add to the same list."""
        item, inside, target = type_.parts[0], want.next, want.target
        numbers, outermost = target.kind is Kind.REALS, target.place == ops.NOWHERE
        if not inside.gathers:
            self.least[target.kind] = min(self.least[target.kind] or item.least, item.least)
        if outermost and numbers and not inside.steps and item.kind in FIXED_SIZES:
            self.emit(ops.FIXED_ARRAY, FIXED_SIZES[item.kind], target.column)
            return
        begin, end, append, end_of_list, null = (
            (ops.LIST, ops.LIST_END, ops.VALUES, ops.LAST, ops.NULL_VALUE)
            if numbers
            else (ops.ITEMS, ops.ITEMS_END, ops.ITEM, ops.LAST_ITEM, ops.NULL_ITEM)
        )
        if outermost:
            self.emit(begin, target.column)

        def body() -> None:
            self.at(path + EACH)
            inner = target._replace(place=append)
            if not inside.gathers:
                inner = inner._replace(kind=target.kind.item)
                if inside.steps:  # it may be absent: so first a null, which what is there takes the place of
                    self.emit(null)
                    inner = inner._replace(place=end_of_list)
            self.value(item, [Want(inside.steps, inner)], path + EACH)

        self.loop(type_, path, body)
        if outermost:
            self.emit(end, target.column)

    def pick(self, item: Type, wants: Sequence[Want], path: str) -> None:
        """An item of an array of which some are wanted, by number."""
        below = _by_step(wants, index)
        count = max(below) + 1
        start = self.emit(ops.PICK, count, 0, *[0] * count)
        exits = []
        for number, some in below.items():
            self.land(start + 3 + number, start)
            self.value(item, some, f"{path}[{number}]")
            exits.append(self.emit(ops.JUMP, 0))
        self.land(start + 2, start)
        for number in set(range(count)) - set(below):
            self.land(start + 3 + number, start)
        self.value(item, (), path + EACH)
        for jump in exits:
            self.land(jump + 1, jump)

    def keys(self, item: Type, wants: Sequence[Want], path: str) -> None:
        """An item of a map of which some are wanted, by key. A key that comes again wins."""
        below = {name.encode(): some for name, some in _by_step(wants, key).items()}
        names = sorted(below, key=lambda name: (len(name), name))
        table = [word for name in names for word in (*self.pools.literal(name), 0)]
        start = self.emit(ops.KEY, len(names), 0, *table)
        exits = []
        for number, name in enumerate(names):
            self.land(start + 3 + 3 * number + 2, start)
            if item.kind in ("union", "record", "array", "map"):
                for want in below[name]:
                    self.forget(want.target)
            self.value(item, below[name], joined(path, f"[{name.decode()}]"))
            exits.append(self.emit(ops.JUMP, 0))
        self.land(start + 2, start)
        self.value(item, (), path + EACH)
        for jump in exits:
            self.land(jump + 1, jump)

    def room(self, kind: Kind, lists: Lists) -> Room:
        single = sum(count for _, count in lists.slots)
        return Room(single, self.least[kind], self.times, 2 if lists.joins else 1)

    def end(self, wanted: Wanted) -> None:
        self.at("")
        self.emit(ops.END)
        for column, name in enumerate(self.columns.ints):
            if name in self.columns.required:
                self.at(name)
                self.emit(ops.NEED_INT, column)
        for column, name in enumerate(self.columns.strings):
            if name in self.columns.required:
                self.at(name)
                self.emit(ops.NEED_STRING, column)
        for join in wanted.numbers.joins:
            self.emit(ops.JOIN, *join)
        for join in wanted.strings.joins:
            self.emit(ops.JOIN_ITEMS, *join)
        self.emit(ops.STOP)


def _by_step(wants: Sequence[Want], step: Callable[[str], Any]) -> dict[Any, list[Want]]:
    """The wants one step further, by that step."""
    below: dict[Any, list[Want]] = defaultdict(list)
    for want in wants:
        below[step(want.steps[0])].append(want.next)
    return below
