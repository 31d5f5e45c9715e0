"""When predictions are made and when their records arrive: evenly, or as unevenly as in real traffic.

arrival    evenly over the span; denser in a burst
made       some milliseconds before; up to `disorder` before, where the record had to be sent again
ts         made, by the clock of its producer (`skew`); of a nightly job, `batch_age` earlier
record     once; twice where it is delivered twice; never where a gap silences its series
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streammon.core.errors import UsageError

SECOND = 1_000_000  # microseconds
MAX_DISORDER = 2 * SECOND  # the longest delay between a prediction and its record, unless another is asked for
BATCH_LANE = "batch"
PRODUCERS = 8  # instances of the service, each with a clock of its own

_USUAL_DELAY = 5_000  # median, microseconds
_LEAST_DELAY = 1_000

Times = NDArray[np.int64]  # microseconds since the epoch
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the span: from a share of it on, for so many microseconds."""

    at: float
    length: int
    factor: float = 0.0  # of the traffic there

    def __post_init__(self) -> None:
        if not 0 <= self.at < 1:
            raise UsageError(f"simulate: a gap or burst begins at {self.at}; it must be at least 0 and less than 1")
        if self.length <= 0:
            raise UsageError("simulate: a gap or burst must be longer than 0s")

    def within(self, start: int, duration: int) -> tuple[int, int]:
        """Its first moment and the one behind its last, microseconds since the epoch."""
        first = start + round(self.at * duration)
        return first, min(first + self.length, start + duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How uneven. Durations in microseconds, shares of events from 0 to 1."""

    disorder: int = MAX_DISORDER  # the longest delay of a record that was sent again
    resent: float = 0.01  # share of events whose record was
    bursts: tuple[Stretch, ...] = ()
    gaps: tuple[Stretch, ...] = ()
    silent: tuple[str, str] = ("*", "*")  # pattern of the models, and the lane, that gaps silence
    batch: float = 0.0  # share of events of a nightly job, in the lane BATCH_LANE
    batch_age: int = 0
    skew: int = 0  # most that the clock of a producer is wrong
    duplicates: float = 0.0  # share of records that are delivered twice

    def __post_init__(self) -> None:
        for name in ("resent", "batch", "duplicates"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"simulate: the share of {name} is {getattr(self, name)}; it must be from 0 to 1")
        for name in ("disorder", "batch_age", "skew"):
            if getattr(self, name) < 0:
                raise UsageError(f"simulate: {name} is {getattr(self, name)}; it must be at least 0")
        for burst in self.bursts:
            if not 0 < burst.factor < np.inf:
                raise UsageError(f"simulate: the factor of a burst is {burst.factor}; it must be greater than 0")

    @property
    def reach(self) -> int:
        """How far before the first arrival an event's ts may lie, microseconds."""
        return max(self.disorder, _LEAST_DELAY) + self.batch_age + self.skew


@dataclass(frozen=True)
class Course:
    """The timing of a stream: `events` in `duration` microseconds from `start` on."""

    timing: Timing
    start: int
    duration: int
    events: int
    seed: int

    def moments(self, number: NDArray[np.int64], rng: np.random.Generator) -> tuple[Times, Times]:
        """When the records of these events arrive, and when their predictions are made.

        Event i arrives at a random moment of the i-th of `events` slots, which are equal but for bursts, so arrivals
        never go back.
        """
        timing, n = self.timing, len(number)
        at = number + rng.random(n)
        if timing.bursts:
            made_by, moment = self._density()
            since = np.interp(at / self.events, made_by, moment)
        else:
            since = at * (self.duration / self.events)
        arrival = self.start + since.astype(np.int64)
        usual = _USUAL_DELAY * rng.lognormal(0, 0.5, n)
        late = rng.random(n) * timing.disorder
        delay = np.where(rng.random(n) < timing.resent, late, usual)
        return arrival, arrival - np.clip(delay, _LEAST_DELAY, max(timing.disorder, _LEAST_DELAY)).astype(np.int64)

    def clocks(self, made: Times, job: Mask, rng: np.random.Generator) -> Times:
        """What the events say of when they were made; `job`: which are the nightly job's."""
        producer = rng.integers(PRODUCERS, size=len(made))
        errors = np.random.default_rng((self.seed, PRODUCERS)).uniform(-1, 1, PRODUCERS) * self.timing.skew
        return made - np.where(job, self.timing.batch_age, 0) + errors.astype(np.int64)[producer]

    def gaps(self, made: Times) -> Mask:
        """Which events are made in a gap."""
        inside = np.zeros(len(made), bool)
        for first, end in self._within(self.timing.gaps):
            inside |= (made >= first) & (made < end)
        return inside

    def records(self, arrival: Times, lost: Mask, rng: np.random.Generator) -> tuple[NDArray[np.int64], Times]:
        """The events' rows in the order in which their records arrive, and when those do.

        A second delivery comes up to `disorder` after the first, but no later than the last first one.
        """
        rows = np.flatnonzero(~lost)
        twice = rows[rng.random(len(arrival))[rows] < self.timing.duplicates]
        wait = (rng.random(len(arrival))[twice] * self.timing.disorder).astype(np.int64)
        row = np.concatenate([rows, twice])
        at = np.concatenate([arrival[rows], np.minimum(arrival[twice] + wait, arrival[-1])])
        order = np.argsort(at, kind="stable")
        return row[order], at[order]

    def _within(self, stretches: tuple[Stretch, ...]) -> Iterator[tuple[int, int]]:
        return (stretch.within(self.start, self.duration) for stretch in stretches)

    def _density(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The share of all events that have arrived at each moment (microseconds from the start) where it bends."""
        bursts = [(first - self.start, end - self.start) for first, end in self._within(self.timing.bursts)]
        bends = np.unique([0, self.duration, *(moment for burst in bursts for moment in burst)])
        weight = np.diff(bends).astype(float)
        for (first, end), burst in zip(bursts, self.timing.bursts, strict=True):
            weight[(bends[:-1] >= first) & (bends[:-1] < end)] *= burst.factor
        arrived = np.concatenate([[0.0], np.cumsum(weight)])
        return arrived / arrived[-1], bends.astype(float)
