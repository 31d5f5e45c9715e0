"""The life of an alert, common to every kind of rule: consecutive violations, FIRING, ONGOING, RESOLVED.

One rule instance exists per (series, feature). Time is event time: the ends of windows.

- A window with fewer than `min_samples`, or a missing window, resets the run of violations and decides nothing else.
- FIRING when the run reaches `consecutive`, but no sooner than `cooldown` after the last FIRING of the same instance.
- While open: a violating window is ONGOING each time `cooldown` has passed since the last notification.
- RESOLVED at the first sufficient window that does not violate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from streammon.core.outputs import AlertState


@dataclass(frozen=True, slots=True)
class RuleMemory:
    """What one rule instance remembers. Equal to `RuleMemory()` when there is nothing to remember."""

    run: int = 0  # violating windows in a row
    last_start: int | None = None  # start of the last window of a run or of an open alert, to see a missing one
    alert_start: int | None = None  # start of the window that opened the alert; None: no alert is open
    opened_at: int | None = None  # end of that window
    number: int = 0  # of the alert's next event
    last_notified: int | None = None  # end of the window of the last FIRING or ONGOING
    last_fired: int | None = None  # end of the window of the last FIRING


class Step(NamedTuple):
    """An event that the alert emits at this window."""

    state: AlertState
    number: int
    alert_start: int
    opened_at: int
    consecutive: int


def advance(
    memory: RuleMemory, violates: bool | None, start: int, size: int, slide: int, consecutive: int, cooldown: int
) -> tuple[RuleMemory, Step | None]:
    """Take one closed window, in window order.

    `violates` is None for a window that is not sufficient. `start`, `size`, `slide`, `cooldown` in microseconds.
    """
    end = start + size
    if memory.last_start is not None and start != memory.last_start + slide:
        memory = replace(memory, run=0)  # a window is missing
    if violates is None:
        return _forget(replace(memory, run=0), start), None
    if not violates:
        if memory.alert_start is None or memory.opened_at is None:
            return _forget(replace(memory, run=0), start), None
        step = Step(AlertState.RESOLVED, memory.number, memory.alert_start, memory.opened_at, 0)
        return RuleMemory(last_fired=memory.last_fired), step
    memory = replace(memory, run=memory.run + 1, last_start=start)
    if memory.alert_start is not None and memory.opened_at is not None:
        if memory.last_notified is not None and end < memory.last_notified + cooldown:
            return memory, None
        step = Step(AlertState.ONGOING, memory.number, memory.alert_start, memory.opened_at, memory.run)
        return replace(memory, number=memory.number + 1, last_notified=end), step
    cooling = memory.last_fired is not None and end < memory.last_fired + cooldown
    if memory.run < consecutive or cooling:
        return memory, None
    step = Step(AlertState.FIRING, 0, start, end, memory.run)
    return replace(memory, alert_start=start, opened_at=end, number=1, last_notified=end, last_fired=end), step


def _forget(memory: RuleMemory, start: int) -> RuleMemory:
    """An idle instance need not remember the last window; an open alert does, to see a gap before it goes on."""
    return replace(memory, last_start=start if memory.alert_start is not None else None)
