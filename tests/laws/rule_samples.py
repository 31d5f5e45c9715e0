"""Rules of any kind, made from the types of their fields; measurements, and lines of windows, for them to judge."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import accumulate
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from streammon.core.judge import Judge
from streammon.core.outputs import AlertEvent, BaselineState, Measurement, MetricEvent, Series, WindowSpec
from streammon.core.plan import Policy
from streammon.core.rules import RULES, Rule, base
from streammon.core.state import RuleState
from streammon.settings.durations import LONGEST, microseconds
from streammon.settings.measurements import MEASUREMENTS, has_feature

SERIES = Series("model", "1", "prod")
FEATURES = ("a", "b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Band(Rule):
    """A newcomer, violated outside of [low, high]. It is in no table but that of test_rule_laws.py."""

    kind = "band"

    low: float
    high: float
    settle: base.Microseconds = 0  # has no use but to be read by settings
    side: Literal["both", "one"] | None = None  # as useful

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low should be no more than high")

    def excess(self, value: float) -> float:
        return max(self.low - value, value - self.high)

    def limit(self, value: float) -> float:
        return min(self.low, self.high, key=lambda edge: abs(edge - value))


every_kind = pytest.mark.parametrize("kind", [*RULES.values(), Band], ids=lambda kind: kind.kind)

TEXT = st.text(  # without the [ of a pattern: one that is not closed is refused
    st.characters(exclude_categories=["C", "Z"], exclude_characters="[") | st.just(" "), min_size=1, max_size=9
)
VALUES: Mapping[Any, SearchStrategy[Any]] = {
    base.Name: st.sampled_from(tuple(MEASUREMENTS)),
    base.WindowText: st.integers(1, microseconds(LONGEST)).map(lambda size: WindowSpec(size, size).text),
    base.Microseconds: st.integers(0, microseconds(LONGEST)),
    base.Count: st.integers(1, 2**31 - 1),
    base.Natural: st.integers(0, 2**31 - 1),
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    NoneType: st.none(),
}


def values(hint: Any) -> SearchStrategy[Any]:
    """Values of a field of this type."""
    if hint in VALUES:
        return VALUES[hint]
    if get_origin(hint) is Literal:
        return st.sampled_from(get_args(hint))
    return st.one_of(*map(values, get_args(hint)))


def rules(kind: type[Rule]) -> SearchStrategy[Rule]:
    """Of all combinations of fields those that the kind accepts."""
    hints = get_type_hints(kind, include_extras=True)

    def made(given: dict[str, Any]) -> Rule | None:
        try:
            return kind(**given | ({} if has_feature(given["measurement"]) else {"feature": "*"}))
        except ValueError:
            return None

    keys = st.fixed_dictionaries({field.name: values(hints[field.name]) for field in fields(kind)})
    return keys.map(made).filter(lambda rule: rule is not None)  # type: ignore[return-value]


def edges(rule: Rule) -> list[float]:
    """The rule's own numbers and those beside them, where it is most likely to be wrong; and some far away."""
    own = [float(number) for number in asdict(rule).values() if isinstance(number, int | float)]
    beside = [math.nextafter(number, to) for number in own for to in (-math.inf, math.inf)]
    return [*own, *filter(math.isfinite, beside), 0.0, 1.0, -1e300, 1e300]


@st.composite
def measurements(draw: DrawFn, rule: Rule) -> Measurement:
    """Most of them sufficient."""
    value = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(edges(rule))
    n = [*[rule.min_samples] * 5, 2**40, max(0, rule.min_samples - 1), 0, None]
    return Measurement(rule.measurement, draw(value | value | st.none()), n=draw(st.sampled_from(n)))


class Line(NamedTuple):
    """What a rule sees: windows in order, with gaps, and a measurement of each feature in each."""

    rule: Rule
    spec: WindowSpec
    starts: list[int]
    seen: list[tuple[Measurement, ...]]


@st.composite
def lines(draw: DrawFn, kind: type[Rule]) -> Line:
    """Verdicts of all three sorts, as far as the rule gives them, in about equal numbers."""
    slide = draw(st.integers(1, 5))
    spec = WindowSpec(slide * draw(st.integers(1, 3)), slide)
    rule = replace(
        draw(rules(kind)),
        measurement="feature.psi",
        feature="*",
        model="*",
        version="*",
        lane="*",
        window=spec.text,
        min_samples=draw(st.integers(0, 2)),
        consecutive=draw(st.integers(1, 3)),
        cooldown=draw(st.integers(0, 5)) * slide + draw(st.integers(0, 1)),
    )
    sure = [Measurement(rule.measurement, value, n=rule.min_samples) for value in edges(rule)]
    drawn = [*draw(st.lists(measurements(rule), max_size=3)), Measurement(rule.measurement, None, n=0), *sure]
    by_verdict = {rule.violates(measurement): measurement for measurement in reversed(drawn)}
    verdicts = [by_verdict.get(verdict, drawn[0]) for verdict in (True, True, True, False, False, None)]
    steps = draw(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 7]), min_size=5, max_size=25))
    starts = [slide * number for number in accumulate(steps)]
    seen = [tuple(draw(st.sampled_from(verdicts))._replace(feature=name) for name in FEATURES) for _ in starts]
    return Line(rule, spec, starts, seen)


def metric_event(line: Line, window: int) -> MetricEvent:
    return MetricEvent(
        event_id=str(window),
        topic="in",
        partition=0,
        series=SERIES,
        spec=line.spec,
        start=line.starts[window],
        revision=0,
        n=1,
        n_late=0,
        closing_position=window,
        plan_hash="",
        policy_hash="",
        baseline_id=None,
        baseline_state=BaselineState.NO_BASELINE,
        data_hash=None,
        git_commit=None,
        mixed=False,
        measurements=line.seen[window],
    )


def judged(line: Line, policy: Policy, crashes: Container[int] = ()) -> list[AlertEvent]:
    """What the judge emits, when it is made anew from its changes before some windows."""
    judge, kept, alerts = Judge(), dict[tuple[Series, str], str](), list[AlertEvent]()
    for window in range(len(line.starts)):
        if window in crashes:
            judge = Judge(RuleState(*key, json.loads(memories)) for key, memories in kept.items())
        alerts += judge.judge(metric_event(line, window), policy)
        kept |= {(state.series, state.rule_id): json.dumps(state.memories) for state in judge.changes()}
    return alerts
