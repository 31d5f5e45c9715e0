"""The Avro schemas: where they lie, which versions are known, and how one record becomes bytes and comes back.

Values of our topics use Avro's single-object encoding: two marker bytes, the CRC-64-AVRO fingerprint of the writer's
schema, the datum. So a reader needs no registry. `NAME.avsc` is the current version, which is written and which readers
ask for; older versions stay readable from `history/NAME.*.avsc`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from struct import error as StructError
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import fingerprint, to_parsing_canonical_form

from streammon.core.errors import UsageError

MARKER = b"\xc3\x01"
HEADER_BYTES = len(MARKER) + 8

# What fastavro raises on bytes that are no datum of the schema.
MALFORMED = (EOFError, IndexError, KeyError, ValueError, TypeError, OverflowError, MemoryError, StructError)

_PACKAGE = Path(__file__).resolve().parents[1]


def schema_directory() -> Path:
    """Inside the package (wheel), else beside it (checkout)."""
    for directory in (_PACKAGE / "schemas", _PACKAGE.parent / "schemas"):
        if directory.is_dir():
            return directory
    raise UsageError(f"no schemas in {_PACKAGE} nor beside it: the installation is incomplete, install streammon again")


@dataclass(frozen=True, slots=True)
class Schema:
    """One schema in its current version, and the versions that can be read."""

    name: str  # of the file
    definition: dict[str, Any]  # as in the file
    identity: bytes  # fingerprint, 8 bytes
    plain: Any  # parsed, without logical types: times stay integers
    known: Mapping[bytes, Any]  # parsed like `plain`, by fingerprint, the current version included

    @property
    def full_name(self) -> str:
        return full_name(self.definition)

    def to_bytes(self, record: Mapping[str, Any]) -> bytes:
        """Single-object encoding of a record."""
        return self.head + self.datum(record)

    @property
    def head(self) -> bytes:
        """What single-object encoding puts in front of a datum."""
        return MARKER + self.identity

    def datum(self, record: Mapping[str, Any]) -> bytes:
        """A record as container files hold it: nothing says which schema it has."""
        stream = BytesIO()
        schemaless_writer(stream, self.plain, record)
        return stream.getvalue()

    def from_bytes(self, data: bytes) -> dict[str, Any]:
        """The record in a single-object encoding of any known version, as the current version sees it."""
        if data[: len(MARKER)] != MARKER or len(data) < HEADER_BYTES:
            raise UsageError(
                f"{self.name}: {len(data)} bytes that do not start with {MARKER.hex()} and a schema fingerprint: "
                "not a value that streammon wrote; check the topic"
            )
        identity = bytes(data[len(MARKER) : HEADER_BYTES])
        writer = self.known.get(identity)
        if writer is None:
            raise UsageError(
                f"{self.name}: written with schema {identity.hex()}, which this version of streammon does not know "
                f"(it knows {', '.join(known.hex() for known in self.known)}): upgrade streammon"
            )
        stream = BytesIO(data)
        stream.seek(HEADER_BYTES)
        record = read_datum(stream, writer, None if identity == self.identity else self.plain, self.name)
        if stream.tell() != len(data):
            raise UsageError(f"{self.name}: {len(data) - stream.tell()} bytes follow the datum: the value is damaged")
        return record


def read_datum(stream: BytesIO, writer: Any, reader: Any, what: str) -> dict[str, Any]:
    """The next record in the stream; `what` names the source in the error."""
    try:
        return schemaless_reader(stream, writer, reader)  # type: ignore[return-value]  # our schemas are records
    except SchemaResolutionError as error:
        raise UsageError(f"{what}: its schema cannot be read as {reader['name']}: {error}") from error
    except MALFORMED as error:
        raise UsageError(f"{what}: the datum is damaged ({type(error).__name__}: {error})") from error


def full_name(definition: Any) -> str:
    """Of a record, with its namespace; other types have a description instead."""
    if not isinstance(definition, dict) or "name" not in definition:
        return f"a schema without a name ({str(definition)[:40]})"
    name, namespace = definition["name"], definition.get("namespace")
    return f"{namespace}.{name}" if namespace and "." not in name else str(name)


def without_logical_types(schema: Any) -> Any:
    """The schema with every logical type removed, so that times are written and read as integers."""
    if isinstance(schema, list):
        return [without_logical_types(item) for item in schema]
    if isinstance(schema, dict):
        return {key: without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    return schema


def schema_identity(definition: Any) -> bytes:
    """CRC-64-AVRO fingerprint, 8 bytes, as single-object encoding stores it."""
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO"))


def parsed(definition: Any) -> Any:
    """A schema for `read_datum`, which leaves times as integers."""
    return parse_schema(without_logical_types(definition))


@cache
def load_schema(name: str, directory: Path | None = None) -> Schema:
    """The schema `name`, with its older versions, from `directory` (default: the one that belongs to the package)."""
    directory = directory or schema_directory()
    path = directory / f"{name}.avsc"
    try:
        definition = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        available = ", ".join(sorted(file.stem for file in directory.glob("*.avsc")))
        raise UsageError(f"no schema {name} in {directory}; there are {available}") from None
    versions = [definition]
    for old in sorted((directory / "history").glob(f"{name}.*.avsc")):
        versions.append(json.loads(old.read_text(encoding="utf-8")))
    known = {schema_identity(version): parsed(version) for version in versions}
    identity = schema_identity(definition)
    return Schema(name, definition, identity, known[identity], known)
