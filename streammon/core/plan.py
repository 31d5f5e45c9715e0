"""The plan: everything in the settings that changes results, frozen, with its hash.

The policy (set of rules) is part of the plan, but may change while a worker's state is kept; its hash is its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import blake2b
from math import gcd
from typing import Any

from streammon.core.baseline import Layout
from streammon.core.errors import UsageError
from streammon.core.outputs import OTHER, Rollup, Series, WindowSpec, matches
from streammon.core.rules import RULES, Rule

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Declared dimensions of the models whose id matches, for those without a baseline."""

    match: str  # shell pattern on model_id
    layout: Layout


@dataclass(frozen=True, slots=True)
class Scope:
    """Which series a window is for: shell patterns, as rules have them (outputs.matches)."""

    window: WindowSpec
    model: str = "*"
    version: str = "*"
    lane: str = "*"


@dataclass(frozen=True)
class Policy:
    """The set of rules."""

    rules: tuple[Rule, ...] = ()

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The rules as JSON values: what is hashed and journalled."""
        return [{"kind": rule.kind, **asdict(rule)} for rule in self.rules]

    @cached_property
    def hash(self) -> str:
        return _digest(_canonical(self.records))

    @classmethod
    def parse(cls, records: Sequence[Mapping[str, Any]]) -> Policy:
        """The policy that a journal entry carries."""
        unknown = {str(rule["kind"]) for rule in records} - RULES.keys()
        if unknown:
            raise UsageError(
                f"journal: rules of kind {', '.join(sorted(unknown))} need a newer streammon: use that version"
            )
        return cls(
            tuple(RULES[rule["kind"]](**{name: rule[name] for name in rule if name != "kind"}) for rule in records)
        )


@dataclass(frozen=True)
class Plan:
    """All durations in microseconds."""

    topic: str  # of the input; part of every identity
    windows: tuple[WindowSpec, ...]
    allowed_lateness: int = 10 * SECOND
    idle_grace: int = 300 * SECOND
    max_future_skew: int = 300 * SECOND
    scopes: tuple[Scope, ...] = ()  # a window that none names is for every series, another for those that one names
    rollups: tuple[Rollup, ...] = ()
    empty_windows: int = 0  # windows without an event that follow one with events, and are published too
    expire_after: int = 7 * DAY  # progress of the partition after which a silent series gives its place free
    models: tuple[ModelShape, ...] = ()  # the first that matches counts
    max_panes: int = 10_000  # per window
    max_series: int = 1_000  # per partition; events of any further one count for OTHER
    decoding: str = ""  # canonical JSON of framing, schema fingerprints and mapping
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        if not self.windows:
            raise UsageError("windows: at least one window is needed, for example 1m")
        if len(set(self.windows)) != len(self.windows):
            raise UsageError("windows: a window is named twice")
        if self.max_series < 1:
            raise UsageError(f"max_series: {self.max_series}, but there has to be room for one")
        for spec in self.windows:
            if not 0 < spec.slide <= spec.size:
                raise UsageError(f"windows: {spec.text} would leave times that no window covers: size >= slide > 0")
            panes = spec.size // self.pane_width
            if panes > self.max_panes:
                raise UsageError(
                    f"windows: {spec.text} would have {panes} panes of {self.pane_width / SECOND:g} s, more than "
                    f"limits.panes_per_window ({self.max_panes}): choose sizes with a greater common divisor"
                )
        if self.open_panes > self.max_panes + 2:
            raise UsageError(
                f"allowed_lateness: {self.allowed_lateness / SECOND:g} s would keep {self.open_panes - 2} panes of "
                f"{self.pane_width / SECOND:g} s open, more than limits.panes_per_window ({self.max_panes}): "
                "shorten it, or choose windows with a greater common divisor"
            )

    @cached_property
    def pane_width(self) -> int:
        """Greatest common divisor of all sizes, slides and differences of offsets."""
        first = self.windows[0].offset
        return gcd(*(n for spec in self.windows for n in (spec.size, spec.slide, spec.offset - first)))

    @cached_property
    def pane_origin(self) -> int:
        """Start of pane 0."""
        return self.windows[0].offset % self.pane_width

    @property
    def open_panes(self) -> int:
        """Most panes of a series that take events at once: they lie between its sealing mark and its clock."""
        return self.allowed_lateness // self.pane_width + 2

    @property
    def live_panes(self) -> int:
        """Most panes and blocks of a series that are held at once: open panes, and what windows that are open hold of
        sealed ones. These are, of each size, the two blocks at the ends of each such window, and one that waits for
        its other half; but no more than fit into what is sealed of a window.
        """
        held = -(-self.allowed_lateness // self.pane_width) + 1
        for spec in self.windows:
            sealed, open_at_once = spec.size // self.pane_width - 1, -(-spec.size // spec.slide)
            held += sum(min(2 * open_at_once + 1, sealed >> level) for level in range(sealed.bit_length()))
        return held

    def pane_number(self, time: int) -> int:
        """Of the pane that a time lies in."""
        return (time - self.pane_origin) // self.pane_width

    def pane_start(self, pane_number: int) -> int:
        return self.pane_origin + pane_number * self.pane_width

    def pane_after(self, time: int) -> int:
        """Start of the first pane that begins after `time`."""
        return self.pane_start(self.pane_number(time) + 1)

    @cached_property
    def hash(self) -> str:
        """Of all but the policy."""
        settings = {name: value for name, value in asdict(self).items() if name != "policy"}
        return _digest(_canonical(settings))

    def windows_of(self, series: Series) -> tuple[WindowSpec, ...]:
        """The windows of a series, in order."""
        scoped = {scope.window for scope in self.scopes}
        named = {scope.window for scope in self.scopes if matches(series, scope.model, scope.version, scope.lane)}
        return tuple(spec for spec in sorted(self.windows) if spec not in scoped or spec in named)

    def layout(self, series: Series) -> Layout:
        """Declared dimensions of a series without a baseline."""
        if series == OTHER:
            return Layout()
        return next((shape.layout for shape in self.models if fnmatchcase(series.model_id, shape.match)), Layout())


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()
