"""Avro's int and long, for those that write events."""

from __future__ import annotations


def varint(value: int) -> bytes:
    """Zigzag, then seven bits a byte, least significant first. `value` is of 64 bits, which is not checked.

    >>> varint(-65).hex()
    '8101'
    """
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    wire = bytearray()
    while rest > 0x7F:
        wire.append(rest & 0x7F | 0x80)
        rest >>= 7
    wire.append(rest)
    return bytes(wire)
