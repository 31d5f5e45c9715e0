"""Window arithmetic: due windows are a function of marks alone. Times in microseconds.

A mark is a clock less the allowed lateness: windows whose end is not beyond it have closed.
"""

from __future__ import annotations

from collections.abc import Iterator

from streammon.core.outputs import WindowSpec


def starts(spec: WindowSpec, pane_start: int, pane_end: int, after: int, upto: int) -> Iterator[int]:
    """Starts of the windows that contain the pane and end in (after, upto], in order.

    >>> list(starts(WindowSpec(300, 60), 240, 300, after=300, upto=480))
    [60, 120, 180]
    """
    lowest = max(pane_end, after + 1) - spec.size
    start = spec.offset + -((spec.offset - lowest) // spec.slide) * spec.slide  # the least start that is not below
    while start <= pane_start and start + spec.size <= upto:
        yield start
        start += spec.slide


def next_end(spec: WindowSpec, pane_start: int, pane_end: int, mark: int) -> int | None:
    """End of the first window containing the pane that ends beyond the mark; None when all have closed.

    >>> next_end(WindowSpec(60, 60), 240, 300, mark=0), next_end(WindowSpec(60, 60), 240, 300, mark=300)
    (300, None)
    """
    lowest = max(pane_end, mark + 1) - spec.size
    start = spec.offset + -((spec.offset - lowest) // spec.slide) * spec.slide
    return start + spec.size if start <= pane_start else None
