"""The threshold rule: a measurement beyond a number."""

from __future__ import annotations

from dataclasses import dataclass

from streammon.core.rules.base import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(Rule):
    """Violated when `measurement` is above `above`, or below `below`. Exactly one of the two is set.

    >>> rule = Threshold(id="slow", measurement="latency.p95", window="60000000/60000000/0", above=250.0)
    >>> rule.excess(300.0), rule.describe(300.0)
    (50.0, '300 > 250')
    """

    kind = "threshold"

    above: float | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        if (self.above is None) == (self.below is None):
            raise ValueError("needs a limit, exactly one of above and below")

    def excess(self, value: float) -> float:
        return value - self.above if self.above is not None else self.limit(value) - value

    def limit(self, value: float) -> float:
        limit = self.above if self.above is not None else self.below
        assert limit is not None
        return limit
