"""The threshold rule: a measurement beyond a number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streammon.core.outputs import Measurement

Severity = Literal["P1", "P2", "P3"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """Violated when `measurement` is above `above`, or below `below`. Exactly one of the two is set.

    >>> rule = Threshold(id="slow", measurement="latency.p95", window="60000000/60000000/0", above=250.0)
    >>> rule.violates(Measurement("latency.p95", 300.0, n=1000))
    True
    >>> rule.violates(Measurement("latency.p95", None, n=0)) is None
    True
    """

    id: str  # the name that the user gave it
    measurement: str  # family.statistic
    window: str  # WindowSpec.text of the windows it watches
    above: float | None = None
    below: float | None = None
    feature: str = "*"  # shell pattern; measurements without a feature match "*" only
    model: str = "*"  # shell patterns
    version: str = "*"
    lane: str = "*"
    min_samples: int = 1  # windows with a smaller n (of the measurement) do not count
    consecutive: int = 1
    cooldown: int = 0  # microseconds of event time
    severity: Severity = "P3"
    action: str = "ticket"  # rollback | page | ticket

    kind = "threshold"

    @property
    def limit(self) -> float:
        """The number that the value is compared with."""
        if self.above is not None:
            return self.above
        assert self.below is not None
        return self.below

    def violates(self, measurement: Measurement) -> bool | None:
        """None where the window is not sufficient: no value, or n < min_samples."""
        if measurement.value is None or (measurement.n or 0) < self.min_samples:
            return None
        if self.above is not None:
            return measurement.value > self.above
        return measurement.value < self.limit

    def describe(self, value: float) -> str:
        """For the alert's summary line."""
        return f"{value:.6g} {'>' if self.above is not None else '<'} {self.limit:.6g}"
