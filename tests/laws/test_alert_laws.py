"""Laws of the life of an alert, under every kind of rule in `RULES`: FIRING, ONGOING, RESOLVED, gaps and crashes."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby, pairwise
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from streammon.core.outputs import AlertEvent, AlertState, Measurement, WindowSpec
from streammon.core.plan import Policy
from streammon.core.rules import Rule, Threshold
from tests.laws.rule_samples import FEATURES, Line, every_kind, judged, lines

FIRING, ONGOING, RESOLVED = AlertState


class Event(NamedTuple):
    window: int  # index
    state: AlertState
    number: int
    consecutive: int
    opened_at: int


def expected(line: Line, feature: int) -> list[Event]:
    """The life of one instance, in its own words: everything is looked up in the past, nothing is carried along."""
    ends = [start + line.spec.size for start in line.starts]
    verdicts = [line.rule.violates(row[feature]) for row in line.seen]
    events: list[Event] = []

    def run(window: int) -> int:
        """Violating windows in a row that end here, none of them missing."""
        if not verdicts[window]:
            return 0
        adjacent = window > 0 and line.starts[window] - line.starts[window - 1] == line.spec.slide
        return 1 + (run(window - 1) if adjacent else 0)

    def cooled(window: int, *states: AlertState) -> bool:
        last = [ends[event.window] for event in events if event.state in states]
        return not last or ends[window] - last[-1] >= line.rule.cooldown

    for window, verdict in enumerate(verdicts):
        is_open = bool(events) and events[-1].state is not RESOLVED
        if not is_open and run(window) >= line.rule.consecutive and cooled(window, FIRING):
            events.append(Event(window, FIRING, 0, run(window), ends[window]))
        elif is_open and verdict is False:
            events.append(
                events[-1]._replace(window=window, state=RESOLVED, number=events[-1].number + 1, consecutive=0)
            )
        elif is_open and verdict and cooled(window, FIRING, ONGOING):
            number = events[-1].number + 1
            events.append(Event(window, ONGOING, number, run(window), events[-1].opened_at))
    return events


def of_feature(line: Line, alerts: list[AlertEvent], feature: str) -> list[Event]:
    return [
        Event(line.starts.index(alert.start), alert.state, alert.number, alert.consecutive, alert.opened_at)
        for alert in alerts
        if alert.measurement.feature == feature
    ]


@every_kind
@given(data=st.data())
def test_the_judge_emits_what_the_past_says(kind: type[Rule], data: DataObject) -> None:
    """Also after crashes, as all memory is in the changes; and each feature for itself."""
    line = data.draw(lines(kind))
    crashes = data.draw(st.sets(st.integers(0, 24)))
    alerts = judged(line, Policy((line.rule,)), crashes)
    assert {alert.rule_id for alert in alerts} <= {line.rule.id}
    for index, feature in enumerate(FEATURES):
        assert of_feature(line, alerts, feature) == expected(line, index)


@every_kind
@given(data=st.data())
def test_an_alert_has_a_whole_life(kind: type[Rule], data: DataObject) -> None:
    """FIRING, any number of ONGOING, RESOLVED, numbered 0, 1, ...; then the next one, of another identity."""
    line = data.draw(lines(kind))
    alerts = judged(line, Policy((line.rule,)))
    for feature in FEATURES:
        mine = [alert for alert in alerts if alert.measurement.feature == feature]
        lives = [list(life) for _, life in groupby(mine, key=lambda alert: alert.alert_id)]
        assert len({life[0].alert_id for life in lives}) == len(lives)
        for position, life in enumerate(lives):
            assert [alert.number for alert in life] == list(range(len(life)))
            ended = life[-1].state is RESOLVED
            assert ended or position == len(lives) - 1
            middle = life[1:-1] if ended else life[1:]
            assert [alert.state for alert in life] == [FIRING] + [ONGOING] * len(middle) + [RESOLVED] * ended
            assert {alert.opened_at for alert in life} == {life[0].end}
            notified = [alert.end for alert in life if alert.state is not RESOLVED]
            assert all(later - earlier >= line.rule.cooldown for earlier, later in pairwise(notified))
        fired = [life[0].end for life in lives]
        assert all(later - earlier >= line.rule.cooldown for earlier, later in pairwise(fired))


@every_kind
@given(data=st.data())
def test_a_rule_does_not_see_its_neighbours(kind: type[Rule], data: DataObject) -> None:
    """The same alerts beside another rule of the same settings."""
    line = data.draw(lines(kind))
    twin = replace(line.rule, id=line.rule.id + "'")
    together = judged(line, Policy((twin, line.rule)))
    assert [alert for alert in together if alert.rule_id == line.rule.id] == judged(line, Policy((line.rule,)))
    assert len(together) % 2 == 0


@every_kind
@given(data=st.data())
def test_an_alert_tells_what_it_saw(kind: type[Rule], data: DataObject) -> None:
    """The measurement with the limit, and those of other features as evidence."""
    line = data.draw(lines(kind))
    for alert in judged(line, Policy((line.rule,))):
        row = line.seen[line.starts.index(alert.start)]
        own = next(measurement for measurement in row if measurement.feature == alert.measurement.feature)
        assert own.value is not None
        assert alert.measurement == own._replace(threshold=line.rule.limit(own.value))
        assert alert.evidence == tuple(m for m in row if m is not own and m.value is not None)
        assert (alert.severity, alert.action) == (line.rule.severity, line.rule.action)


def test_evidence_is_the_five_strongest_others_strongest_first() -> None:
    """Strongest in the rule's own direction; those without a value are no evidence."""
    spec = WindowSpec(60, 60)
    shares = {"a": 0.3, "b": 0.9, "c": None, "d": 0.1, "e": 0.5, "f": 0.7, "g": 0.2, "h": 0.95}
    row = tuple(Measurement("feature.psi", value, feature, n=1) for feature, value in shares.items())
    for above, below, strongest in ((0.92, None, "bfeag"), (None, 0.15, "gaefb")):
        rule = Threshold("r", "feature.psi", spec.text, above=above, below=below)
        [alert] = judged(Line(rule, spec, [0], [row]), Policy((rule,)))
        assert "".join(str(measurement.feature) for measurement in alert.evidence) == strongest
