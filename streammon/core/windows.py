"""Window arithmetic: which windows there are, which are due, and of which blocks of panes they are made.

A mark is a clock less the allowed lateness: windows whose end is not beyond it have closed. Times in microseconds.

Blocks are aligned runs of 2**level panes. A window is the fold of the greatest blocks that fit into it, from left to
right, and a block is made of its two halves: so the order in which panes are merged follows from their numbers alone,
and a window of n panes takes at most 2 log2(n) blocks.

    panes      0 1 2 3 4 5 6 7 8 9
    window         [2 3|4 5 6 7|8]          three blocks: (1, 1), (2, 1), (0, 8)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from streammon.core.outputs import WindowSpec


class Block(NamedTuple):
    """Panes number << level to (number + 1) << level, the last not included."""

    level: int
    number: int

    @property
    def first(self) -> int:
        return self.number << self.level

    @property
    def end(self) -> int:
        return (self.number + 1) << self.level

    @property
    def parent(self) -> Block:
        return Block(self.level + 1, self.number >> 1)

    @property
    def halves(self) -> tuple[Block, Block]:
        return Block(self.level - 1, 2 * self.number), Block(self.level - 1, 2 * self.number + 1)


def blocks(first: int, end: int) -> Iterator[Block]:
    """The greatest blocks in a run of panes, in order.

    >>> [(block.level, block.number) for block in blocks(2, 9)]
    [(1, 1), (2, 1), (0, 8)]
    """
    while first < end:
        level = (end - first).bit_length() - 1
        if first:
            level = min(level, (first & -first).bit_length() - 1)
        yield Block(level, first >> level)
        first += 1 << level


def least_start(spec: WindowSpec, lowest: int) -> int:
    """The least start of a window that is not below."""
    return spec.offset + -((spec.offset - lowest) // spec.slide) * spec.slide


def starts(spec: WindowSpec, low: int, high: int, after: int, upto: int) -> Iterator[int]:
    """Starts of the windows that contain [low, high) and end in (after, upto], in order.

    >>> list(starts(WindowSpec(300, 60), 240, 300, after=300, upto=480))
    [60, 120, 180]
    """
    start = least_start(spec, max(high, after + 1) - spec.size)
    while start <= low and start + spec.size <= upto:
        yield start
        start += spec.slide


def last_end(spec: WindowSpec, low: int, high: int) -> int | None:
    """End of the last window that contains [low, high), None if it is longer than a window.

    >>> last_end(WindowSpec(300, 60), 240, 300), last_end(WindowSpec(60, 60), 240, 360)
    (540, None)
    """
    start = _last_start(spec, low)
    return start + spec.size if start + spec.size >= high else None


def last_end_apart(spec: WindowSpec, low: int, high: int, whole: tuple[int, int]) -> int | None:
    """End of the last window that contains [low, high), but not the whole that this is the left or right half of: the
    last for which it is a block of its own. None if there is none.

    >>> spec = WindowSpec(300, 60)
    >>> last_end_apart(spec, 240, 300, (240, 360)), last_end_apart(spec, 300, 360, (240, 360))
    (300, 600)
    """
    if whole[0] == low:  # the window ends before the whole does
        start = _last_start(spec, min(low, whole[1] - spec.size - 1))
    else:
        start = _last_start(spec, low)
        if start <= whole[0]:
            return None
    return start + spec.size if start + spec.size >= high else None


def _last_start(spec: WindowSpec, highest: int) -> int:
    return spec.offset + (highest - spec.offset) // spec.slide * spec.slide
