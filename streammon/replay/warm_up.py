"""From when on a replay that begins in the middle of a partition publishes what live published.

What came before the first record that is read is unknown: events of windows that reach back, clocks that they moved.
But none of it lay further ahead than `max_future_skew` beyond the timestamp of that record, as the log was appended to
in order of time: what did became a dead letter. So

    first record read ──► its timestamp + max_future_skew = H
    windows of before  ┄┄┄┄┄┄┄┄┄┄│┄┄ reach back, or may: not published, not judged
    windows that start at H or later ───────────────────────────► all their events are read; published

A clock that is beyond H is live's too, as only events that are read can have moved it there. Windows without events may
follow one from before H, so many slides of them as the plan has. Rules begin as if nothing had been before.
"""

from __future__ import annotations

from collections.abc import Mapping

from streammon.adapters.recorded_log import Span
from streammon.core.plan import Plan


def since(plan: Plan, spans: Mapping[int, Span]) -> dict[int, int]:
    """Of each partition that begins later than at 0: the least start of a window that is published, microseconds."""
    empty = plan.empty_windows * max(spec.slide for spec in plan.windows)
    return {p: span.begins + plan.max_future_skew + empty for p, span in spans.items() if span.first > 0}
