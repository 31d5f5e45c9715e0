"""Bottom-k samples: of all that was seen, the k things with the smallest hashes, and how often each was seen.

A uniform sample of distinct things that neither their order nor any cut into panes can change: what is among the k
smallest of a window is among the k smallest of every pane that holds it, so its count is complete. (Cohen and Kaplan,
PODC 2007.) A random reservoir has neither property.

A sample is int64 [k, 2]: hash and count, in ascending order of the hash; places that are free hold FREE and 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streammon.core.compiled import SEED, hash_bytes, kernel

FREE = np.iinfo(np.int64).max
EMPTY = np.array([FREE, 0], np.int64)
"""A free place."""


@kernel
def sample_hash(buffer: NDArray[np.uint8], start: int, length: int) -> np.int64:
    """Uniform on 0 to FREE - 1. Samples are kept in the changelog: another hash would be another format of state."""
    h = hash_bytes(buffer, start, length, SEED)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # splitmix64: every bit depends on every bit
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return min(np.int64((h ^ (h >> np.uint64(31))) >> np.uint64(1)), np.int64(FREE - 1))


@kernel
def count_in(sample: NDArray[np.int64], h: np.int64, count: int) -> None:
    """Count what has the hash `h`, if it is among the k smallest so far; whatever is greatest gives way."""
    last = len(sample) - 1
    if h > sample[last, 0]:  # nearly always, once there are many more than k
        return
    low, high = 0, last  # sample[: low] < h <= sample[high]
    while low < high:
        middle = (low + high) >> 1
        if sample[middle, 0] < h:
            low = middle + 1
        else:
            high = middle
    if sample[low, 0] != h:
        for place in range(last, low, -1):
            sample[place, 0], sample[place, 1] = sample[place - 1, 0], sample[place - 1, 1]
        sample[low, 0], sample[low, 1] = h, 0
    sample[low, 1] += count


@kernel
def fold(out: NDArray[np.int64], window: NDArray[np.intp], samples: NDArray[np.int64]) -> None:
    """Merge sample j of `samples` [n, k, 2] into out[window[j]]."""
    for j in range(len(samples)):
        for place in range(samples.shape[1]):
            h = samples[j, place, 0]
            if h == FREE or h > out[window[j], -1, 0]:
                break
            count_in(out[window[j]], h, samples[j, place, 1])
