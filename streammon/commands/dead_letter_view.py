"""One dead letter, taken apart for a person: what it says of itself, what decodes, and the byte that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.avro.walk import Value, Walk, walk
from streammon.adapters.late_records import CODE as LATE
from streammon.adapters.marked import Found
from streammon.commands.common import time_text
from streammon.core.errors import Code, UsageError
from streammon.text import hexdump, shown

BEFORE, AFTER = 48, 80  # bytes around the fault


class Examined(NamedTuple):
    """What the settings make of a value."""

    walk: Walk | None  # None: no datum was found, or its schema is not known
    schema: str | None  # name of the writer's
    at: int  # the byte to look at
    verdict: str  # a sentence


def examine(letter: Found, decoding: str) -> Examined:
    """`decoding`: of the plan."""
    value = letter.value
    if value is None:
        return Examined(None, None, 0, "the record has no value")
    try:
        decoder = AvroDecoder(**json.loads(decoding) | {"max_record_bytes": max(1, len(value))})
    except UsageError as error:  # settings for files that are no Avro: their mapping names columns
        return Examined(None, None, 0, f"the settings do not say how to decode it: {error}")
    failure = decoder.explain(value)
    if failure.code is Code.FRAMING:
        magic = decoder.framing.magic.hex(" ")
        wanted = f"{magic} and {decoder.framing.id_bytes} bytes of schema id" if magic else "a byte or more"
        return Examined(None, None, 0, f"no datum was found: input.framing expects {wanted} in front")
    if failure.code is Code.SCHEMA:
        known = ", ".join(schema.name for schema in decoder.schemas[:3]) + (", ..." if len(decoder.schemas) > 3 else "")
        verdict = f"schema {letter.schema_id} is none of those in input.schemas ({known})"
        return Examined(None, None, len(decoder.framing.magic), verdict)
    schema, start = decoder.writer(value)
    walked = walk(schema.type, value, start)
    fault = walked.fault
    if fault is None:
        refused = failure.code if failure.code is not Code.OK else letter.code
        spot = next((v.start for v in walked.values if v.path == (failure.field or letter.field)), start)
        name = refused if isinstance(refused, str) else refused.name
        verdict = "it was late" if name == LATE else f"it was refused for what it says ({name})"
        return Examined(walked, schema.name, spot, f"every byte decodes; {verdict}")
    if letter.is_cut and fault.code is Code.TRUNCATED:
        return Examined(walked, schema.name, fault.start, "decodes up to where this copy was cut")
    where = f"in {fault.path}" if fault.path else "behind the last field"
    return Examined(walked, schema.name, fault.position, f"{fault.code.name} {where}, byte {fault.position}")


def lines(letter: Found, decoding: str) -> Iterator[str]:
    """For people."""
    partition, offset = letter.place
    source = f"{shown(letter.topic or '?')} partition {letter.partition}, offset {letter.offset}"
    kind = "late event" if letter.code == LATE else "dead letter"
    yield f"{source}  ({kind}: partition {partition}, offset {offset})"
    size = len(letter.value or b"")
    held = "no value" if letter.value is None else f"{size:,}"
    if letter.is_cut:
        held = f"{letter.size:,}, of which this dead letter holds the first {size:,}"
    said = {
        "code": letter.code,
        "field": letter.field,
        "message": letter.message,
        "first seen": None if letter.first_seen is None else time_text(letter.first_seen * 1000),
        "schema id": letter.schema_id,
        "hash": letter.hash,
    }
    for name, text in said.items():
        yield f"{name:12}{'-' if text is None else shown(text, 1000)}"
    yield f"{'bytes':12}{held}"
    yield f"{'key':12}{_text(letter.key)}"
    for name, content in letter.headers:
        yield f"{'header':12}{shown(name)} = {_text(content)}"
    if letter.headers_cut:
        yield f"{'':12}{letter.headers_cut} more headers were too large to keep"
    examined = examine(letter, decoding)
    if examined.walk is not None:
        yield ""
        yield f"decoded with schema {shown(examined.schema or '')}:"
        rows = [("bytes", "field", "type", "value"), *map(_row, examined.walk.values)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            yield "  " + "  ".join([*(f"{cell:{width}}" for cell, width in zip(row[:3], widths, strict=True)), row[3]])
    yield ""
    yield examined.verdict
    fault = examined.walk.fault if examined.walk else None
    if fault is not None:
        yield f"  expected  {fault.expected}"
        yield f"  found     {fault.found}"
    if letter.value:
        yield ""
        yield from hexdump(letter.value, examined.at, BEFORE, AFTER)


def values(letter: Found, decoding: str) -> dict[str, Any]:
    """For `--json`. Bytes are in hex."""
    examined = examine(letter, decoding)
    walked = examined.walk
    fault = None
    if walked is not None and walked.fault is not None:
        fault = walked.fault._asdict() | {"code": walked.fault.code.name}
    return {
        "key": None if letter.key is None else letter.key.hex(),
        "headers": [[name, None if content is None else content.hex()] for name, content in letter.headers],
        "is_cut": letter.is_cut,
        "verdict": examined.verdict,
        "schema": examined.schema,
        "values": [] if walked is None else [value._asdict() for value in walked.values],
        "fault": fault,
        "value": None if letter.value is None else letter.value.hex(),
    }


def _row(value: Value) -> tuple[str, str, str, str]:
    last = value.end - 1
    where = f"{value.start}-{last}" if last > value.start else str(value.start) if last == value.start else "-"
    return where, shown(value.path), value.type, value.text


def _text(data: bytes | None) -> str:
    if data is None:
        return "null"
    try:
        return f'"{shown(data.decode())}"'
    except UnicodeDecodeError:
        return data[:64].hex(" ") + (f" … ({len(data):,} bytes)" if len(data) > 64 else "")
