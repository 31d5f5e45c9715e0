"""Reading Avro's primitives from bytes, in compiled code: strict, and never outside [pos, end).

Every reader returns the position behind what it read, or minus the `Code` of what is wrong; so one test of the sign
after a read is all the error handling that callers need.

Positions are addresses in memory. With arrays and indices numba counts references wherever an array is handed on, which
cost more than the decoding.

numba's cache does not notice changes of this file: see kernel.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from streammon.core.errors import Code

TRUNCATED, RANGE, ENCODING = -int(Code.TRUNCATED), -int(Code.RANGE), -int(Code.ENCODING)

BEYOND_ASCII = np.int64(-0x7F7F7F7F7F7F7F80)  # the highest bit of each of eight bytes
LOW_63 = np.int64(0x7FFF_FFFF_FFFF_FFFF)


def _loader(bits: int, real: bool) -> Any:
    """A compiled load of a little-endian number from any address; whole numbers come zero-extended, as int64.

    A view of the bytes as float32 would need aligned positions; assembling floats from bytes is ten times as slow.
    """

    def load(typing_context: Any, pos: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            unit = (ir.FloatType() if bits == 32 else ir.DoubleType()) if real else ir.IntType(bits)
            word = builder.load(builder.inttoptr(arguments[0], unit.as_pointer()), align=1)
            if bits == 64:
                return word
            return builder.fpext(word, ir.DoubleType()) if real else builder.zext(word, ir.IntType(64))

        return (types.float64 if real else types.int64)(types.int64), generate

    return intrinsic(load)


load_u8, load_u32, load_u64 = _loader(8, False), _loader(32, False), _loader(64, False)
load_f32, load_f64 = _loader(32, True), _loader(64, True)


@intrinsic
def store_f64(typing_context: Any, pos: Any, value: Any) -> Any:
    """Store a double at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[1], builder.inttoptr(arguments[0], ir.DoubleType().as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.float64), generate


@njit(cache=True, nogil=True)
def read_long(pos, end):  # type: ignore[no-untyped-def]
    """(value, pos) of a zigzag varint: up to 10 bytes, of which the last holds the 64th bit."""
    if pos >= end:
        return np.int64(0), np.int64(TRUNCATED)
    byte = load_u8(pos)
    bits = byte & 0x7F
    shift = 7
    while byte >= 0x80:
        pos += 1
        if pos >= end:
            return np.int64(0), np.int64(TRUNCATED)
        byte = load_u8(pos)
        if shift == 63 and byte > 1:
            return np.int64(0), np.int64(RANGE)
        bits |= (byte & 0x7F) << shift
        shift += 7
    return ((bits >> 1) & LOW_63) ^ -(bits & 1), pos + 1


@njit(cache=True, nogil=True)
def read_int(pos, end):  # type: ignore[no-untyped-def]
    """(value, pos) of a varint whose value must fit 32 bits."""
    value, pos = read_long(pos, end)
    if value < -0x8000_0000 or value > 0x7FFF_FFFF:
        return np.int64(0), np.int64(RANGE)
    return value, pos


@njit(cache=True, nogil=True)
def read_index(pos, end, count):  # type: ignore[no-untyped-def]
    """(index, pos) of a union's branch or an enum's symbol, of which there are `count`."""
    if pos < end and load_u8(pos) < 0x80:  # one byte: nearly always
        bits = load_u8(pos)
        index, pos = (bits >> 1) ^ -(bits & 1), pos + 1
    else:
        index, pos = read_int(pos, end)
    if pos >= 0 and (index < 0 or index >= count):
        return np.int64(0), np.int64(RANGE)
    return index, pos


@njit(cache=True, nogil=True)
def read_boolean(pos, end):  # type: ignore[no-untyped-def]
    """(0 or 1, pos)."""
    if pos >= end:
        return np.int64(0), np.int64(TRUNCATED)
    byte = load_u8(pos)
    return (byte, pos + 1) if byte <= 1 else (byte, np.int64(RANGE))


@njit(cache=True, nogil=True)
def read_length(pos, end):  # type: ignore[no-untyped-def]
    """(length, pos) of a string or bytes, which lie at pos, whole."""
    length, pos = read_long(pos, end)
    if pos < 0:
        return length, pos
    if length < 0:
        return length, np.int64(RANGE)
    if length > end - pos:
        return length, np.int64(TRUNCATED)
    return length, pos


@njit(cache=True, nogil=True)
def read_block(pos, end, least):  # type: ignore[no-untyped-def]
    """(count, block_end, pos) of a block of items, each of at least `least` bytes, of an array or map; count 0 ends it.

    `block_end` is -1 where the writer gave no size. A count that the remaining bytes (TRUNCATED) or the given size
    (RANGE) cannot hold fails here, before anybody makes room for the items.
    """
    none = np.int64(-1)
    count, pos = read_long(pos, end)
    if pos < 0 or count == 0:
        return count, none, pos
    if count > 0:
        return (count, none, pos) if count <= (end - pos) // least else (count, none, np.int64(TRUNCATED))
    size, pos = read_long(pos, end)
    if pos < 0:
        return count, none, pos
    count = -count  # which leaves the least 64-bit number negative
    if count < 0 or size < 0 or size > end - pos or count > size // least:
        return count, none, np.int64(RANGE)
    return count, pos + size, pos


@njit(cache=True, nogil=True)
def is_ascii(pos, end):  # type: ignore[no-untyped-def]
    """Eight bytes at a time; the last load overlaps, so that nothing outside [pos, end) is read."""
    length = end - pos
    if length >= 8:
        seen = load_u64(end - 8)
        for at in range(pos, end - 8, 8):
            seen |= load_u64(at)
        return (seen & BEYOND_ASCII) == 0
    if length >= 4:
        return ((load_u32(pos) | load_u32(end - 4)) & 0x8080_8080) == 0
    seen = np.int64(0)
    for at in range(pos, end):
        seen |= load_u8(at)
    return seen < 0x80


@njit(cache=True, nogil=True)
def is_utf8(pos, end):  # type: ignore[no-untyped-def]
    """Whether the bytes are UTF-8: shortest forms only, no surrogates, nothing above U+10FFFF."""
    while pos < end:
        first = load_u8(pos)
        pos += 1
        if first < 0x80:
            continue
        low, high = 0x80, 0xBF  # what the second byte may be
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            low = 0xA0 if first == 0xE0 else low
            high = 0x9F if first == 0xED else high
        elif 0xF0 <= first <= 0xF4:
            more = 3
            low = 0x90 if first == 0xF0 else low
            high = 0x8F if first == 0xF4 else high
        else:
            return False
        if more > end - pos:
            return False
        for _ in range(more):
            byte = load_u8(pos)
            if byte < low or byte > high:
                return False
            low, high = 0x80, 0xBF
            pos += 1
    return True
