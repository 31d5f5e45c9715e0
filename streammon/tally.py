"""What a run has processed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from streammon.core.engine import Fed
from streammon.core.errors import Code
from streammon.core.timeline import LATE


@dataclass
class Tally:
    """Counts since the start; events that are read again in a recovery are left out."""

    events: int = 0
    late: int = 0
    windows: int = 0
    metrics: int = 0
    alerts: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # by name of the code, tombstones included

    def count(self, fed: Fed) -> None:
        """A batch was fed."""
        verdict = fed.verdict
        self.events += int(np.count_nonzero(verdict == Code.OK))
        self.late += int(np.count_nonzero(verdict == LATE))
        self.windows += sum(len(group.headers) for group in fed.closed)
        for row in np.flatnonzero((verdict != Code.OK) & (verdict != LATE)):
            self.rejected[Code(verdict[row]).name] += 1
