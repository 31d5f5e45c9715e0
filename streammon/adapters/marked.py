"""A record written again elsewhere, as it was read, with headers that say where it comes from and why it is there.

It can always be written: what is too large is cut, and the hash of the whole value stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import NamedTuple

from streammon.adapters.envelopes import Envelope
from streammon.adapters.schema_files import HEADER_BYTES, MARKER
from streammon.core.ports import DeadLetter, LateRecord

MESSAGE_CHARACTERS = 1000
MARKED_BYTES = 256 * 1024  # of key, of value, and of the headers, so that it can always be written

_CONFLUENT_MAGIC = b"\x00"
_CONFLUENT_BYTES = 5

Headers = list[tuple[str, bytes | None]]


class Marked(NamedTuple):
    """A record, ready to be written."""

    key: bytes | None
    value: bytes | None
    headers: Headers


class Found(NamedTuple):
    """A marked record, read back. What its headers do not say is None."""

    place: tuple[int, int]  # partition and offset of the marked record itself
    stored: int  # its own timestamp, milliseconds
    code: str
    field: str | None
    topic: str | None  # of the record that was read, like partition and offset
    partition: int | None
    offset: int | None
    schema_id: str | None
    message: str
    first_seen: int | None  # timestamp of that record, milliseconds
    size: int | None  # bytes of the whole value
    hash: str | None
    headers_cut: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]  # those that the record had

    @property
    def is_cut(self) -> bool:
        """Whether the value is only the beginning of what was read."""
        return self.size is not None and self.size > len(self.value or b"")


def marked(
    record: DeadLetter | LateRecord,
    topic: str,
    prefix: str,
    said: Mapping[str, str | int | None],
    limit: int,
    framed: bool,
) -> Marked:
    """The record that was read from `topic`, with what is `said` of it in headers that begin with `prefix`.

    Key, value and original headers are cut to `limit` bytes each (headers: those that fit, in order; the count of the
    others is in `headers_cut`; those of an earlier mark of the same kind are left out). `framed` tells whether values
    start with a schema id. Numbers are decimal text; `first_seen` is the timestamp of the record in milliseconds,
    `bytes` and `hash` (BLAKE2b, 16 bytes in hex) belong to the whole value. What does not apply is left out.
    """
    key, value, _ = record.origin
    original = [header for header in record.origin.headers if not header[0].startswith(prefix)]
    kept = _fitting(original, limit)
    all_said: dict[str, str | int | None] = {
        **said,
        "topic": topic,
        "partition": record.partition,
        "offset": record.offset,
        "schema_id": schema_id(value) if framed and value is not None else None,
        "first_seen": record.timestamp // 1000,
        "bytes": None if value is None else len(value),
        "hash": None if value is None else blake2b(value, digest_size=16).hexdigest(),
        "headers_cut": len(original) - len(kept) or None,
    }
    ours: Headers = [(prefix + name, str(item).encode()) for name, item in all_said.items() if item is not None]
    return Marked(_cut(key, limit), _cut(value, limit), kept + ours)


def found(envelope: Envelope, prefix: str) -> Found | None:
    """What was marked with `prefix`, in a record of its topic; None where somebody else wrote it."""
    ours = {
        name.removeprefix(prefix): (value or b"").decode(errors="replace")
        for name, value in envelope.headers
        if name.startswith(prefix)
    }
    if "code" not in ours:
        return None

    def number(name: str) -> int | None:
        text = ours.get(name, "").removeprefix("-")
        return int(ours[name]) if text.isascii() and text.isdigit() and len(text) < 20 else None

    return Found(
        (envelope.partition, envelope.offset),
        envelope.timestamp,
        ours["code"],
        ours.get("field"),
        ours.get("topic"),
        number("partition"),
        number("offset"),
        ours.get("schema_id"),
        ours.get("message", ""),
        number("first_seen"),
        number("bytes"),
        ours.get("hash"),
        number("headers_cut") or 0,
        envelope.key,
        envelope.value,
        tuple(header for header in envelope.headers if not header[0].startswith(prefix)),
    )


def schema_id(value: bytes) -> str | None:
    """The id in front of a value: decimal in Confluent's framing, a fingerprint in hex in single-object encoding."""
    if value[:1] == _CONFLUENT_MAGIC and len(value) >= _CONFLUENT_BYTES:
        return str(int.from_bytes(value[1:_CONFLUENT_BYTES], "big"))
    if value[: len(MARKER)] == MARKER and len(value) >= HEADER_BYTES:
        return value[len(MARKER) : HEADER_BYTES].hex()
    return None


def _cut(data: bytes | None, limit: int) -> bytes | None:
    return None if data is None else data[:limit]


def _fitting(headers: Headers, limit: int) -> Headers:
    """The first headers that take no more than `limit` bytes together."""
    for index, (name, value) in enumerate(headers):
        limit -= len(name.encode()) + len(value or b"")
        if limit < 0:
            return headers[:index]
    return headers
