"""The partition of a key, as Java's DefaultPartitioner and librdkafka's `murmur2_random` choose it.

Producers in several languages must agree on it, or one model shows up in two partitions.
"""

from __future__ import annotations

_SEED = 0x9747B28C
_MULTIPLIER = 0x5BD1E995
_ROTATE = 24
_WORD = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2, 32 bits, with Kafka's seed; signed, as Java returns it.

    >>> murmur2(b"foobar")
    -790332482
    """
    value = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MULTIPLIER & _WORD
        word = (word ^ word >> _ROTATE) * _MULTIPLIER & _WORD
        value = value * _MULTIPLIER & _WORD ^ word
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _WORD
    value = (value ^ value >> 13) * _MULTIPLIER & _WORD
    value ^= value >> 15
    return value - (1 << 32) if value >> 31 else value


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a record with this key. The sign bit is cut off (`toPositive`), which is not the absolute value.

    >>> partition_of(b"21", 7)
    3
    """
    return (murmur2(key) & 0x7FFFFFFF) % partitions
