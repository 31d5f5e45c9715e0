"""What is kept of one partition between two starts: the contents of its changelog.

Times are microseconds since the epoch (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from streammon.core.outputs import Series

FLOOR = "floor"  # among a header's counters: clock of the series that are not even remembered
FORMAT = 3  # of the changelog; another number means that this version cannot read the state


@dataclass(frozen=True, slots=True, eq=False)
class PaneState:
    """Aggregates of a pane, or block of panes, of a series. Arrays are int32, int64 or float64, of any small shape."""

    series: Series
    level: int  # of a block of 2**level panes; 0: a pane
    pane: int  # number of the block among those of its level
    start: int
    end: int
    n: int  # events
    baselines: tuple[str | None, ...]  # ids, in order; None: some panes had none
    anchored: bool  # all panes are built on the one baseline, or on none
    layout: str  # digest of names and dimensions (baseline.Layout)
    data_hash: str | None
    git_commit: str | None
    mixed_data_hash: bool
    mixed_git_commit: bool
    fields: dict[str, NDArray[Any]]  # by "aggregate.field"


@dataclass(frozen=True, slots=True)
class ClockState:
    """Event-time progress of one series."""

    series: Series
    own: int  # greatest accepted ts of the series
    clock: int
    p0: int  # greatest accepted ts of the partition when the series last had an event
    late: int  # late events since ever
    mark: int  # panes and windows that end by it have been sealed and closed
    late_reported: dict[str, int]  # by window spec text: late events that closed windows have reported
    last_full: dict[str, int]  # by window spec text: start of the last closed window with events
    expired: bool  # it has given its place free


@dataclass(frozen=True, slots=True)
class RuleState:
    """Memory of one rule about one series, by feature ("" for a rule about the whole window).

    A memory has the fields of `rules.lifecycle.RuleMemory` by name.
    """

    series: Series
    rule_id: str
    memories: dict[str, dict[str, int | str | None]]


class ActiveBaseline(NamedTuple):
    """A baseline in force."""

    baseline_id: str
    model_id: str
    model_version: str
    content_hash: str
    effective_from: int | None  # None: from the beginning


@dataclass(frozen=True, slots=True)
class HeaderState:
    """What the changelog of a partition holds, and the state of the partition as a whole."""

    position: int  # next offset
    generation: int
    keys: int  # live keys in the changelog partition
    format: int
    plan_hash: str
    policy_hash: str
    progress: int | None  # greatest accepted ts of the partition
    journal_sequence: int  # of the next entry
    active_baselines: tuple[ActiveBaseline, ...]
    counters: dict[str, int]


State = PaneState | ClockState | RuleState | HeaderState
