"""Avro's binary encoding from the specification alone: what the golden bytes are made with. Imports nothing of ours."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"

PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


def schema(name: str) -> Any:
    return json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))


def single_object(name: str, record: dict[str, Any]) -> bytes:
    """Marker, fingerprint, datum. In the record, bytes are hex and NaN is text; absent fields take their default."""
    definition = schema(name)
    return b"\xc3\x01" + crc64(canonical(definition).encode()).to_bytes(8, "little") + encode(definition, record, {})


def container(name: str, records: list[dict[str, Any]], sync: bytes) -> bytes:
    """A container file with one block, not compressed."""
    definition = schema(name)
    metadata = {
        "avro.schema": json.dumps(definition, separators=(",", ":")).encode().hex(),
        "avro.codec": b"null".hex(),
    }
    data = b"".join(encode(definition, record, {}) for record in records)
    head = b"Obj\x01" + encode({"type": "map", "values": "bytes"}, metadata, {}) + sync
    return head + zigzag(len(records)) + zigzag(len(data)) + data + sync


def encode(definition: Any, value: Any, named: dict[str, Any]) -> bytes:
    """One datum. `named` collects the named types on the way."""
    if isinstance(definition, list):
        index = next(i for i, branch in enumerate(definition) if (branch == "null") == (value is None))
        return zigzag(index) + encode(definition[index], value, named)
    if isinstance(definition, str):
        return primitive(definition, value) if definition in PRIMITIVES else encode(named[definition], value, named)
    kind = definition["type"]
    if kind in ("record", "enum"):
        named[definition["name"]] = definition
    if kind == "record":
        return b"".join(
            encode(field["type"], value[field["name"]] if field["name"] in value else field["default"], named)
            for field in definition["fields"]
        )
    if kind == "enum":
        return zigzag(definition["symbols"].index(value))
    if kind == "array":
        items = b"".join(encode(definition["items"], item, named) for item in value)
        return zigzag(len(value)) + items + b"\0" if value else b"\0"
    if kind == "map":
        items = b"".join(primitive("string", key) + encode(definition["values"], value[key], named) for key in value)
        return zigzag(len(value)) + items + b"\0" if value else b"\0"
    return primitive(kind, value)


def primitive(kind: str, value: Any) -> bytes:
    if kind == "null":
        return b""
    if kind == "boolean":
        return bytes([value])
    if kind in ("int", "long"):
        return zigzag(value)
    if kind in ("float", "double"):
        return struct.pack("<f" if kind == "float" else "<d", float(value))
    data = bytes.fromhex(value) if kind == "bytes" else value.encode()
    return zigzag(len(data)) + data


def zigzag(number: int) -> bytes:
    rest = number * 2 if number >= 0 else -number * 2 - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def canonical(definition: Any, namespace: str = "") -> str:
    """Parsing canonical form: full names, fixed order of attributes, nothing that does not change the bytes."""
    if isinstance(definition, list):
        return "[" + ",".join(canonical(branch, namespace) for branch in definition) + "]"
    if isinstance(definition, str):
        return json.dumps(definition if definition in PRIMITIVES else full_name(definition, namespace))
    kind = definition["type"]
    if kind in ("array", "map"):
        items = "items" if kind == "array" else "values"
        return f'{{"type":"{kind}","{items}":{canonical(definition[items], namespace)}}}'
    if kind not in ("record", "enum"):
        return json.dumps(kind)
    namespace = definition.get("namespace", namespace)
    name = full_name(definition["name"], namespace)
    if kind == "enum":
        return f'{{"name":"{name}","type":"enum","symbols":{json.dumps(definition["symbols"], separators=(",", ":"))}}}'
    fields = ",".join(
        f'{{"name":"{field["name"]}","type":{canonical(field["type"], namespace)}}}' for field in definition["fields"]
    )
    return f'{{"name":"{name}","type":"record","fields":[{fields}]}}'


def full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def crc64(data: bytes) -> int:
    """CRC-64-AVRO, bit by bit."""
    empty = 0xC15D213AA4D7A795
    value = empty
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (empty if value & 1 else 0)
    return value
