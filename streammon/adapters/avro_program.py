"""From a writer's schema and the columns that are wanted from it to a program for avro_kernel.py.

Everything is read, in the schema's order: a wrong byte in a field that nobody asked for makes the record as wrong as
any other. What is not wanted is only not stored.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from streammon.adapters import avro_ops as ops
from streammon.adapters.avro_columns import ColumnSet, FieldMapping, Kind, Node, Target, wanted
from streammon.adapters.avro_schema import AvroSchema, Type
from streammon.core.errors import UsageError

MAX_WORDS = 1 << 18  # a named type is written out wherever it is used, which a hostile schema can multiply

NUMBER_OPS = {
    "boolean": ops.BOOLEAN,
    "int": ops.INT,
    "long": ops.LONG,
    "float": ops.FLOAT,
    "double": ops.DOUBLE,
}
FIXED_SIZES = {"float": 4, "double": 8}
TEXT_LOGICAL = {None, "uuid"}  # logical types of strings and bytes that are text; a decimal is not
TIME_FACTORS = {None: 1, "timestamp-micros": 1, "timestamp-millis": 1000}  # to microseconds, by logical type
TAKES = {Kind.WHOLE: ("boolean", "int", "long"), Kind.REAL: tuple(NUMBER_OPS), Kind.TEXT: ("string", "bytes", "enum")}


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """How to decode datums of one schema."""

    words: NDArray[np.int64]
    name: str  # of the schema
    least: int  # bytes of a datum, at least
    gathered: int  # list values that every row has, whatever its bytes
    value_bytes: int  # bytes of a value of a list, at least; 0 where no list is read
    has_items: bool  # whether lists of strings are read
    places: tuple[tuple[int, str], ...]  # (first word, path of the field that it reads), ascending

    def path(self, word: int) -> str | None:
        """Path, in the writer's schema, of the field that an operation reads; None where it reads none."""
        index = bisect_right(self.places, word, key=lambda place: place[0]) - 1
        return (self.places[index][1] or None) if index >= 0 else None


def compile_program(
    schema: AvroSchema,
    mapping: FieldMapping | None,
    columns: ColumnSet,
    constants: bytearray,
) -> Program:
    """The program that fills `columns` from datums of a schema. Appends to `constants` the bytes of the enums' symbols.

    A column that the mapping does not name is the field of the same name, or null where there is none.
    """
    if schema.type.kind != "record":
        raise UsageError(f"schema {schema.name}: {schema.type} where a record is needed")
    root, gathered = wanted(columns, mapping, schema.type.names)
    compiler = _Compiler(schema, columns, constants)
    for column, count in gathered.items():
        compiler.emit(ops.SLOTS, column, count)
    compiler.record(schema.type, root, "")
    compiler.end()
    return Program(
        np.array(compiler.words, np.int64),
        schema.name,
        schema.type.least,
        sum(gathered.values()),
        compiler.value_bytes,
        compiler.has_items,
        tuple(compiler.places),
    )


