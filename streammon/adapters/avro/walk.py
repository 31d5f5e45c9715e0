"""A datum, value by value, for a person who looks at a dead letter: what was read before the fault, and what is wrong.

Slow and plain, and as strict as kernel.py: the two agree on every verdict.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, NamedTuple

from streammon.adapters.avro.reading import Fault, FaultFound, Reading, before_the_end
from streammon.adapters.avro.schema import MAX_PRECISION, Type
from streammon.core.errors import Code
from streammon.text import MARK, counted, shown

MAX_ITEMS = 8  # of an array or map that are shown; the others are read
NESTING_KINDS = ("record", "array", "map")
DIGITS = Context(prec=MAX_PRECISION)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICKS = {"timestamp-millis": 1_000, "timestamp-micros": 1_000_000, "timestamp-nanos": 1_000_000_000}  # a second


class Value(NamedTuple):
    """A value that could be read, from byte `start` to before byte `end`."""

    path: str
    type: str
    start: int
    end: int
    text: str  # safe to display, shortened


class Walk(NamedTuple):
    """What a datum holds, in the order of its bytes. Without a fault it ends with the data."""

    values: list[Value]
    fault: Fault | None


def walk(type_: Type, data: bytes, start: int = 0) -> Walk:
    """Read the one datum that data[start:] must be. Positions count from the beginning of `data`."""
    walker = _Walker(data, start)
    try:
        walker.read(type_, "")
        if walker.position < len(data):
            walker.path, walker.start = None, walker.position
            walker.fail(Code.TRAILING, "the end of the record", counted(len(data) - walker.position, "more byte"))
    except FaultFound as found:
        return Walk(walker.values, found.fault)
    return Walk(walker.values, None)


@dataclass
class _Items:
    """The items of an array or map so far."""

    count: int = 0
    texts: tuple[str, ...] = ()

    def text(self) -> str:
        more = f", {MARK}" if self.count > len(self.texts) else ""
        return f"[{', '.join(self.texts)}{more}] ({counted(self.count, 'item')})" if self.count else "empty"


class _Walker(Reading):
    """What has been read."""

    def __init__(self, data: bytes, position: int) -> None:
        super().__init__(data, position)
        self.values: list[Value] = []
        self.quiet = 0  # above 0: values are read, and not kept

    def read(self, type_: Type, path: str) -> str:
        """Read a value; its text. A value that holds others is not kept itself, they are."""
        self.path, self.start = path, self.position
        start = self.position
        if type_.kind == "union":
            branch = type_.parts[self.index(tuple(part.kind for part in type_.parts), "the branch of the union")]
            if branch.kind == "null":
                return self.keep("null", branch, path, start)
            return self.content(branch, path, start)
        return self.content(type_, path, start)

    def content(self, type_: Type, path: str, start: int) -> str:
        self.path, self.start = path, self.position
        if type_.kind == "record":
            for name, part in zip(type_.names, type_.parts, strict=True):
                self.read(part, f"{path}.{name}".lstrip("."))
            return "a record"
        if type_.kind in ("array", "map"):
            return self.items(type_, path, start)
        return self.keep(self.plain(type_), type_, path, start)

    def keep(self, text: str, type_: Type, path: str, start: int) -> str:
        if not self.quiet:
            self.values.append(Value(path, str(type_), start, self.position, text))
        return text

    def plain(self, type_: Type) -> str:
        """A value that holds no others."""
        match type_.kind:
            case "null":
                return "null"
            case "boolean":
                byte = self.take(1, "a boolean")[0]
                if byte > 1:
                    self.fail(Code.RANGE, "a boolean: 0 or 1", str(byte))
                return "true" if byte else "false"
            case "int":
                return str(self.int_("an int"))
            case "long":
                return _long_text(self.long("a long"), type_.logical)
            case "float":
                return f"{struct.unpack('<f', self.take(4, 'a float'))[0]:.9g}"
            case "double":
                return repr(struct.unpack("<d", self.take(8, "a double"))[0])
            case "string":
                return f'"{shown(self.string("a string"))}"'
            case "enum":
                return shown(type_.symbols[self.index(type_.symbols, "a symbol of the enum")])
        data = self.take(type_.size, "a fixed") if type_.kind == "fixed" else self.blob("bytes")
        if type_.logical == "decimal":
            return self.decimal(data, type_)
        return data[:32].hex(" ") + (f" {MARK} ({counted(len(data), 'byte')})" if len(data) > 32 else "") or "empty"

    def decimal(self, data: bytes, type_: Type) -> str:
        limit = 10**type_.precision
        number = int.from_bytes(data, signed=True)
        longest = limit.bit_length() // 8 + 1
        if abs(number) >= limit or (type_.kind == "bytes" and len(data) > longest):
            expected = f"a decimal of {counted(type_.precision, 'digit')}, in {counted(longest, 'byte')} or fewer"
            self.fail(Code.RANGE, expected, f"{counted(len(data), 'byte')}: {data[:32].hex(' ')}")
        return f"{Decimal(number).scaleb(-type_.scale, DIGITS):f}"

    def items(self, type_: Type, path: str, start: int) -> str:
        """An array or map: of plain items one value, of others the values of the first items."""
        item, seen = type_.parts[0], _Items()
        nested, whole = _nests(item), item.any_bytes and type_.kind == "array"
        first, begin = self.position, len(self.values)
        self.quiet += not nested
        while count := self.block(type_, path, first if whole else None):
            left, block_end = count
            if whole:
                self.take_all(left, item, seen)
                left = 0
            for _ in range(left):
                self.item(type_, item, path, seen)
            self.path, self.start = path, first if whole else self.position
            if block_end is not None and self.position != block_end:
                expected = f"the end of a block at byte {block_end:,}"
                self.fail(Code.RANGE, expected, f"byte {self.position:,}", self.position)
        self.quiet -= not nested
        text = seen.text()
        if not nested or not seen.count:
            return self.keep(text, type_, path, start)
        if not self.quiet:
            note = counted(seen.count, "item") + (f", the first {MAX_ITEMS} shown" if seen.count > MAX_ITEMS else "")
            self.values.insert(begin, Value(path, str(type_), start, self.position, note))
        return text

    def block(self, type_: Type, path: str, first: int | None) -> tuple[int, int | None] | None:
        """Number of items of the next block, and where it must end if the writer said so; None: there is no more.

        `first`: where the first block began, of an array of values of fixed size, which the kernel reads as one.
        """
        item = type_.parts[0]
        self.path, self.start = path, self.position if first is None else first
        least = item.least + (type_.kind == "map")
        count = self.long(f"the number of items of {type_}")
        if not count:
            return None
        left = len(self.data) - self.position
        if count > 0:
            if count * least > left:
                wanted = f"{counted(count, 'item')} of {counted(least, 'byte')} or more"
                self.fail(Code.TRUNCATED, wanted, before_the_end(left))
            return count, None
        size = self.long("the size of a block")
        left = len(self.data) - self.position
        if count == -(2**63) or not 0 <= size <= left or -count * least > size:
            self.fail(
                Code.RANGE,
                f"a block of {counted(-count, 'item')} of {counted(least, 'byte')} or more, within the record",
                f"one of {counted(size, 'byte')}, with {left:,} left",
            )
        return -count, self.position + size

    def take_all(self, count: int, item: Type, seen: _Items) -> None:
        """Values of fixed size, which are known to be there."""
        for _ in range(min(count, max(0, MAX_ITEMS - len(seen.texts)))):
            seen.texts += (self.plain(item),)
            count -= 1
            seen.count += 1
        self.position += count * item.least
        seen.count += count

    def item(self, type_: Type, item: Type, path: str, seen: _Items) -> None:
        shows = seen.count < MAX_ITEMS
        self.quiet += not shows
        self.path, self.start = path, self.position
        key = f'"{shown(self.string("a key"), 40)}": ' if type_.kind == "map" else ""
        text = key + self.read(item, f"{path}[{seen.count}]")
        self.quiet -= not shows
        seen.count += 1
        if shows:
            seen.texts += (text,)


def _nests(type_: Type) -> bool:
    return type_.kind in NESTING_KINDS or any(part.kind in NESTING_KINDS for part in type_.parts)


def _long_text(number: int, logical: str | None) -> str:
    ticks = TICKS.get(logical or "")
    if ticks is None:
        return str(number)
    try:
        time: Any = EPOCH + timedelta(seconds=number // ticks, microseconds=number % ticks * 1_000_000 // ticks)
    except OverflowError:
        return f"{number} (beyond the year 9999)"
    return f"{number} ({time.isoformat().replace('+00:00', 'Z')})"
