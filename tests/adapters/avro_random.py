"""Random schemas, columns to fill from them, and random bytes that are data of them: for hypothesis and for fuzz.py.

Everything comes from one `random.Random`, so that a seed repeats it, and hypothesis can shrink it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from streammon.adapters.avro.columns import ColumnSet
from tests.adapters.avro_cases import array, record, varint
from tests.adapters.strict_avro import named

KEYS = ("a", "b", "k1", "ключ", "a_longer_key")  # of maps; few, so that some come twice
TEXTS = ("", "*", "plain", "Zürich", "日本語", "😀😀", "a" * 40)
LOGICAL = [
    ("int", "date"),
    ("int", "time-millis"),
    ("long", "time-micros"),
    *(("long", f"{zone}timestamp-{unit}") for zone in ("", "local-") for unit in ("millis", "micros", "nanos")),
    ("string", "uuid"),
    ("string", "unknown-to-us"),
]


class Case(NamedTuple):
    schema: Any
    columns: ColumnSet
    mapping: dict[str, str | list[str]]


def random_case(random: Random, depth: int = 3) -> Case:
    """A schema, and columns mapped to some of what is in it."""
    schemas = Schemas(random)
    schema = schemas.record(depth)
    found: dict[str, list[tuple[str, str | list[str]]]] = {}
    several: dict[str, list[str]] = {"lists": [], "string_lists": []}
    for path, kind in schemas.leaves(schema, ""):
        if random.random() < 0.5:
            continue
        gathers, many = "[]" in path, "string_lists" if kind == "text" else "lists"
        if random.random() < 0.25:
            several[many].append(path)
        elif gathers:
            whole = path.removesuffix("[]") if path.count("[]") == 1 and random.random() < 0.5 else path
            found.setdefault(many, []).append((path, whole))
        else:
            column = {"text": "strings", "boolean": "flags", "whole": "ints", "real": "floats"}[kind]
            real = kind != "text" and random.random() < 0.3
            found.setdefault("floats" if real else column, []).append((path, path))
    for many, paths in several.items():
        if paths:
            found.setdefault(many, []).append((many, paths))
    mapping: dict[str, str | list[str]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for kind, pairs in found.items():
        names[kind] = tuple(f"{kind}{number}" for number in range(len(pairs)))
        mapping |= {name: path for name, (_, path) in zip(names[kind], pairs, strict=True)}
    return Case(
        schema,
        ColumnSet(
            ints=names.get("ints", ()) + names.get("flags", ()),
            floats=names.get("floats", ()),
            strings=names.get("strings", ()),
            lists=names.get("lists", ()),
            string_lists=names.get("string_lists", ()),
            flags=frozenset(names.get("flags", ())),
            binary=frozenset(names.get("strings", ()) + names.get("string_lists", ())),
        ),
        mapping,
    )


class Schemas:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.names = 0
        self.named: dict[str, Any] = {}  # types that can be used again

    def name(self) -> str:
        self.names += 1
        return f"n{self.names}"

    def record(self, depth: int) -> Any:
        name = self.name()
        schema = record({self.name(): self.any(depth) for _ in range(self.random.randint(1, 4))}, name)
        self.named[name] = schema
        return schema

    def any(self, depth: int) -> Any:
        match self.random.randint(0, 9) if depth else 9:
            case 0 | 1:
                return self.union(depth)
            case 2:
                return self.record(depth - 1)
            case 3 | 4:
                return array(self.any(depth - 1))
            case 5:
                return {"type": "map", "values": self.any(depth - 1)}
            case 6 if self.named:
                return self.random.choice(sorted(self.named))
        return self.leaf()

    def union(self, depth: int) -> Any:
        branches: dict[str, Any] = {}
        for _ in range(self.random.randint(1, 3)):
            before = dict(self.named)
            branch = self.any(depth - 1)
            kind = str(branch.get("name", branch["type"]) if isinstance(branch, dict) else branch)
            opaque = isinstance(branch, dict) and branch.get("logicalType") not in (None, "decimal")
            if isinstance(branch, list) or opaque or kind in branches:
                self.named = before  # what is dropped cannot be used again
            else:
                branches[kind] = branch
        chosen = list(branches.values()) or ["int"]
        if self.random.random() < 0.7:
            chosen.insert(self.random.randint(0, len(chosen)), "null")
        return chosen

    def leaf(self) -> Any:
        match self.random.randint(0, 12):
            case 0:
                symbols = ["A", "long_symbol", "b2"][: self.random.randint(1, 3)]
                return self.keep({"type": "enum", "name": self.name(), "symbols": symbols})
            case 1:
                return self.keep({"type": "fixed", "name": self.name(), "size": self.random.randint(1, 9)})
            case 2:
                return self.decimal({"type": "bytes"}, 38)
            case 3:
                size = self.random.choice([1, 2, 5, 8, 9, 16, 20])
                most = min(38, int(math.log10(2 ** (8 * size - 1) - 1)))
                return self.keep(self.decimal({"type": "fixed", "name": self.name(), "size": size}, most))
            case 4:
                type_, logical = self.random.choice(LOGICAL)
                return {"type": type_, "logicalType": logical}
            case 5:
                return self.keep({"type": "fixed", "name": self.name(), "size": 12, "logicalType": "duration"})
        return self.random.choice(["boolean", "int", "long", "float", "double", "string", "bytes"])

    def keep(self, schema: Any) -> Any:
        self.named[schema["name"]] = schema
        return schema

    def decimal(self, schema: Any, most: int) -> Any:
        precision = self.random.randint(1, most)
        return {**schema, "logicalType": "decimal", "precision": precision, "scale": self.random.randint(0, precision)}

    def leaves(self, schema: Any, path: str, keyed: bool = False) -> Iterator[tuple[str, str]]:
        """(path, kind) of what columns can hold. keyed: below a map that is below `[]`, where `[]` is refused."""
        schema = self.named.get(schema, schema) if isinstance(schema, str) else schema
        if isinstance(schema, list):
            for branch in schema:
                yield from self.leaves(branch, path, keyed)
            return
        kind = schema if isinstance(schema, str) else schema["type"]
        logical = None if isinstance(schema, str) else schema.get("logicalType")
        if kind == "record":
            for field in schema["fields"]:
                yield from self.leaves(field["type"], f"{path}.{field['name']}".lstrip("."), keyed)
        elif kind == "array":
            if not keyed:
                yield from self.leaves(schema["items"], path + "[]")
            yield from self.leaves(schema["items"], f"{path}[{self.random.randint(0, 3)}]", keyed)
        elif kind == "map":
            key = self.random.choice(KEYS)
            below = f"{path}[{key}]" if self.random.random() < 0.5 else f"{path}.{key}"
            yield from self.leaves(schema["values"], below, keyed or "[]" in path)
        elif logical == "decimal" or kind in ("float", "double"):
            yield path, "real"
        elif kind in ("int", "long"):
            yield path, "whole"
        elif kind == "boolean":
            yield path, "boolean"
        elif kind in ("string", "bytes", "enum", "fixed") and logical != "duration":
            yield path, "text"


class Data:
    """Writes data of one schema, in all the forms that Avro allows."""

    def __init__(self, schema: Any, random: Random) -> None:
        self.schema, self.random = schema, random
        self.named = named(schema)

    def datum(self) -> bytes:
        return self.write(self.schema)

    def whole(self, bits: int) -> int:
        """Small ones, the greatest and the least, powers of two and their neighbours, and any."""
        most: int = 2 ** (bits - 1) - 1
        match self.random.randint(0, 4):
            case 0 | 1:
                return self.random.randint(-3, 3)
            case 2:
                return self.random.choice([most, -most - 1])
            case 3:
                power: int = self.random.choice([-1, 1]) * 2 ** self.random.randint(0, bits - 2)
                return max(-most - 1, min(most, power + self.random.randint(-1, 1)))
        return self.random.randint(-most - 1, most)

    def real(self) -> float:
        special = self.random.choice([0.0, -0.0, 1.5, math.nan, math.inf, -math.inf, 1e-40, 3.5e38])
        return special if self.random.random() < 0.3 else self.random.uniform(-100, 100)

    def blob(self, data: bytes) -> bytes:
        return varint(len(data)) + data

    def text(self) -> bytes:
        return self.blob(self.random.choice(TEXTS).encode())

    def bytes_(self, size: int) -> bytes:
        return self.random.getrandbits(8 * size).to_bytes(size) if size else b""

    def decimal(self, schema: Any) -> bytes:
        digits = self.random.randint(0, schema["precision"])
        unscaled: int = self.random.choice([10**digits - 1, self.random.randint(0, 10**digits - 1)])
        unscaled *= self.random.choice([-1, 1])
        if schema["type"] == "fixed":
            return unscaled.to_bytes(schema["size"], signed=True)
        return self.blob(unscaled.to_bytes((unscaled.bit_length() + 8) // 8, signed=True))

    def items(self, item: Any, keys: bool) -> bytes:
        out = b""
        for _ in range(self.random.choice([0, 1, 1, 1, 2])):  # blocks
            count = self.random.randint(1, 4)
            items = b""
            for _ in range(count):
                items += self.blob(self.random.choice(KEYS).encode()) if keys else b""
                items += self.write(item)
            sized = self.random.random() < 0.3
            out += (varint(-count) + varint(len(items)) if sized else varint(count)) + items
        return out + b"\0"

    def write(self, schema: Any) -> bytes:
        if isinstance(schema, list):
            index = self.random.randrange(len(schema))
            return varint(index) + self.write(schema[index])
        if isinstance(schema, str) and schema in self.named:
            schema = self.named[schema]
        kind = schema if isinstance(schema, str) else schema["type"]
        if kind != "string" and isinstance(schema, dict) and schema.get("logicalType") == "decimal":
            return self.decimal(schema)
        match kind:
            case "null":
                return b""
            case "boolean":
                return bytes([self.random.randint(0, 1)])
            case "int" | "long":
                return varint(self.whole(32 if kind == "int" else 64))
            case "float":
                real = self.real()
                return struct.pack("<f", real if abs(real) < 3.4e38 or not math.isfinite(real) else 0.0)
            case "double":
                return struct.pack("<d", self.real())
            case "string":
                return self.text()
            case "bytes":
                return self.blob(self.bytes_(self.random.randint(0, 9)))
            case "fixed":
                return self.bytes_(schema["size"])
            case "enum":
                return varint(self.random.randrange(len(schema["symbols"])))
            case "array":
                return self.items(schema["items"], keys=False)
            case "map":
                return self.items(schema["values"], keys=True)
        return b"".join(self.write(field["type"]) for field in schema["fields"])


NUMBERS = [-1, -2, -3, 2, 3, 5, 64, 300, 2**31, -(2**31) - 1, 2**62, -(2**62), 2**63 - 1, -(2**63)]


def damaged(data: bytes, random: Random, other: bytes = b"") -> bytes:
    """The bytes with one thing wrong: bits flipped, cut, lengthened, spliced with `other`, a number changed."""
    at = random.randint(0, len(data))
    match random.randint(0, 13):
        case 0:
            return data[:at]
        case 1:
            return data + random.randbytes(random.randint(1, 3))
        case 2:
            return data[:at] + random.randbytes(random.randint(1, 3)) + data[at:]
        case 3:
            return data[:at] + data[at + random.randint(1, 3) :]
        case 4:
            return data[:at] + (other or data)[random.randint(0, len(other or data)) :]
        case 5:
            return data[:at] + varint(random.choice(NUMBERS)) + data[at + 1 :]
        case 6:
            return data[:at] + bytes([0x80 | byte for byte in data[at : at + 2]]) + data[at + 2 :]
    flipped = bytearray(data)
    for _ in range(random.randint(1, 3)):
        if flipped:
            flipped[random.randrange(len(flipped))] ^= 1 << random.randint(0, 7)
    return bytes(flipped)
