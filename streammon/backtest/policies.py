"""Another policy over the same metric events: which alerts would be new, gone, earlier or later.

An alert event says all that matters of it but the counts behind it (`distribution`), which metric events do not have.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from streammon.backtest.episodes import Episode, Place
from streammon.core.judge import Judge
from streammon.core.outputs import AlertEvent, AlertState, MetricEvent
from streammon.core.plan import Policy


class Kind(StrEnum):
    NEW = "new"  # the other policy alone opens it
    GONE = "gone"  # the other policy does not
    EARLIER = "earlier"  # both do, the other one sooner
    LATER = "later"
    SAME = "same"  # both, at the same window


@dataclass(frozen=True)
class Change:
    """One alert, or two that are the same but for the policy. Times are ends of windows, microseconds."""

    kind: Kind
    rule: str
    place: Place
    feature: str | None
    live: Episode | None  # None: new
    other: Episode | None  # None: gone

    @property
    def shift(self) -> int | None:
        """How much later the other policy opens it, microseconds; negative: earlier."""
        if self.live is None or self.other is None:
            return None
        return self.other.first.opened_at - self.live.first.opened_at


@dataclass(frozen=True)
class Load:
    """What a policy asks of people. Counts episodes."""

    alerts: int
    actions: dict[str, int]  # by what the policy asks for: page, rollback, ticket
    per_week: float | None  # alerts in a week of event time; None where no time passed


def judged(metrics: Iterable[MetricEvent], policy: Policy) -> list[AlertEvent]:
    """Alert events of a policy that begins without memory. `metrics`: of each series in the order of publishing."""
    judges: dict[tuple[str, int], Judge] = {}
    alerts = []
    for event in metrics:
        partition = event.topic, event.partition
        if partition not in judges:
            judges[partition] = Judge()
        alerts += judges[partition].judge(event, policy)
    return alerts


def changes(live: Iterable[Episode], other: Iterable[Episode]) -> list[Change]:
    """In order of time. Episodes of one rule, series and feature belong together where they are open at once, one of
    each policy at most, the first ones first.

    An alert is open from the end of the window that fired to the end of the one that resolved it.
    """
    sides = _by_instance(live), _by_instance(other)
    found: list[Change] = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        found += _aligned(key, *(side.get(key, []) for side in sides))
    return sorted(found, key=_order)


def load(found: Sequence[Episode], weeks: float) -> Load:
    """`weeks`: of event time."""
    actions = Counter(episode.first.action for episode in found)
    return Load(len(found), dict(sorted(actions.items())), len(found) / weeks if weeks else None)


Instance = tuple[str, Place, str | None]


def _by_instance(found: Iterable[Episode]) -> dict[Instance, list[Episode]]:
    """By rule, place and feature; episodes of one are never open at once. Those without their FIRING are left out."""
    instances: dict[Instance, list[Episode]] = {}
    for episode in sorted(found, key=lambda episode: episode.first.opened_at):
        alert = episode.first
        if alert.state is AlertState.FIRING:
            instances.setdefault((alert.rule_id, episode.place, alert.measurement.feature), []).append(episode)
    return instances


def _aligned(instance: Instance, live: Iterable[Episode], other: Iterable[Episode]) -> Iterable[Change]:
    left, right = deque(live), deque(other)
    while left or right:
        if left and (not right or _is_over(left[0], right[0])):
            yield Change(Kind.GONE, *instance, left.popleft(), None)
        elif right and (not left or _is_over(right[0], left[0])):
            yield Change(Kind.NEW, *instance, None, right.popleft())
        else:
            one, two = left.popleft(), right.popleft()
            shift = two.first.opened_at - one.first.opened_at
            kind = Kind.EARLIER if shift < 0 else Kind.LATER if shift else Kind.SAME
            yield Change(kind, *instance, one, two)


def _is_over(episode: Episode, when: Episode) -> bool:
    """Whether it is resolved by the time the other one opens."""
    return episode.resolved_at is not None and episode.resolved_at <= when.first.opened_at


def _order(change: Change) -> tuple[object, ...]:
    opened = min(e.first.opened_at for e in (change.live, change.other) if e is not None)
    return opened, change.place, change.rule, change.feature or ""
