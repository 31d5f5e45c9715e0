"""Identifiers that look like hashes: 64 bits as 16 hexadecimal digits, whole columns at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HEX = np.array([list(f"{byte:02x}".encode()) for byte in range(256)], np.uint8)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection, so distinct values stay distinct."""
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def hash_rows(values: NDArray[np.float32]) -> NDArray[np.uint64]:
    """One hash per row of a matrix."""
    digest = np.zeros(len(values), np.uint64)
    for column in np.ascontiguousarray(values.T).view(np.uint32):
        digest = mix(digest + column + np.uint64(0x9E3779B97F4A7C15))
    return digest


def digits(values: NDArray[np.uint64]) -> NDArray[np.bytes_]:
    """16 hexadecimal digits for each value.

    >>> digits(np.array([255], np.uint64)).tolist()
    [b'00000000000000ff']
    """
    byte = values.astype(">u8").view(np.uint8).reshape(-1, 8)
    return np.ascontiguousarray(_HEX[byte]).reshape(-1, 16).view("S16").ravel()