class _Compiler:
    """Writes the program of one schema. Methods take a type, what is wanted from it, and its path for messages."""

    def __init__(self, schema: AvroSchema, columns: ColumnSet, constants: bytearray) -> None:
        self.schema = schema
        self.columns = columns
        self.constants = constants
        self.words: list[int] = []
        self.places: list[tuple[int, str]] = []
        self.value_bytes = 0
        self.has_items = False

    def refuse(self, target: Target, path: str, why: str) -> NoReturn:
        raise UsageError(f"field {target.name}: {path!r} of schema {self.schema.name} {why}; map it elsewhere")

    def emit(self, *words: int) -> int:
        """Append an operation; the number of its first word."""
        if len(self.words) > MAX_WORDS:
            raise UsageError(f"schema {self.schema.name}: too large when its named types are written out")
        self.words.extend(words)
        return len(self.words) - len(words)

    def at(self, path: str) -> None:
        """What is emitted from here on reads the field `path`."""
        if not self.places or self.places[-1][1] != path:
            self.places.append((len(self.words), path))

    # Records and unions: the same for what is wanted and what is not

    def record(self, type_: Type, node: Node | None, path: str) -> None:
        below = node.below if node else {}
        for name in below:
            if name not in type_.names:
                self.refuse(_first(below[name]), f"{path}.{name}".lstrip("."), "does not exist")
        for name, part in zip(type_.names, type_.parts, strict=True):
            self.value(part, below.get(name), f"{path}.{name}".lstrip("."))

    def value(self, type_: Type, node: Node | None, path: str) -> None:
        """A value of any type, which goes to any number of targets."""
        if node is None or not node.targets:
            self.branch(type_, node, path)
            return
        if node.below:
            self.refuse(node.targets[0], path, "is mapped as a whole and field by field")
        if len(node.targets) > 1:
            if any(target.kind in (Kind.REALS, Kind.TEXTS) for target in node.targets):
                self.refuse(node.targets[1], path, f"is {node.targets[0].name} already; an array goes to one list only")
            self.at(path)
            self.emit(ops.MARK)
        for number, target in enumerate(node.targets):
            if number:
                self.emit(ops.REWIND)
            self.branch(type_, target, path)

    def branch(self, type_: Type, want: Node | Target | None, path: str) -> None:
        """A value of any type, which goes to one target, to the targets of its fields, or nowhere."""
        if type_.kind == "union":
            self.union(type_, want, path)
        elif isinstance(want, Target):
            self.store(type_, want, path)
        elif type_.kind == "record":
            self.record(type_, want, path)
        elif want is not None and want.below:
            name, below = next(iter(want.below.items()))
            self.refuse(_first(below), f"{path}.{name}", f"does not exist: {path} is {type_}")
        else:
            self.skip(type_, path)

    def union(self, type_: Type, want: Node | Target | None, path: str) -> None:
        count = len(type_.parts)
        self.at(path)
        start = self.emit(ops.UNION, count, *[0] * count)
        exits = []
        for number, part in enumerate(type_.parts):
            self.words[start + 2 + number] = len(self.words) - start
            if part.kind == "null":
                self.null(want)
            else:
                self.branch(part, want, path)
            self.at(path)
            if number < count - 1:
                exits.append(self.emit(ops.JUMP, 0))
        for exit_ in exits:
            self.words[exit_ + 1] = len(self.words) - exit_

    def null(self, want: Node | Target | None) -> None:
        """Rows are null before they are decoded; only a list must be told."""
        if isinstance(want, Target) and want.kind is Kind.REAL and want.place == ops.VALUES:
            self.emit(ops.NULL_VALUE)
        elif isinstance(want, Target) and want.kind is Kind.TEXT and want.place == ops.ITEM:
            self.emit(ops.NULL_ITEM)

    # What is wanted

    def store(self, type_: Type, target: Target, path: str) -> None:
        self.at(path)
        if target.kind in (Kind.REALS, Kind.TEXTS):
            self.array(type_, target, path)
        elif type_.kind == "null" and target.place not in (ops.VALUES, ops.ITEM):
            pass
        elif type_.kind not in TAKES[target.kind]:
            self.refuse(target, path, f"is {type_}, not {target.kind.value}")
        elif target.kind is Kind.TEXT:
            self.text(type_, target, path)
        else:
            detail = self.factor(type_, target, path) if target.kind is Kind.WHOLE else target.slot
            self.emit(NUMBER_OPS[type_.kind], target.place, target.column, detail)

    def factor(self, type_: Type, target: Target, path: str) -> int:
        """What an int column's numbers are multiplied with."""
        if target.name in self.columns.times:
            if type_.kind != "long" or type_.logical not in TIME_FACTORS:
                self.refuse(target, path, f"is {type_}, not a long that is a timestamp in milliseconds or microseconds")
            return TIME_FACTORS[type_.logical]
        flag = target.name in self.columns.flags
        if flag != (type_.kind == "boolean"):
            self.refuse(
                target, path, f"is {type_}, not {'boolean' if target.name in self.columns.flags else 'int or long'}"
            )
        return 1

    def text(self, type_: Type, target: Target, path: str) -> None:
        if type_.logical not in TEXT_LOGICAL:
            self.refuse(target, path, f"is {type_}, not text")
        if type_.kind != "enum":
            utf8 = type_.kind == "string" or target.name not in self.columns.binary
            self.emit(ops.TEXT, target.place, target.column, utf8, target.name in self.columns.reserved)
            return
        table: list[int] = []
        for symbol in type_.symbols:
            table += len(self.constants), len(symbol.encode())
            self.constants += symbol.encode()
        self.emit(ops.ENUM, target.place, target.column, len(type_.symbols), 5 + len(table), *table)

    def array(self, type_: Type, target: Target, path: str) -> None:
        """A whole array, as a list."""
        if type_.kind == "null":
            return
        if type_.kind != "array":
            self.refuse(target, path, f"is {type_}, not {target.kind.value}")
        item = type_.parts[0]
        if target.kind is Kind.REALS:
            self.value_bytes = min(self.value_bytes or item.least, item.least)
            if item.kind in FIXED_SIZES:
                self.emit(ops.FIXED_ARRAY, FIXED_SIZES[item.kind], target.column)
                return
            begin, end, place, kind = ops.LIST, ops.LIST_END, ops.VALUES, Kind.REAL
        else:
            self.has_items = True
            begin, end, place, kind = ops.ITEMS, ops.ITEMS_END, ops.ITEM, Kind.TEXT
        self.emit(begin, target.column)
        self.loop(item, Target(target.name, kind, place), path, key=False)
        self.emit(end, target.column)

    def loop(self, item: Type, want: Target | None, path: str, key: bool) -> None:
        """The blocks of an array, or of a map (key)."""
        start = self.emit(ops.BLOCK, item.least + key, 0)
        if key:
            self.emit(ops.TEXT, ops.NOWHERE, 0, 1, 0)
        self.branch(item, want, path + "[]")
        self.at(path)
        again = self.emit(ops.NEXT, 0)
        self.words[again + 1] = start + 3 - again
        self.words[start + 2] = len(self.words) - start

    # What is not wanted

    def skip(self, type_: Type, path: str) -> None:
        self.at(path)
        match type_.kind:
            case "null":
                pass
            case "boolean" | "int" | "long":
                self.emit(NUMBER_OPS[type_.kind], ops.NOWHERE, 0, 0)
            case "float" | "double" | "fixed":
                self.emit(ops.SKIP, type_.least)
            case "string" | "bytes":
                self.emit(ops.TEXT, ops.NOWHERE, 0, type_.kind == "string", 0)
            case "enum":
                self.emit(ops.INDEX, len(type_.symbols))
            case "array" if type_.parts[0].kind in ("float", "double", "fixed"):
                self.emit(ops.FIXED_ARRAY, type_.parts[0].least, -1)
            case _:
                self.loop(type_.parts[0], None, path, key=type_.kind == "map")

    def end(self) -> None:
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
        self.emit(ops.STOP)


def _first(node: Node) -> Target:
    """Any target at or below a node, to name in a refusal."""
    return node.targets[0] if node.targets else _first(next(iter(node.below.values())))
