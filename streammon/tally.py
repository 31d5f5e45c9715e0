"""What a run has processed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from streammon.core.engine import Fed
from streammon.core.errors import Code
from streammon.core.timeline import LATE


class Counts(NamedTuple):
    """Of one batch that was fed."""

    events: int  # counted in a window
    late: int
    refused: dict[Code, int]  # rows by code, tombstones included
    windows: int  # closed


def counts(fed: Fed) -> Counts:
    """
    >>> counts(Fed([], np.array([Code.OK, Code.OK, LATE, Code.RANGE], np.uint8)))
    Counts(events=2, late=1, refused={<Code.RANGE: 4>: 1}, windows=0)
    """
    rows = np.bincount(fed.verdict, minlength=LATE + 1)
    refused = {Code(code): int(rows[code]) for code in np.flatnonzero(rows[:LATE]).tolist() if code != Code.OK}
    return Counts(int(rows[Code.OK]), int(rows[LATE]), refused, sum(len(group.headers) for group in fed.closed))


@dataclass
class Tally:
    """Counts since the start; events that are read again in a recovery are left out."""

    events: int = 0
    late: int = 0
    windows: int = 0
    metrics: int = 0
    alerts: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by name of the code, tombstones included

    def add(self, batch: Counts) -> None:
        """A batch was fed."""
        self.events += batch.events
        self.late += batch.late
        self.windows += batch.windows
        for code, rows in batch.refused.items():
            self.rejected[code.name] += rows
