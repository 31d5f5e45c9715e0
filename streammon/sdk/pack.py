"""Single values to Avro, as the canonical schema wants them. Each raises TypeError or ValueError for what does not fit;
the messages show nothing of the value."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any
from uuid import UUID

from streammon.adapters.varint import varint
from streammon.sdk.arrays import TooLong

MAX_TEXT = 16 * 1024  # bytes of UTF-8; the worker refuses longer parts of a series' key
MAX_HASH_TEXT = 1024  # of data_hash and git_commit, likewise
MAX_GAUGES = 1_000
RESERVED = ("*", "__other__")  # no model_id; the first no model_version and no lane either

ABSENT = b"\x00"  # branch 0 of a union with null; also an empty array or map, and the end of one
PRESENT = b"\x02"  # branch 1
FALSE, TRUE = b"\x00", b"\x01"

_DOUBLE = struct.Struct("<d").pack
_COUNTS = tuple(map(varint, range(1025)))


def text(value: Any) -> bytes:
    """UTF-8 of a text, or of the text of a number or UUID."""
    words = value if isinstance(value, str) else str(plain(value))
    if len(words) > MAX_TEXT or len(data := words.encode()) > MAX_TEXT:
        raise ValueError(f"it is longer than {MAX_TEXT} bytes")
    return data


def plain(value: Any) -> str | int | float:
    """Text or number, of the types that Python, numpy, torch and uuid have for one."""
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, UUID):
        return str(value)
    item = value.item() if hasattr(value, "item") else None
    if isinstance(item, (str, int, float)):
        return item
    raise TypeError("it is neither text nor number")


def count(value: int) -> bytes:
    """Of the items of an array, or of the bytes of a string."""
    return _COUNTS[value] if value < len(_COUNTS) else varint(value)


def string(data: bytes) -> bytes:
    return count(len(data)) + data


def floats(numbers: bytes) -> bytes:
    """An array of float32, given the bytes of its items."""
    return count(len(numbers) // 4) + numbers + ABSENT if numbers else ABSENT


def nullable_text(value: Any) -> bytes:
    return PRESENT + string(text(value))


def nullable_hash(value: Any) -> bytes:
    """Of data or code."""
    data = text(value)
    if len(data) > MAX_HASH_TEXT:
        raise ValueError(f"it is longer than {MAX_HASH_TEXT} bytes")
    return PRESENT + string(data)


def part(value: Any, reserved: Sequence[str] = RESERVED[:1]) -> bytes:
    """Part of a series' key."""
    data = text(value)
    if not data or data.decode() in reserved:
        raise ValueError(f"it must not be empty, nor {' or '.join(reserved)}")
    return string(data)


def model(value: Any) -> bytes:
    """A model_id."""
    return part(value, RESERVED)


def double(value: Any) -> bytes:
    return _DOUBLE(value if type(value) is float else _number(value))


def nullable_double(value: Any) -> bytes:
    return PRESENT + double(value)


def long(value: Any) -> bytes:
    return varint(_whole(value, 63))


def nullable_int(value: Any) -> bytes:
    return PRESENT + varint(_whole(value, 31))


def boolean(value: Any) -> bytes:
    number = plain(value)
    if number not in (0, 1):
        raise ValueError("it is neither true nor false")
    return TRUE if number else FALSE


def nullable_doubles(value: Any) -> bytes:
    """A map of names to numbers."""
    if not isinstance(value, Mapping):
        raise TypeError("it is no mapping")
    if len(value) > MAX_GAUGES:
        raise TooLong
    entries = [string(text(name)) + double(number) for name, number in value.items()]
    return PRESENT + (count(len(entries)) + b"".join(entries) + ABSENT if entries else ABSENT)


def _number(value: Any) -> float:
    number = plain(value)
    if isinstance(number, str):
        raise TypeError("it is text instead of a number")
    return float(number)


def _whole(value: Any, bits: int) -> int:
    number = index(value)
    if not -(2**bits) <= number < 2**bits:
        raise ValueError("it is out of range")
    return number
