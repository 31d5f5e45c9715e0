"""A strict Avro decoder in plain Python: the reference for the compiled one, slow and meant to be obviously right.

It knows nothing of the package. Verdicts are the names of its codes. The first thing that is wrong, in the order of the
bytes, decides; then bytes behind the datum; then missing fields.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Reserved = Mapping[str, tuple[str, ...]]
NOTHING: Reserved = {}

PRIMITIVE_LEAST = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}


class Bad(Exception):
    """A datum is wrong; the argument is the code's name."""


def verdict(schema: Any, data: bytes, required: tuple[str, ...] = (), reserved: Reserved = NOTHING) -> str:
    """OK or what is wrong with the one datum that `data` must be."""
    try:
        decode(schema, data, required, reserved)
    except Bad as bad:
        return str(bad)
    return "OK"


def decode(schema: Any, data: bytes, required: tuple[str, ...] = (), reserved: Reserved = NOTHING) -> Any:
    """The value of the one datum that `data` must be.

    required: top-level fields that are not null. reserved: texts that top-level fields must not be.
    """
    reader = Reader(schema, data, reserved)
    value = reader.read(schema, "")
    if reader.position != len(data):
        raise Bad("TRAILING")
    if any(value.get(name) in (None, -(2**63)) for name in required):  # the least long is no time: it stands for null
        raise Bad("MISSING")
    return value


class Reader:
    def __init__(self, schema: Any, data: bytes, reserved: Reserved = NOTHING) -> None:
        self.data = data
        self.position = 0
        self.reserved = reserved
        self.named = named(schema)

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.position:
            raise Bad("TRUNCATED")
        self.position += size
        return self.data[self.position - size : self.position]

    def long(self) -> int:
        raw = 0
        for group in range(10):
            byte = self.take(1)[0]
            raw |= (byte & 0x7F) << (7 * group)
            if group == 9 and byte > 1:  # the last of ten bytes holds the 64th bit and no more
                raise Bad("RANGE")
            if byte < 0x80:
                break
        return raw // 2 if raw % 2 == 0 else -(raw + 1) // 2

    def short(self) -> int:
        value = self.long()
        if not -(2**31) <= value < 2**31:
            raise Bad("RANGE")
        return value

    def index(self, count: int) -> int:
        value = self.short()
        if not 0 <= value < count:
            raise Bad("RANGE")
        return value

    def blob(self) -> bytes:
        length = self.long()
        if length < 0:
            raise Bad("RANGE")
        return self.take(length)

    def string(self) -> str:
        try:
            return self.blob().decode("utf-8")
        except UnicodeDecodeError:
            raise Bad("ENCODING") from None

    def boolean(self) -> bool:
        byte = self.take(1)[0]
        if byte > 1:
            raise Bad("RANGE")
        return byte == 1

    def decimal(self, schema: Any) -> Decimal:
        """Of no more bytes, and no more digits, than its precision allows."""
        limit = 10 ** schema["precision"]
        if schema["type"] == "fixed":
            data = self.take(schema["size"])
        else:
            data = self.blob()
            if len(data) > len((limit - 1).to_bytes(((limit - 1).bit_length() + 8) // 8, signed=True)):
                raise Bad("RANGE")
        unscaled = int.from_bytes(data, signed=True)
        if abs(unscaled) >= limit:
            raise Bad("RANGE")
        return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -int(schema.get("scale", 0))))

    def items(self, item: Any, keys: bool) -> list[Any]:
        """All blocks of an array, or of a map (keys) as pairs."""
        found: list[Any] = []
        least = self.least(item) + keys
        while (count := self.long()) != 0:
            room, block_end = len(self.data) - self.position, None
            if count < 0:
                size = self.long()
                room = len(self.data) - self.position
                if count == -(2**63) or not 0 <= size <= room or -count * least > size:
                    raise Bad("RANGE")
                count, block_end = -count, self.position + size
            elif count * least > room:
                raise Bad("TRUNCATED")
            for _ in range(count):
                found.append((self.string(), self.read(item, "/")) if keys else self.read(item, "/"))
            if block_end is not None and self.position != block_end:
                raise Bad("RANGE")
        return found

    def least(self, schema: Any) -> int:
        """The fewest bytes that a value takes."""
        if isinstance(schema, list):
            return 1 + min(self.least(branch) for branch in schema)
        if isinstance(schema, str):
            return PRIMITIVE_LEAST[schema] if schema in PRIMITIVE_LEAST else self.least(self.named[schema])
        if schema["type"] == "record":
            return sum(self.least(field["type"]) for field in schema["fields"])
        if schema["type"] == "fixed":
            return int(schema["size"])
        return 1 if schema["type"] in ("enum", "array", "map") else self.least(schema["type"])

    def read(self, schema: Any, path: str) -> Any:
        if isinstance(schema, list):
            return self.read(schema[self.index(len(schema))], path)
        if isinstance(schema, str) and schema in self.named:
            return self.read(self.named[schema], path)
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind in ("bytes", "fixed") and isinstance(schema, dict) and schema.get("logicalType") == "decimal":
            return self.decimal(schema)
        if kind == "null":
            return None
        if kind == "float":
            return struct.unpack("<f", self.take(4))[0]
        if kind == "double":
            return struct.unpack("<d", self.take(8))[0]
        if kind == "fixed":
            return self.take(schema["size"])
        if kind == "enum":
            return schema["symbols"][self.index(len(schema["symbols"]))]
        if kind == "array":
            return self.items(schema["items"], keys=False)
        if kind == "map":
            return dict(self.items(schema["values"], keys=True))
        if kind == "record":
            return {field["name"]: self.read(field["type"], path + "/" + field["name"]) for field in schema["fields"]}
        if kind == "string":
            text = self.string()
            if text in self.reserved.get(path[1:], ()):
                raise Bad("RANGE")
            return text
        return {"boolean": self.boolean, "int": self.short, "long": self.long, "bytes": self.blob}[kind]()


def named(schema: Any) -> dict[str, Any]:
    """Every named type, by its name."""
    if isinstance(schema, list):
        return {name: type_ for branch in schema for name, type_ in named(branch).items()}
    if not isinstance(schema, dict):
        return {}
    found = {schema["name"]: schema} if "name" in schema else {}
    for below in (schema.get("items"), schema.get("values"), *(field["type"] for field in schema.get("fields", ()))):
        found |= named(below)
    return found
