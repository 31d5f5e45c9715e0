"""Avro schemas as a small tree of types, and the refusal of those that could hurt us.

A schema comes from whoever wrote the data, so it is judged before anything walks it: text up to 64 kB, no recursion,
depth up to 64, no arrays or maps of items that take no bytes (a few bytes could claim 2^62 of them), decimals up to 38
digits. fastavro checks that the rest is valid Avro and resolves names.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from streammon.core.errors import UsageError

MAX_TEXT = 64 * 1024  # bytes
MAX_DEPTH = 64  # of types in types
MAX_NESTING = 4 * MAX_DEPTH  # of brackets in the text; a record in a record takes three
MAX_PRECISION = 38  # digits of a decimal
MAX_FIXED = 2**31 - 1  # bytes

LEAST_BYTES = {"null": 0, "boolean": 1, "int": 1, "long": 1, "float": 4, "double": 8, "bytes": 1, "string": 1}
LOGICAL = {  # types by what they may mean; anything else is read as the type that it is, as Avro has it
    "int": ("date", "time-millis"),
    "long": (
        "time-micros",
        *(f"{local}timestamp-{unit}" for local in ("", "local-") for unit in ("millis", "micros", "nanos")),
    ),
    "string": ("uuid",),
    "bytes": ("decimal", "big-decimal"),
    "fixed": ("decimal", "duration", "uuid"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """One type of a schema. A named type that is used in several places is one object."""

    kind: str  # null, boolean, int, long, float, double, bytes, string, fixed, enum, array, map, union or record
    least: int  # the fewest bytes that a value takes
    height: int = 1  # levels of types, this one included
    logical: str | None = None  # one of LOGICAL
    size: int = 0  # bytes of a fixed
    precision: int = 0  # digits of a decimal, 1 to MAX_PRECISION
    scale: int = 0  # digits of a decimal behind the point, up to its precision
    symbols: tuple[str, ...] = ()  # of an enum
    names: tuple[str, ...] = ()  # of a record's fields
    parts: tuple[Type, ...] = ()  # a record's fields, a union's branches, the items of an array or map

    @property
    def any_bytes(self) -> bool:
        """Whether any bytes, `least` of them, are a value."""
        return self.kind in ("float", "double", "fixed") and self.logical != "decimal"

    def __str__(self) -> str:
        if self.kind == "union":
            return "a union of " + ", ".join(part.kind for part in self.parts)
        if self.kind == "array":
            return f"an array of {self.parts[0].kind}"
        return self.kind if self.logical is None else f"{self.kind} ({self.logical})"


@dataclass(frozen=True, slots=True, eq=False)
class AvroSchema:
    """A writer's schema that passed the checks."""

    name: str  # full name, or the kind where the type has no name
    type: Type
    fingerprint: int  # CRC-64-AVRO of the parsing canonical form, as an unsigned integer


