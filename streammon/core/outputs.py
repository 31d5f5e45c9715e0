"""What streammon publishes: metric events and alert events, and the identities that make a duplicate visible.

An identity depends on what was observed (topic, partition, series, window), never on settings, time or worker, so two
workers that compute the same window name it alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import NamedTuple


class Series(NamedTuple):
    """What is aggregated separately and never mixed. A `*` stands for all (roll-ups)."""

    model_id: str
    model_version: str
    lane: str


ALL = "*"
"""In the place of a version or lane: all of them (roll-ups). No event has it."""

OTHER = Series("__other__", "__other__", "__other__")
"""Counts the events of all series beyond the plan's limit. It has no layout and no baseline."""


class Rollup(StrEnum):
    """Series that count the events of several others."""

    LANES = "lanes"  # all lanes of a version
    VERSIONS = "versions"  # all versions in a lane
    MODEL = "model"  # all of a model

    def of(self, series: Series) -> Series:
        """The roll-up that a series is a member of.

        >>> Rollup.LANES.of(Series("m", "1", "prod"))
        Series(model_id='m', model_version='1', lane='*')
        """
        version = series.model_version if self is Rollup.LANES else ALL
        return Series(series.model_id, version, series.lane if self is Rollup.VERSIONS else ALL)


def matches(series: Series, model: str, version: str, lane: str) -> bool:
    """Whether shell patterns name a series. They name a roll-up only where they say so: `[*]` is its version or lane.
    OTHER, which is many models, only its own name does.

    >>> fraud = Series("fraud", "*", "prod")
    >>> matches(fraud, "*", "*", "*"), matches(fraud, "*", "[*]", "*")
    (False, True)
    """
    if series == OTHER:
        return model == OTHER.model_id
    pairs = ((series.model_version, version), (series.lane, lane))
    if any(part == ALL and pattern != "[*]" for part, pattern in pairs):
        return False
    return all(fnmatchcase(part, pattern) for part, pattern in ((series.model_id, model), *pairs))


class WindowSpec(NamedTuple):
    """Windows [start, start + size), one every `slide`, aligned to the epoch + offset. Microseconds."""

    size: int
    slide: int
    offset: int = 0

    @property
    def text(self) -> str:
        return f"{self.size}/{self.slide}/{self.offset}"


class BaselineState(StrEnum):
    """Whether a window could be compared with its baseline."""

    OK = "ok"
    NO_BASELINE = "no_baseline"
    MISMATCH = "baseline_mismatch"
    SPANS_TWO = "spans_two"
    NO_PHASE = "no_phase"


class Measurement(NamedTuple):
    """One number about a window. `value` is None where it is undefined; `flag` then says why."""

    name: str  # family.statistic
    value: float | None
    feature: str | None = None
    effect: float | None = None
    p: float | None = None
    n: int | None = None
    n_eff: float | None = None
    reference_n: int | None = None
    threshold: float | None = None
    mde: float | None = None
    method: str | None = None
    flag: str | None = None  # empty | nan | inf | -inf | low_n


class Distribution(NamedTuple):
    """Counts by group of one window and of its baseline: evidence which groups moved.

    Groups of a feature or score are in order of value, with bounds between neighbours; of classes they have labels.
    """

    name: str  # feature, prediction.score or prediction.class
    bounds: tuple[float, ...]  # group i holds bounds[i - 1] <= x < bounds[i], G - 1 of them; () for classes
    labels: tuple[str, ...]  # of classes, the last: unseen; else ()
    current: tuple[int, ...]  # [G]
    reference: tuple[int, ...]  # [G]


@dataclass(frozen=True, slots=True)
class MetricEvent:
    """All measurements of one (series, window, revision)."""

    event_id: str
    topic: str
    partition: int
    series: Series
    spec: WindowSpec
    start: int  # microseconds
    revision: int
    n: int
    n_late: int  # late events of the series since its previous window of this spec closed
    closing_position: int  # position (next offset) at which the window closed
    plan_hash: str
    policy_hash: str
    baseline_id: str | None
    baseline_state: BaselineState
    data_hash: str | None
    git_commit: str | None
    mixed: bool  # the window holds several data_hash or git_commit; the one that differs is None
    measurements: tuple[Measurement, ...]

    @property
    def end(self) -> int:
        return self.start + self.spec.size


class AlertState(StrEnum):
    FIRING = "FIRING"
    ONGOING = "ONGOING"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One step in the life of an alert; events of one alert share `alert_id` and are numbered from 0."""

    alert_id: str
    number: int
    state: AlertState
    rule_id: str
    severity: str
    measurement: Measurement
    consecutive: int  # violating windows in a row, this one included; 0 when resolved
    opened_at: int  # microseconds, event time: end of the window that opened the alert
    topic: str
    partition: int
    series: Series
    spec: WindowSpec
    start: int  # of the window of this event
    closing_position: int
    plan_hash: str
    policy_hash: str
    baseline_id: str | None
    data_hash: str | None
    git_commit: str | None
    evidence: tuple[Measurement, ...]  # same measurement of other features, strongest first
    action: str
    summary: str
    distribution: Distribution | None = None  # behind the measurement, where it compares one with the baseline

    @property
    def end(self) -> int:
        return self.start + self.spec.size


def identity(*fields: str | int) -> str:
    """BLAKE2b, 16 bytes, in hex. Fields as UTF-8 (integers in decimal), each behind its length (4 bytes, big-endian).

    >>> identity("metric", 3) == identity("metric", "3")
    True
    """
    digest = blake2b(digest_size=16)
    for field in fields:
        data = str(field).encode()
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()


def metric_event_id(topic: str, partition: int, series: Series, spec: WindowSpec, start: int, revision: int) -> str:
    return identity("metric", topic, partition, *series, spec.text, start, revision)


def alert_id(
    topic: str, partition: int, series: Series, rule_id: str, feature: str | None, spec: WindowSpec, opening_start: int
) -> str:
    return identity("alert", topic, partition, *series, rule_id, feature or "", spec.text, opening_start)
