"""Writing programs: words, what they read, and the operations for single values; program.py has the shapes."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from streammon.adapters.avro import ops
from streammon.adapters.avro.columns import ColumnSet, Constant
from streammon.adapters.avro.fit import time_factor
from streammon.adapters.avro.schema import AvroSchema, Type
from streammon.adapters.avro.wants import Kind, Target
from streammon.core.errors import UsageError

MAX_WORDS = 1 << 18  # a named type is written out wherever it is used, which a hostile schema can multiply

NUMBER_OPS = {
    "boolean": ops.BOOLEAN,
    "int": ops.INT,
    "long": ops.LONG,
    "float": ops.FLOAT,
    "double": ops.DOUBLE,
}


@dataclass(frozen=True, slots=True)
class Pools:
    """Bytes that the programs of a decoder share."""

    constants: bytearray = field(default_factory=bytearray)  # strings that no datum holds: they follow the buffer
    literals: bytearray = field(default_factory=bytearray)  # keys of maps, and doubles

    def constant(self, text: str) -> tuple[int, int]:
        """(start, length) of a string."""
        return _append(self.constants, text.encode())

    def literal(self, data: bytes) -> tuple[int, int]:
        return _append(self.literals, data)


def _append(pool: bytearray, data: bytes) -> tuple[int, int]:
    start = pool.find(data) if data else 0
    if start < 0:
        start = len(pool)
        pool += data
    return start, len(data)


class Emitter:
    """Appends operations to a program. `path` names the field that they read, for messages."""

    def __init__(self, schema: AvroSchema, columns: ColumnSet, pools: Pools) -> None:
        self.schema = schema
        self.columns = columns
        self.pools = pools
        self.words: list[int] = []
        self.places: list[tuple[int, str]] = []

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

    def land(self, word: int, start: int) -> None:
        """Let the operation at `start`, whose operand `word` is, jump to what comes next."""
        self.words[word] = len(self.words) - start

    # What is wanted: the type fits the target

    def store(self, type_: Type, target: Target) -> None:
        place = target.place, target.column, target.slot
        if type_.kind == "null":
            return
        if type_.logical == "decimal":
            size = type_.size if type_.kind == "fixed" else -1
            self.emit(ops.DECIMAL, *place, size, type_.precision, type_.scale)
        elif target.kind is Kind.TEXT:
            self.text(type_, target)
        else:
            factor = time_factor(type_) if target.name in self.columns.times else None
            detail = (factor or 1) if target.kind is Kind.WHOLE else target.slot
            self.emit(NUMBER_OPS[type_.kind], target.place, target.column, detail)

    def text(self, type_: Type, target: Target) -> None:
        place = target.place, target.column, target.slot
        reserved = self.columns.reserved.get(target.name, 0)
        if type_.kind == "enum":
            table: list[int] = []
            for symbol in type_.symbols:
                start, length = self.pools.constant(symbol)
                table += start, -1 if symbol in ops.RESERVED_TEXTS[:reserved] else length
            self.emit(ops.ENUM, *place, len(type_.symbols), 6 + len(table), *table)
            return
        utf8 = type_.kind == "string" or target.name not in self.columns.binary
        if type_.kind == "fixed":
            self.emit(ops.FIXED_TEXT, *place, utf8, reserved, type_.size)
        else:
            self.emit(ops.TEXT, *place, utf8, reserved)

    def null(self, target: Target) -> None:
        """A value that is null, or of a type that does not fit. Rows are null before they are decoded; a list whose
        next value this would be must be told."""
        if target.kind is Kind.REAL and target.place == ops.VALUES:
            self.emit(ops.NULL_VALUE)
        elif target.kind is Kind.TEXT and target.place == ops.ITEM:
            self.emit(ops.NULL_ITEM)

    def forget(self, target: Target) -> None:
        """Make null again what may have been filled."""
        if target.kind in (Kind.REALS, Kind.TEXTS):
            begin, end = (ops.LIST, ops.LIST_END) if target.kind is Kind.REALS else (ops.ITEMS, ops.ITEMS_END)
            self.emit(begin, target.column)
            self.emit(end, target.column)
        else:
            null = ops.NULL_STRING if target.kind is Kind.TEXT else ops.NULL_NUMBER
            self.emit(null, target.place, target.column, target.slot)

    def constant(self, name: str, value: Constant) -> None:
        """What a column holds unless something else is read for it."""
        if isinstance(value, str):
            self.emit(ops.CONSTANT, ops.STRINGS, self.columns.strings.index(name), *self.pools.constant(value))
        elif name in self.columns.ints:
            self.emit(ops.CONSTANT, ops.INTS, self.columns.ints.index(name), int(value), -1)
        else:
            start, _ = self.pools.literal(struct.pack("<d", value))
            self.emit(ops.CONSTANT, ops.FLOATS, self.columns.floats.index(name), start, -1)

    # What is not wanted

    def skip(self, type_: Type) -> bool:
        """Read over a value; False where it is of several parts."""
        match type_.kind:
            case "null":
                pass
            case "bytes" | "fixed" if type_.logical == "decimal":
                self.store(type_, Target("", Kind.REAL, ""))
            case "boolean" | "int" | "long":
                self.emit(NUMBER_OPS[type_.kind], ops.NOWHERE, 0, 0)
            case "float" | "double" | "fixed":
                self.emit(ops.SKIP, type_.least)
            case "string" | "bytes":
                self.emit(ops.TEXT, ops.NOWHERE, 0, 0, type_.kind == "string", 0)
            case "enum":
                self.emit(ops.INDEX, len(type_.symbols))
            case "array" if type_.parts[0].any_bytes:
                self.emit(ops.FIXED_ARRAY, type_.parts[0].least, -1)
            case _:
                return False
        return True
