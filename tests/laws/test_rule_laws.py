"""Laws of every kind of rule in `RULES`, so that a newcomer is held to them from its first day.

`Band` is such a newcomer: it is registered here as one line in the table would, and all laws run over it too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
import yaml
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from streammon.core.errors import UsageError
from streammon.core.outputs import AlertState, Measurement, WindowSpec
from streammon.core.plan import Policy
from streammon.core.rules import RULES, Rule
from streammon.settings import Settings, dump, load, plan
from tests.laws.rule_samples import Band, Line, every_kind, judged, measurements, rules


@pytest.fixture(scope="module", autouse=True)
def _band_is_registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RULES, "band", Band)
        yield


def test_a_kind_is_registered_under_its_name() -> None:
    assert {name: kind.kind for name, kind in RULES.items()} == {name: name for name in RULES}


@every_kind
@given(data=st.data())
def test_a_rule_is_a_value(kind: type[Rule], data: DataObject) -> None:
    """Frozen, hashable, equal to its copy; nothing beside its fields can be set."""
    rule = data.draw(rules(kind))
    assert rule == replace(rule)
    assert hash(rule) == hash(replace(rule))
    for name in ("id", "cooldown"):
        with pytest.raises(FrozenInstanceError):
            setattr(rule, name, getattr(rule, name))
    assert not hasattr(rule, "__dict__")


@every_kind
@given(data=st.data())
def test_the_journal_keeps_a_rule(kind: type[Rule], data: DataObject) -> None:
    policy = Policy(tuple(data.draw(st.lists(rules(kind), max_size=3))))
    kept = Policy.parse(json.loads(json.dumps(policy.records, allow_nan=False)))
    assert kept == policy
    assert kept.hash == policy.hash


@every_kind
@given(data=st.data())
def test_the_settings_read_what_they_show(kind: type[Rule], data: DataObject) -> None:
    """Every field can be written and read back; the plan takes the rule as it was."""
    rule = data.draw(rules(kind))
    window = WindowSpec(*map(int, rule.window.split("/")))
    alone = {"allowed_lateness": "0s", "limits": {"series_alert": False}}
    written = Settings(windows=(window,), rules=(rule,), **alone)  # type: ignore[arg-type]  # as people write it
    shown = yaml.safe_load(dump(written))
    assert plan(load(None, shown)).policy == Policy((rule,))
    assert shown["rules"][0]["kind"] == kind.kind


@every_kind
@given(data=st.data())
def test_a_window_that_is_not_sufficient_decides_nothing(kind: type[Rule], data: DataObject) -> None:
    rule = data.draw(rules(kind))
    measurement = data.draw(measurements(rule))
    sufficient = measurement.value is not None and (measurement.n or 0) >= rule.min_samples
    assert (rule.violates(measurement) is None) == (not sufficient)


@every_kind
@given(data=st.data())
def test_violates_is_a_function_of_rule_and_measurement(kind: type[Rule], data: DataObject) -> None:
    """The same answer whatever was asked in between, and by an equal rule."""
    rule = data.draw(rules(kind))
    asked = data.draw(st.lists(measurements(rule), min_size=1, max_size=5))
    answers = [rule.violates(measurement) for measurement in asked]
    twin = replace(rule)
    assert [twin.violates(measurement) for measurement in reversed(asked)] == answers[::-1]
    assert [rule.violates(measurement) for measurement in asked] == answers


@every_kind
@given(data=st.data())
def test_an_alert_can_say_what_was_violated(kind: type[Rule], data: DataObject) -> None:
    """A limit that is a number, for values that violate and that do not; a text of one line; an order of evidence."""
    rule = data.draw(rules(kind))
    value = data.draw(measurements(rule)).value
    if value is not None:
        assert math.isfinite(rule.limit(value))
        assert not math.isnan(rule.excess(value))
        assert rule.describe(value).isprintable()


@every_kind
@pytest.mark.parametrize("verdict", [True, False])
def test_a_kind_can_be_violated_and_can_be_kept(kind: type[Rule], verdict: bool) -> None:
    """A kind that always says the same would pass every other law."""
    pairs = rules(kind).flatmap(lambda rule: st.tuples(st.just(rule), measurements(rule)))
    find(
        pairs,
        lambda pair: pair[0].violates(pair[1]) is verdict,
        settings=settings(max_examples=1_000, phases=[Phase.generate]),
    )


@given(rule=rules(RULES["threshold"]), value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_threshold_compares_exactly(rule: Any, value: float) -> None:
    """Down to the last bit, although it subtracts."""
    violates = rule.violates(Measurement(rule.measurement, value, n=rule.min_samples))
    assert violates == (value > rule.above if rule.above is not None else value < rule.below)


# --- a newcomer: one file, one line -----------------------------------------------------------------------------------

BAND = {"kind": "band", "id": "b", "measurement": "traffic.qps", "low": 1, "high": 9, "settle": "5m", "cooldown": "1h"}


def test_a_newcomer_goes_from_settings_through_the_journal_to_an_alert() -> None:
    policy = plan(load(None, {"windows": "1m", "limits": {"series_alert": False}, "rules": [BAND]})).policy
    window = "60000000/60000000/0"
    rule = Band("b", "traffic.qps", window, low=1.0, high=9.0, settle=300_000_000, cooldown=3_600_000_000)
    assert policy == Policy((rule,))
    seen = [Measurement("traffic.qps", value, n=5) for value in (5.0, 0.5, 9.0)]
    spec = WindowSpec(60_000_000, 60_000_000)
    line = Line(rule, spec, [number * spec.size for number in range(3)], [(each,) for each in seen])
    fired, resolved = judged(line, Policy.parse(json.loads(json.dumps(policy.records))))
    assert (fired.state, fired.measurement.threshold) == (AlertState.FIRING, 1.0)
    assert fired.summary == "P3 b: traffic.qps is 0.5 < 1 in model 1 prod (n = 5)"
    assert (resolved.state, resolved.measurement.threshold) == (AlertState.RESOLVED, 9.0)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"low": None}, "rules[0].low: is required, and missing"),
        ({"high": "x"}, "rules[0].high: should be a number"),
        ({"low": 10}, "rules[0]: low should be no more than high"),
        ({"settle": 5}, "rules[0].settle: a duration needs a unit: write 10s, not 10"),
        ({"side": "none"}, "rules[0].side: should be 'both' or 'one'"),
        ({"abov": 1}, "rules[0].abov: unknown key; known are kind, id, measurement, window, "),
        ({"setle": 1}, "rules[0].setle: unknown key; did you mean settle?"),
        ({"kind": "bnd"}, "rules[0].kind: unknown kind; did you mean band?"),
        ({"kind": "x"}, "rules[0].kind: unknown kind; known are threshold, band"),
    ],
)
def test_a_newcomer_is_refused_like_all_others(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(None, {"rules": [BAND | change]})
    assert str(caught.value).startswith(f"command line: {said}")