def load_schema(source: str | dict[str, Any] | list[Any], name: str = "schema") -> AvroSchema:
    """The schema in a JSON text or in the objects of one. `name` says in a refusal which schema it is about.

    >>> load_schema('{"type": "record", "name": "Ping", "fields": [{"name": "ts", "type": "long"}]}').type.names
    ('ts',)
    """
    try:
        text = source if isinstance(source, str) else json.dumps(source)
        if (size := len(text.encode())) > MAX_TEXT:
            raise UsageError(f"{name}: {size} bytes of schema; at most {MAX_TEXT} are read")
        raw = json.loads(text)
        _check_text(raw, name)
        named: dict[str, Any] = {}
        parsed = parse_schema(raw, named_schemas=named, _force=True)
        crc = bytes.fromhex(fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO"))
        root = _Builder(name, named).build(parsed, 1)
    except UsageError:
        raise
    except Exception as problem:  # fastavro raises whatever the wrong text leads it to, KeyError and TypeError included
        reason = " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
        raise UsageError(f"{name}: not a valid Avro schema ({reason})") from None
    title = parsed["name"] if isinstance(parsed, dict) and "name" in parsed else root.kind
    return AvroSchema(title, root, int.from_bytes(crc, "little"))


def _check_text(raw: Any, name: str) -> None:
    """Refuse what is dangerous to hand to fastavro: deep nesting, long decimals, its own marks of a checked schema."""
    level = [raw]
    for _ in range(MAX_NESTING):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                if any(key.startswith("__") for key in node):
                    raise UsageError(f"{name}: attributes that begin with __ are not read")
                precision = node.get("precision", 0)
                if node.get("logicalType") == "decimal" and not (
                    isinstance(precision, int) and precision <= MAX_PRECISION
                ):
                    raise UsageError(f"{name}: a decimal of more than {MAX_PRECISION} digits is not read")
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        if not below:
            return
        level = below
    raise UsageError(f"{name}: nested deeper than {MAX_DEPTH} types")


def _meaning(raw: dict[str, Any]) -> dict[str, Any]:
    """The logical type as fields of Type. One that is not valid is ignored, as Avro demands."""
    logical, kind = raw.get("logicalType"), raw["type"]
    if logical not in LOGICAL.get(kind, ()):
        return {}
    if logical != "decimal":
        return {"logical": logical}
    precision, scale = raw.get("precision"), raw.get("scale", 0)
    if type(precision) is not int or type(scale) is not int or not 0 <= scale <= precision > 0:
        return {}
    return {"logical": logical, "precision": precision, "scale": scale}


class _Builder:
    """From fastavro's parsed schema, where every name is in full, to Types."""

    def __init__(self, name: str, named: dict[str, Any]) -> None:
        self.name = name
        self.named = named
        self.done: dict[str, Type] = {}
        self.open: set[str] = set()

    def refuse(self, why: str) -> NoReturn:
        raise UsageError(f"{self.name}: {why}")

    def build(self, raw: Any, depth: int) -> Type:
        built = self._build(raw, depth)
        if depth + built.height - 1 > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} types")
        return built

    def _build(self, raw: Any, depth: int) -> Type:
        if depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} types")
        if isinstance(raw, list):
            return self._union(raw, depth)
        if isinstance(raw, str):
            return Type(raw, LEAST_BYTES[raw]) if raw in LEAST_BYTES else self._named(raw, depth)
        kind = raw["type"]
        if kind in ("record", "error", "enum", "fixed"):
            return self._named(raw["name"], depth)
        if kind in ("array", "map"):
            item = self.build(raw["items" if kind == "array" else "values"], depth + 1)
            if item.least == 0:
                self.refuse(f"{kind} of items that take no bytes")
            return Type(kind, 1, item.height + 1, parts=(item,))
        if kind in LEAST_BYTES:
            return Type(kind, LEAST_BYTES[kind], **_meaning(raw))
        return self.refuse(f"unknown type {str(kind)[:100]!r}")

    def _union(self, raw: list[Any], depth: int) -> Type:
        parts = tuple(self.build(branch, depth + 1) for branch in raw)
        if not parts or any(part.kind == "union" for part in parts):
            self.refuse("a union that is empty or holds a union")
        return Type("union", 1 + min(p.least for p in parts), 1 + max(p.height for p in parts), parts=parts)

    def _named(self, name: str, depth: int) -> Type:
        if name in self.done:
            return self.done[name]
        if name in self.open:
            self.refuse(f"{name} contains itself; recursive schemas are not read")
        self.open.add(name)
        raw = self.named[name]
        if raw["type"] == "enum":
            if not raw["symbols"]:
                self.refuse(f"enum {name} has no symbols")
            built = Type("enum", 1, symbols=tuple(raw["symbols"]))
        elif raw["type"] == "fixed":
            size = raw["size"]
            if not isinstance(size, int) or not 0 <= size <= MAX_FIXED:
                self.refuse(f"fixed {name} has a size that is not 0 to {MAX_FIXED}")
            built = Type("fixed", size, size=size, **_meaning(raw))
        else:
            built = self._record(name, raw["fields"], depth)
        self.open.discard(name)
        self.done[name] = built
        return built

    def _record(self, name: str, fields: list[Any], depth: int) -> Type:
        names = tuple(field["name"] for field in fields)
        if len(set(names)) != len(names):
            self.refuse(f"record {name} names a field twice")
        parts = tuple(self.build(field["type"], depth + 1) for field in fields)
        least = min(sum(part.least for part in parts), MAX_FIXED)  # capped: it would not fit 64 bits with enough uses
        return Type("record", least, 1 + max((p.height for p in parts), default=0), names=names, parts=parts)
