"""From clocks to closed windows: seal panes, merge them into blocks, close what is due, let go of what no window needs.

    roll-ups take what their members' panes hold ─► halves become blocks ─► windows that end by the mark close ─► let go

The order of merging is that of pane numbers (windows.py). A block is made as soon as it is sealed, if an open window
contains it, and its halves go unless an open window has them as its own blocks: so each pane is merged about once for
all windows together, and a window costs the logarithm of its panes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from streammon.core.outputs import WindowSpec
from streammon.core.panes import Panes
from streammon.core.plan import Plan
from streammon.core.series import Held, SeriesBook
from streammon.core.timeline import NEVER
from streammon.core.windows import Block, blocks, last_end, last_end_apart, least_start, starts


class Due(NamedTuple):
    """A window that closes."""

    number: int  # of the series
    spec: WindowSpec
    start: int
    panes: list[int]  # ids of its blocks, in order; none: it is empty
    n_late: int


class Sealing:
    """Of one partition."""

    def __init__(self, plan: Plan, book: SeriesBook, panes: Panes) -> None:
        self._plan, self._book, self._panes = plan, book, panes

    def seal(self, marks: Mapping[int, int], add: Callable[[], None]) -> list[Due]:
        """The windows that close when the marks of these series (by number) move there; in order for each series.

        Their panes are merged by `Panes.merge`. `add` adds to all panes the events that came before.
        """
        book = self._book
        numbers = sorted(marks)
        self._take_from_members([number for number in numbers if book.members[number]], marks, add)
        self._build(numbers, marks)
        due = [window for number in numbers for window in self._due(number, marks[number])]
        for number in numbers:
            book.mark[number] = marks[number]
        return due

    def let_go(self, numbers: Sequence[int]) -> None:
        """Release what no window needs any more, and find when these series are due next."""
        book = self._book
        members = {member for number in numbers for member in book.members[number]}
        for number in sorted(members.union(numbers)):
            self._release(number)
            book.clocks.due[number] = self._next_due(number)

    def open(self, number: int, pane_number: int, pane: int, progress: int) -> None:
        """A pane of a series that takes events from now on, when the partition has progressed so far."""
        book = self._book
        block = Block(0, pane_number)
        self.hold(number, block, pane)
        seal = book.held[number][block].high + self._plan.allowed_lateness
        book.clocks.due[number] = min(int(book.clocks.due[number]), seal)
        for rollup in book.rollups_of(number):
            if book.clock(rollup, progress) < seal:
                book.waiting[rollup].add(pane_number)
                book.clocks.due[rollup] = min(int(book.clocks.due[rollup]), seal)

    def hold(self, number: int, block: Block, pane: int) -> None:
        """Keep a pane or block of a series as long as a window or roll-up needs it."""
        book, start = self._book, self._plan.pane_start
        low, high, whole = start(block.first), start(block.end), block.parent
        outer = start(whole.first), start(whole.end)
        mine = [book.specs[k] for k in book.windows[number]]
        last = [end for spec in mine if (end := last_end(spec, low, high)) is not None]
        alone = [end for spec in mine if (end := last_end_apart(spec, low, high, outer)) is not None]
        held = Held(pane, low, high, outer[1], max(last, default=-NEVER), max(alone, default=-NEVER))
        book.held[number][block] = held
        if block.level == 0 and not book.members[number]:  # where `route` finds it
            book.clocks.ring[number, block.number % book.clocks.ring.shape[1]] = pane

    def reckon(self, number: int) -> None:
        """After a restoration: which panes of its members a roll-up waits for, and when the series is due."""
        book = self._book
        sealed = int(book.clocks.clock[number]) - self._plan.allowed_lateness
        for member in book.members[number]:
            panes = [(block.number, held.high) for block, held in book.held[member].items() if block.level == 0]
            book.waiting[number] |= {pane_number for pane_number, end in panes if end > sealed}
        book.clocks.due[number] = self._next_due(number)

    def _take_from_members(self, rollups: Sequence[int], marks: Mapping[int, int], add: Callable[[], None]) -> None:
        """The panes of roll-ups that are sealed now: what their members hold of them at this moment. They are merged at
        once, because a member's pane may still be open.
        """
        book = self._book
        places, parts = [], []
        for rollup in rollups:
            for pane_number in sorted(book.waiting[rollup]):
                block = Block(0, pane_number)
                if self._plan.pane_start(block.end) <= marks[rollup]:
                    book.waiting[rollup].discard(pane_number)
                    if book.windows[rollup]:
                        theirs = (book.held[member].get(block) for member in book.members[rollup])
                        places.append((rollup, block))
                        parts.append([held.pane for held in theirs if held is not None])
        if parts:
            add()
            made = self._panes.combine(parts)
            self._panes.merge()
            for (rollup, block), pane in zip(places, made, strict=True):
                self.hold(rollup, block, pane)

    def _build(self, numbers: Sequence[int], marks: Mapping[int, int]) -> None:
        """Blocks that are sealed now and lie in a window that was open, from their halves: level by level, all series
        at once.
        """
        book = self._book
        complete: dict[int, set[tuple[int, Block]]] = {}  # by level
        for number in numbers:
            before, mark = int(book.mark[number]), marks[number]
            for block, held in book.held[number].items():
                if before < held.whole <= mark:
                    complete.setdefault(block.level + 1, set()).add((number, block.parent))
        level = 1
        while level <= max(complete, default=0):
            places, parts = [], []
            for number, block in sorted(complete.get(level, ())):
                if not self._was_open(number, block):
                    continue
                halves = [half for each in block.halves if (half := book.held[number].get(each)) is not None]
                if len(halves) == 1:  # nothing to merge: the same pane under another name
                    self.hold(number, block, halves[0].pane)
                else:
                    places.append((number, block))
                    parts.append([half.pane for half in halves])
            for (number, block), pane in zip(places, self._panes.combine(parts), strict=True):
                self.hold(number, block, pane)
            for number, block in complete.get(level, ()):
                made = book.held[number].get(block)
                if made is not None and made.whole <= marks[number]:
                    complete.setdefault(level + 1, set()).add((number, block.parent))
            level += 1

    def _was_open(self, number: int, block: Block) -> bool:
        """Whether a window that has not closed contains the block."""
        mark = int(self._book.mark[number])
        low, high = self._plan.pane_start(block.first), self._plan.pane_start(block.end)
        ends = (last_end(self._book.specs[k], low, high) for k in self._book.windows[number])
        return any(end is not None and end > mark for end in ends)

    def _due(self, number: int, mark: int) -> Iterator[Due]:
        book = self._book
        after, late = int(book.mark[number]), int(book.clocks.late[number])
        for k in book.windows[number]:
            spec = book.specs[k]
            full = self._full(number, spec, after, mark)
            empty = self._empty(spec, full, int(book.full[number, k]), after, mark)
            for start in sorted(full | empty):
                n_late = late - int(book.late_reported[number, k])
                book.late_reported[number, k] = late
                yield Due(number, spec, start, self._blocks(number, spec, start) if start in full else [], n_late)
            book.full[number, k] = max(full, default=book.full[number, k])

    def _full(self, number: int, spec: WindowSpec, after: int, mark: int) -> set[int]:
        """Starts of the windows with events that end in (after, mark]."""
        ends_by_then = [(time - spec.size - spec.offset) // spec.slide for time in (after, mark)]
        candidates = ends_by_then[1] - ends_by_then[0]
        found: set[int] = set()
        for held in reversed(self._book.held[number].values()):  # the latest is in most of them
            if len(found) == candidates:
                break
            found.update(starts(spec, held.low, held.high, after, mark))
        return found

    def _blocks(self, number: int, spec: WindowSpec, start: int) -> list[int]:
        held, first = self._book.held[number], self._plan.pane_number(start)
        run = blocks(first, first + spec.size // self._plan.pane_width)
        return [held[block].pane for block in run if block in held]

    def _empty(self, spec: WindowSpec, full: set[int], last: int, after: int, mark: int) -> set[int]:
        """Starts of the windows without events that follow one with events, and end in (after, mark]."""
        steps = range(spec.slide, (self._plan.empty_windows + 1) * spec.slide, spec.slide)
        found = {start + step for step in steps for start in (*full, last) if start != -NEVER}
        return {start for start in found - full if after < start + spec.size <= mark}

    def _release(self, number: int) -> None:
        book, held = self._book, self._book.held[number]
        mark = int(book.mark[number])
        awaited = [book.waiting[rollup] for rollup in book.rollups_of(number)]
        gone = [
            block
            for block, each in held.items()
            if max(each.high, each.last if each.whole > mark else each.alone) <= mark
            and not (block.level == 0 and any(block.number in waiting for waiting in awaited))
        ]
        panes = {held.pop(block).pane for block in gone}
        ring = book.clocks.ring
        for pane in panes.difference(each.pane for each in held.values()) if panes else ():
            ring[number][ring[number] == pane] = -1
            self._panes.release(pane)

    def _next_due(self, number: int) -> int:
        """Clock at which the next pane is sealed or the next window closes."""
        book = self._book
        mark = int(book.mark[number])
        ends = [held.high for held in book.held[number].values() if held.high > mark]
        ends += [self._plan.pane_start(pane_number + 1) for pane_number in book.waiting[number]]
        latest = max((held.low for held in book.held[number].values() if held.high <= mark), default=-NEVER)
        for k in book.windows[number]:
            spec = book.specs[k]
            start = least_start(spec, mark + 1 - spec.size)  # of the first window that has not closed
            reach = max(latest, int(book.full[number, k]) + self._plan.empty_windows * spec.slide)
            if reach > -NEVER // 2 and start <= reach:
                ends.append(start + spec.size)
        return min(ends) + self._plan.allowed_lateness if ends else NEVER
