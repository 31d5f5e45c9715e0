"""What a rule is: which measurements it watches, when it fires, and how far a value is beyond its limit.

A kind of rule is a frozen dataclass on top of `Rule`, with its own numbers, `excess` and `limit`. Settings derive its
keys from the types of its fields, so a field that people write in a form of their own has a type of its own here.
Any other is `str`, `bool`, `int`, `float` or a `Literal`; all may be `| None`. JSON keeps such values as they are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from streammon.core.outputs import Measurement

Name = Annotated[str, "measurement"]  # family.statistic, one that is published
WindowText = Annotated[str, "window"]  # WindowSpec.text, written 1m
Microseconds = Annotated[int, "duration"]  # of event time, written 15m
Count = Annotated[int, "count"]  # at least 1
Natural = Annotated[int, "natural"]  # at least 0
Severity = Literal["P1", "P2", "P3"]
Action = Literal["rollback", "page", "ticket"]


@dataclass(frozen=True, slots=True)
class Rule(ABC):
    """What rules of all kinds have. A kind that has something to check does so in `__post_init__`: ValueError."""

    kind: ClassVar[str]  # its name in settings and journal

    id: str  # the name that the user gave it
    measurement: Name
    window: WindowText  # of the windows it watches
    feature: str = "*"  # shell pattern; measurements without a feature match "*" only
    model: str = "*"  # shell patterns
    version: str = "*"
    lane: str = "*"
    min_samples: Natural = 1  # windows with a smaller n (of the measurement) do not count; 0: empty ones do
    consecutive: Count = 1
    cooldown: Microseconds = 0
    severity: Severity = "P3"
    action: Action = "ticket"

    @abstractmethod
    def excess(self, value: float) -> float:
        """How far the value is beyond the limit: positive where it violates. Evidence is ordered by it."""

    @abstractmethod
    def limit(self, value: float) -> float:
        """The number that this value is compared with, for the alert."""

    def violates(self, measurement: Measurement) -> bool | None:
        """None where the window is not sufficient: no value, or n < min_samples."""
        if measurement.value is None or (measurement.n or 0) < self.min_samples:
            return None
        return self.excess(measurement.value) > 0

    def describe(self, value: float) -> str:
        """A value that violates, for the alert's summary line."""
        limit = self.limit(value)
        return f"{value:.6g} {'>' if value > limit else '<'} {limit:.6g}"
