"""Decimals as doubles, in compiled code.

A decimal is a whole number (two's complement, big-endian, up to 38 digits and so 128 bits) over a power of ten. Where
both are doubles themselves, one division rounds correctly. Else the quotient is made of pairs of doubles, whose sum has
twice the digits, and is within one unit in the last place.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from streammon.adapters.avro.schema import MAX_PRECISION
from streammon.adapters.avro.wire import RANGE, TRUNCATED, load_u8, read_length

_POWERS = [10**scale for scale in range(MAX_PRECISION + 1)]
POWER = np.array([float(power) for power in _POWERS])  # 10^scale is exactly POWER + REST
REST = np.array([float(power - int(float(power))) for power in _POWERS])
LIMIT_HIGH = np.array([power >> 64 for power in _POWERS], np.uint64)  # a magnitude of `precision` digits is less
LIMIT_LOW = np.array([power & (2**64 - 1) for power in _POWERS], np.uint64)
MOST_BYTES = np.array([power.bit_length() // 8 + 1 for power in _POWERS], np.int64)  # of a number of so many digits

EXACT_SCALE = 22  # up to which 10^scale is a double
SPLITTER = 134217729.0  # 2^27 + 1: halves of a double's digits


@njit(cache=True, nogil=True)
def read_decimal(pos, end, size, precision, scale):  # type: ignore[no-untyped-def]
    """(value, pos) of a decimal of `size` bytes; -1: behind their length, which the precision limits."""
    if size < 0:
        size, pos = read_length(pos, end)
        if pos < 0:
            return 0.0, pos
        if size > MOST_BYTES[precision]:
            return 0.0, np.int64(RANGE)
    elif size > end - pos:
        return 0.0, np.int64(TRUNCATED)
    negative = size > 0 and load_u8(pos) >= 0x80
    flip = np.uint64(0xFF if negative else 0)
    high, low = np.uint64(0), np.uint64(0)
    beyond = np.uint64(0)
    for at in range(pos, pos + size):  # of a negative number, the magnitude - 1: all bits flipped
        beyond |= high >> np.uint64(56)
        high = (high << np.uint64(8)) | (low >> np.uint64(56))
        low = (low << np.uint64(8)) | (np.uint64(load_u8(at)) ^ flip)
    if negative:
        low += np.uint64(1)
        high += np.uint64(1) if low == 0 else np.uint64(0)
    limit = LIMIT_HIGH[precision]
    if beyond != 0 or high > limit or (high == limit and low >= LIMIT_LOW[precision]):
        return 0.0, np.int64(RANGE)
    value = quotient(high, low, scale)
    return -value if negative else value, pos + size


@njit(cache=True, nogil=True)
def two_sum(a, b):  # type: ignore[no-untyped-def]
    """(a + b rounded, what rounding lost)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@njit(cache=True, nogil=True)
def two_product(a, b):  # type: ignore[no-untyped-def]
    """(a * b rounded, what rounding lost)."""
    product = a * b
    big = SPLITTER * a
    a1 = big - (big - a)
    a2 = a - a1
    big = SPLITTER * b
    b1 = big - (big - b)
    b2 = b - b1
    return product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


@njit(cache=True, nogil=True)
def quotient(high, low, scale):  # type: ignore[no-untyped-def]
    """(high * 2^64 + low) / 10^scale."""
    if high == 0 and low >> np.uint64(53) == 0 and scale <= EXACT_SCALE:
        return float(low) / POWER[scale]
    mask, half = np.uint64(0xFFFF_FFFF), np.uint64(32)
    top, lost = two_sum(float(high >> half) * 2.0**96, float(high & mask) * 2.0**64)
    rest, lost_rest = two_sum(float(low >> half) * 2.0**32, float(low & mask))
    top, more = two_sum(top, rest)
    more += lost + lost_rest
    first = top / POWER[scale]
    product, error = two_product(first, POWER[scale])
    left = ((top - product) - error) + more - first * REST[scale]
    return first + left / POWER[scale]
