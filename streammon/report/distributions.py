"""What moved: the distributions behind alerts, reference and current side by side."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from streammon.backtest.episodes import Episode
from streammon.core.outputs import AlertEvent, AlertState, Distribution
from streammon.report import words

LABEL = 24  # characters of a class's name below its bars


@dataclass(frozen=True)
class Moved:
    """The distribution of a feature, the score or the classes, in the window where its alert was strongest."""

    alert: AlertEvent
    counts: Distribution

    @property
    def key(self) -> tuple[str, str | None]:
        return self.counts.name, self.alert.measurement.feature

    @property
    def labels(self) -> list[str]:
        """Of the groups, in words."""
        if self.counts.labels:
            return [words.name(label, LABEL) for label in self.counts.labels]
        edges = [_edge(bound) for bound in self.counts.bounds]
        if not edges:
            return ["all"]
        (first, first_in), (last, last_in) = edges[0], edges[-1]
        between = [f"{'above ' if is_in else ''}{a} to {b}" for (a, is_in), (b, _) in pairwise(edges)]
        return [f"{'≤' if first_in else '<'} {first}", *between, f"{'>' if last_in else '≥'} {last}"]

    @property
    def reference(self) -> list[float]:
        return _shares(self.counts.reference)

    @property
    def current(self) -> list[float]:
        return _shares(self.counts.current)

    @property
    def order(self) -> list[int]:
        """Groups by how much their share moved, most first."""
        moved = [abs(b - a) for a, b in zip(self.reference, self.current, strict=True)]
        return sorted(range(len(moved)), key=lambda group: -moved[group])

    def data(self) -> dict[str, Any]:
        """For the page: shares, and labels of groups or bounds between them."""
        return {
            "labels": self.labels if self.counts.labels else None,
            "bounds": [_edge(bound)[0] for bound in self.counts.bounds],
            "reference": [round(share, 5) for share in self.reference],
            "current": [round(share, 5) for share in self.current],
        }


def moved(found: Iterable[Episode]) -> list[Moved]:
    """One for each distribution that an alert was about, in the order of the first alerts."""
    strongest: dict[tuple[str, str | None], Moved] = {}
    for episode in found:
        alert = episode.strongest
        if alert.distribution is None or alert.state is AlertState.RESOLVED:
            continue
        one = Moved(alert, alert.distribution)
        before = strongest.get(one.key)
        if before is None or (alert.measurement.value or 0.0) > (before.alert.measurement.value or 0.0):
            strongest[one.key] = one
    return list(strongest.values())


def _edge(bound: float) -> tuple[str, bool]:
    """A bound in words, and whether the value there belongs to the group below: a repeated value's own bin ends at the
    next float, which nobody should have to read.

    >>> _edge(0.25), _edge(5e-324)
    (('0.25', False), ('0', True))
    """
    value = math.nextafter(bound, -math.inf)
    is_in = len(repr(value)) + 3 <= len(repr(bound))  # 0.5 and 0.5000000000000001, but not any two neighbours
    return words.number(value if is_in else bound), is_in


def _shares(counts: tuple[int, ...]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]
