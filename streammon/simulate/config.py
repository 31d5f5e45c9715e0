"""What to simulate. One frozen object, checked when it is made; everything that follows is a function of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from streammon.core.errors import UsageError
from streammon.simulate.timing import BATCH_LANE, Timing

DRIFT_KINDS = ("covariate", "class_mix", "embedding", "latency", "errors", "missing")
VERSION = "v1"

MICROSECONDS = 1_000_000  # in a second

# Without `rate` and `span`, a window of a minute holds about this many events of a series: enough for a drift test of
# ten groups, few enough that an hour of forty series takes two minutes to make.
EVENTS_PER_SERIES_MINUTE = 1_000

_FIRST_LANE_SHARE = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Events of `models` models, digits-0, digits-1, ..., spread evenly over the span that finishes at `end`.

    The first lane gets 70 % of the traffic, the others share the rest.
    """

    events: int
    end: int  # event time at which the stream finishes, microseconds since the epoch; the caller decides what "now" is
    models: int = 1
    partitions: int = 1
    seed: int = 0
    lanes: tuple[str, ...] = ("prod", "canary")
    rate: float | None = None  # events of all series per second of event time
    span: float | None = None  # seconds of event time; at most one of rate and span
    drift: tuple[str, ...] = ()  # any of DRIFT_KINDS
    drift_at: float | tuple[float, ...] = 0.5  # kinds begin after this share of the span, or each after its, and last
    only: tuple[str, str] = ("*", "*")  # drift touches models like this pattern, in this lane (* for every lane)
    timing: Timing = field(default_factory=Timing)

    def __post_init__(self) -> None:
        for name in ("events", "models", "partitions"):
            if getattr(self, name) < 1:
                raise UsageError(f"simulate: {name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"simulate: the seed is {self.seed}; it must be at least 0 and less than 2^63")
        self._check_lanes()
        self._check_time()
        self._check_drift()

    def _check_lanes(self) -> None:
        if not self.lanes or not all(lane.strip() for lane in self.lanes):
            raise UsageError("simulate: a lane has no name; give names such as prod,canary")
        if len(set(self.lanes)) < len(self.lanes):
            raise UsageError(f"simulate: a lane is named twice in {','.join(self.lanes)}")
        if "*" in self.lanes:
            raise UsageError("simulate: `*` is no lane: it is the name of the roll-up over all lanes")
        if self.timing.batch and BATCH_LANE in self.lanes:
            raise UsageError(f"simulate: `{BATCH_LANE}` is the lane of the nightly job; give the others another name")

    def _check_time(self) -> None:
        if self.rate is not None and self.span is not None:
            raise UsageError("simulate: rate and span exclude each other; give one of them")
        for name, value in (("rate", self.rate), ("span", self.span)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"simulate: the {name} is {value}; it must be greater than 0")
        if self.start <= self.timing.reach:
            raise UsageError("simulate: the stream would begin before 1970; give a later end or a shorter span")

    def _check_drift(self) -> None:
        for kind in self.drift:
            if kind not in DRIFT_KINDS:
                raise UsageError(f"simulate: no drift is called {kind!r}; there are {', '.join(DRIFT_KINDS)}")
        if len(set(self.drift)) < len(self.drift):
            raise UsageError(f"simulate: a drift is named twice in {','.join(self.drift)}")
        for share in self.drift_at if isinstance(self.drift_at, tuple) else (self.drift_at,):
            if not 0 <= share < 1:
                raise UsageError(f"simulate: drift_at is {share}; it must be at least 0 and less than 1")
        if isinstance(self.drift_at, tuple) and len(self.drift_at) != len(self.drift):
            raise UsageError(f"simulate: drift_at has {len(self.drift_at)} shares for {len(self.drift)} kinds of drift")
        for what, (pattern, lane) in (("drift", self.only), ("gaps", self.timing.silent)):
            if not any(fnmatchcase(model, pattern) for model in self.model_ids):
                raise UsageError(f"simulate: {what} only in {pattern!r}, but the models are {self.model_ids[0]}, ...")
            if lane not in ("*", *self.every_lane):
                raise UsageError(
                    f"simulate: {what} only in lane {lane!r}, but the lanes are {', '.join(self.every_lane)}"
                )

    @property
    def model_ids(self) -> tuple[str, ...]:
        return tuple(f"digits-{number}" for number in range(self.models))

    @property
    def every_lane(self) -> tuple[str, ...]:
        """The lanes, and that of the nightly job."""
        return (*self.lanes, BATCH_LANE) if self.timing.batch else self.lanes

    @property
    def lane_shares(self) -> tuple[float, ...]:
        """The share of the traffic that each lane gets; they sum to 1."""
        others = len(self.lanes) - 1
        if not others:
            return (1.0,)
        return (_FIRST_LANE_SHARE, *[(1 - _FIRST_LANE_SHARE) / others] * others)

    @property
    def duration(self) -> int:
        """Event time from start to end, microseconds."""
        if self.span is not None:
            seconds = self.span
        else:
            default = EVENTS_PER_SERIES_MINUTE * self.models * len(self.lanes) / 60
            seconds = self.events / (self.rate or default)
        return max(1, round(seconds * MICROSECONDS))

    @property
    def start(self) -> int:
        """Event time at which the stream begins, microseconds since the epoch."""
        return self.end - self.duration

    @property
    def onsets(self) -> dict[str, int]:
        """Event time from which on each kind of drift applies, microseconds since the epoch."""
        shares = self.drift_at if isinstance(self.drift_at, tuple) else (self.drift_at,) * len(self.drift)
        return {kind: self.start + round(share * self.duration) for kind, share in zip(self.drift, shares, strict=True)}
