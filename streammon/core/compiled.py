"""Compiled loops: how numba is used here, and the search that every histogram shares.

Kernels are compiled once and cached on disk, release the GIL, and keep IEEE semantics (no fastmath), so that sums do
not depend on the batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

kernel = njit(cache=True, nogil=True, error_model="numpy")


@kernel
def bin_index(edges: NDArray[np.float64], bins: int, x: float) -> int:
    """b with edges[b] <= x < edges[b + 1]; -1 below edges[0], `bins` at or above edges[bins].

    >>> [int(bin_index(np.array([0.0, 1.0, 3.0]), 2, x)) for x in (-1.0, 0.0, 1.0, 2.9, 3.0)]
    [-1, 0, 1, 1, 2]
    """
    low, high = 0, bins + 1  # edges[: low] <= x < edges[high :]
    while low < high:
        middle = (low + high) >> 1
        if edges[middle] <= x:
            low = middle + 1
        else:
            high = middle
    return low - 1


@intrinsic
def load_u64(typingctx: Any, buffer: Any, position: Any) -> Any:
    """The eight bytes of a byte array at any position, as one little-endian load. The caller checks the bound."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        address = builder.bitcast(cgutils.gep_inbounds(builder, array.data, args[1]), ir.IntType(64).as_pointer())
        return builder.load(address, align=1)

    return types.uint64(buffer, types.intp), codegen


@kernel
def hash_bytes(buffer: NDArray[np.uint8], start: int, length: int, seed: np.uint64) -> np.uint64:
    """64-bit hash of a slice, eight bytes at a time (multiply and fold). A table key only: equality compares bytes."""
    h = seed ^ (np.uint64(length) * np.uint64(0x9E3779B97F4A7C15))
    end = start + length
    while start + 8 <= end:
        h = (h ^ load_u64(buffer, start)) * np.uint64(0xFF51AFD7ED558CCD)
        h ^= h >> np.uint64(32)
        start += 8
    word = np.uint64(0)
    while start < end:
        word = (word << np.uint64(8)) | np.uint64(buffer[start])
        start += 1
    h = (h ^ word) * np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(32))


@kernel
def same_bytes(a: NDArray[np.uint8], a_start: int, b: NDArray[np.uint8], b_start: int, length: int) -> bool:
    """Whether two slices hold the same bytes."""
    for k in range(length):  # noqa: SIM110 - numba compiles no generator expressions
        if a[a_start + k] != b[b_start + k]:
            return False
    return True
