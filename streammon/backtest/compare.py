"""Two runs, event by event, matched by identity: event_id of metric events, alert_id and number of alert events.

    here    a b c     d          equal: a, d   different: c   only here: b   only there: e
    there   a   c'    d   e

Both are read once, side by side; what has not met its like waits as bytes, so runs that were published in nearly the
same order need little memory, however long they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from math import inf
from typing import Generic, NamedTuple, TypeVar

from streammon.adapters.codec import from_bytes, to_bytes
from streammon.adapters.covered import Covered
from streammon.backtest.differences import Field, differences
from streammon.backtest.published import Published
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent

Event = MetricEvent | AlertEvent
EventT = TypeVar("EventT", MetricEvent, AlertEvent)
Identity = tuple[str, int]
NUMBERS = ("measurements", "measurement", "evidence", "distribution")  # fields that hold floats


class Pair(NamedTuple):
    """Two events of one identity that differ."""

    event: Event  # here
    fields: list[Field]


@dataclass
class Matched:
    """Of one kind of event. Counts events; the lists hold the first ones, by partition and closing position."""

    equal: int = 0  # floats within the tolerance count as equal
    close: int = 0  # of these, those that are not so to the last bit
    different: int = 0
    farthest: float = 0.0  # greatest relative distance of floats that differ; infinite where something else does
    only_here: int = 0
    only_there: int = 0
    twice_here: int = 0  # identities that were published before: exactly-once is broken
    twice_there: int = 0
    left_out_here: int = 0  # outside of what both cover
    left_out_there: int = 0
    at_end: int = 0  # of one side only, closed where the other side's replay ends; see _Matching._since
    policies: Counter[tuple[str, str]] = field(default_factory=Counter)  # (here, there) of pairs whose policies differ
    pairs: list[Pair] = field(default_factory=list)
    here: list[Event] = field(default_factory=list)  # of those only here
    there: list[Event] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        wrong = self.different + self.only_here + self.only_there + self.twice_here + self.twice_there
        return not wrong and not self.policies


@dataclass(frozen=True)
class Comparison:
    here: str
    there: str
    metrics: Matched
    alerts: Matched | None
    without_alerts: str | None  # why alert events are not compared, a sentence
    tolerance: float

    @property
    def agrees(self) -> bool:
        return self.metrics.agrees and (self.alerts is None or self.alerts.agrees)


def compare(here: Published, there: Published, tolerance: float = 0.0, show: int = 10) -> Comparison:
    """`tolerance`: of floats, relative (differences.py). `show`: how many events of each kind of difference are kept.

    UsageError where the two cannot be compared: a run that is not comparable with what live published, or two plans.
    """
    for side in (here, there):
        if side.covered is not None and side.covered.why_not is not None:
            raise UsageError(f"{side.name} cannot be compared: {side.covered.why_not}")
    covered = here.covered, there.covered
    metrics = _Matching(MetricEvent, covered, tolerance, show).match(here.metrics(), there.metrics())
    alerts, without = None, None
    if here.alerts is None or there.alerts is None:
        without = f"{(here if here.alerts is None else there).name} has none"
    elif any(side is not None and side.since for side in covered):
        without = "the replay begins in the middle, and does not know which alerts were open"
    else:
        alerts = _Matching(AlertEvent, covered, tolerance, show).match(here.alerts(), there.alerts())
    return Comparison(here.name, there.name, metrics, alerts, without, tolerance)


class _Side:
    def __init__(self) -> None:
        self.seen: set[Identity] = set()
        self.waiting: dict[Identity, bytes] = {}
        self.plans: dict[str, str] = {}  # by hash, the topic
        self.twice = self.left_out = 0


class _Matching(Generic[EventT]):
    def __init__(
        self, kind: type[EventT], covered: tuple[Covered | None, Covered | None], tolerance: float, show: int
    ) -> None:
        self._kind: type[EventT] = kind
        self._covered, self._tolerance, self._show = covered, tolerance, show
        self._found = Matched()
        self._sides = _Side(), _Side()

    def match(self, here: Iterable[EventT], there: Iterable[EventT]) -> Matched:
        for one, two in zip_longest(here, there):
            ours, theirs = self._accept(0, one), self._accept(1, two)
            if one is not None and two is not None and ours is not None and ours == theirs:
                self._pair(one, two)
                continue
            if one is not None and ours is not None:
                self._take(0, ours, one)
            if two is not None and theirs is not None:
                self._take(1, theirs, two)
        found, (left, right) = self._found, self._sides
        if left.plans and right.plans and not left.plans.keys() & right.plans.keys():
            raise _two_plans(left.plans, right.plans)
        found.at_end = self._since(0, left) + self._since(1, right)
        found.only_here, found.only_there = len(left.waiting), len(right.waiting)
        found.here, found.there = self._first(left), self._first(right)
        found.twice_here, found.twice_there = left.twice, right.twice
        found.left_out_here, found.left_out_there = left.left_out, right.left_out
        self._prune(0)
        return found

    def _since(self, side: int, ours: _Side) -> int:
        """Take out what may have been decided since the other side was replayed: live closes windows of a silent
        partition at the position of its end, by an entry of the journal that a recording of before does not have.
        """
        covered = self._covered[1 - side]
        if covered is None:
            return 0
        waiting = ((identity, from_bytes(self._kind, data)) for identity, data in ours.waiting.items())
        late = [identity for identity, e in waiting if covered.is_end(e.partition, e.closing_position)]
        for identity in late:
            del ours.waiting[identity]
        return len(late)

    def _accept(self, side: int, event: EventT | None) -> Identity | None:
        """The identity of an event that counts."""
        if event is None:
            return None
        ours, identity = self._sides[side], _identity(event)
        place = event.partition, event.closing_position, event.start
        if not all(covered is None or covered.holds(*place) for covered in self._covered):
            ours.left_out += 1
            return None
        ours.plans.setdefault(event.plan_hash, event.topic)
        if identity in ours.seen:
            ours.twice += 1
            return None
        ours.seen.add(identity)
        return identity

    def _take(self, side: int, identity: Identity, event: EventT) -> None:
        waiting = self._sides[1 - side].waiting.pop(identity, None)
        if waiting is None:
            self._sides[side].waiting[identity] = to_bytes(event)
            return
        other = from_bytes(self._kind, waiting)
        self._pair(*((event, other) if side == 0 else (other, event)))

    def _pair(self, here: EventT, there: EventT) -> None:
        found = self._found
        if here == there:
            found.equal += 1
            return
        if here.plan_hash != there.plan_hash:
            raise _two_plans({here.plan_hash: here.topic}, {there.plan_hash: there.topic})
        if here.policy_hash != there.policy_hash:
            found.policies[here.policy_hash, there.policy_hash] += 1
        fields = differences(here, there, self._tolerance)
        if fields:
            found.different += 1
            found.farthest = max(found.farthest, *(inf if f.distance is None else f.distance for f in fields))
            found.pairs.append(Pair(here, fields))
            self._prune(4 * self._show + 100)
        else:
            found.equal += 1
            found.close += any(getattr(here, name, None) != getattr(there, name, None) for name in NUMBERS)

    def _prune(self, beyond: int) -> None:
        """Keep the first pairs where there are more than `beyond`."""
        if len(self._found.pairs) > beyond:
            self._found.pairs = sorted(self._found.pairs, key=lambda pair: _order(pair.event))[: self._show]

    def _first(self, side: _Side) -> list[Event]:
        events: Iterator[Event] = (from_bytes(self._kind, data) for data in side.waiting.values())
        return sorted(events, key=_order)[: self._show]


def _identity(event: Event) -> Identity:
    return (event.event_id, 0) if isinstance(event, MetricEvent) else (event.alert_id, event.number)


def _order(event: Event) -> tuple[object, ...]:
    return event.partition, event.closing_position, event.end, event.spec, event.series, _identity(event)


def _two_plans(here: dict[str, str], there: dict[str, str]) -> UsageError:
    topics = [", ".join(sorted(set(side.values()))) for side in (here, there)]
    reason = f" (input topics {topics[0]} and {topics[1]})" if topics[0] != topics[1] else ""
    hashes = [", ".join(sorted(hash[:12] for hash in side)) for side in (here, there)]
    return UsageError(
        f"cannot be compared: the plans differ{reason}, hashes {hashes[0]} here and {hashes[1]} there. Windows, "
        "lateness, mapping, limits and input topic have to be the same: replay with the settings that live had"
    )
