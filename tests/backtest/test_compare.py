"""Two runs of which a test knows what differs."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from streammon.adapters.codec import to_bytes
from streammon.adapters.covered import Covered
from streammon.adapters.envelopes import CREATE_TIME, Envelope, EnvelopeWriter
from streammon.adapters.file_sink import ALERTS, METRICS
from streammon.adapters.files import OutputFile
from streammon.backtest import published
from streammon.backtest.compare import Matched, compare
from streammon.backtest.differences import differences
from streammon.backtest.published import Published
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, BaselineState, Distribution, Measurement, MetricEvent
from tests.report.recordings import CANARY, MOVED, PROD, alert, drifted, metric, write

METRICS_, ALERTS_ = drifted(30)


def run(metrics: Sequence[MetricEvent], alerts: Sequence[AlertEvent] | None = None, name: str = "x") -> Published:
    return Published(name, lambda: iter(metrics), None if alerts is None else lambda: iter(alerts))


def counts(one: Matched) -> dict[str, int]:
    """All that is not 0."""
    names = ("equal", "different", "only_here", "only_there", "twice_here", "twice_there")
    found = {name: getattr(one, name) for name in (*names, "left_out_here", "left_out_there", "close")}
    return {name: count for name, count in found.items() if count}


def changed(event: MetricEvent, at: int = 0, **values: object) -> MetricEvent:
    """With another measurement number `at`."""
    ms = list(event.measurements)
    ms[at] = ms[at]._replace(**values)  # type: ignore[arg-type]
    return replace(event, measurements=tuple(ms))


@pytest.mark.parametrize("shuffled", [False, True])
def test_every_event_is_equal_different_or_on_one_side(shuffled: bool) -> None:
    """Matched by identity, in whatever order each side published; against sets."""
    for seed in range(20):
        rng = random.Random(seed)
        here = [event for event in METRICS_ if rng.random() < 0.8]
        there = [event for event in METRICS_ if rng.random() < 0.8]
        wrong = {event.event_id for event in there if rng.random() < 0.2}
        there = [changed(e, value=1e9) if e.event_id in wrong else e for e in there]
        if shuffled:
            rng.shuffle(there)
        ours, theirs = {e.event_id for e in here}, {e.event_id for e in there}
        found = compare(run(here), run(there)).metrics
        both = ours & theirs
        expected = (len(both - wrong), len(both & wrong), len(ours - theirs), len(theirs - ours))
        assert (found.equal, found.different, found.only_here, found.only_there) == expected
        assert found.agrees == (ours == theirs and not wrong & both)
        # The first ten of each, in order of position.
        order = sorted(both & wrong, key=lambda id: next(position(e) for e in METRICS_ if e.event_id == id))
        assert [pair.event.event_id for pair in found.pairs if isinstance(pair.event, MetricEvent)] == order[:10]


def position(event: MetricEvent) -> tuple[int, str]:
    return event.closing_position, event.series.lane


def test_many_differences_keep_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are on the way, and in whatever order they come."""
    here = [metric(PROD, at, [Measurement("latency.p95", 1.0)]) for at in range(1000)]
    there = [changed(event, value=2.0) for event in here]
    random.Random(3).shuffle(there)
    found = compare(run(here), run(there), show=5).metrics
    assert [pair.event.start for pair in found.pairs] == [event.start for event in here[:5]]
    assert found.different == 1000


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda e: replace(e, n=e.n + 1), (None, "n", 500, 501, None)),
        (lambda e: replace(e, n_late=7), (None, "n_late", 1, 7, None)),
        (lambda e: replace(e, closing_position=99), (None, "closing_position", 1, 99, None)),
        (lambda e: replace(e, baseline_state=BaselineState.NO_PHASE), (None, "baseline_state", "ok", "no_phase", None)),
        (lambda e: replace(e, data_hash=None), (None, "data_hash", "data", None, None)),
        (lambda e: replace(e, mixed=True), (None, "mixed", False, True, None)),
        (lambda e: changed(e, n=501), ("traffic.qps", "n", 500, 501, None)),
        (lambda e: changed(e, flag="nan"), ("traffic.qps", "flag", None, "nan", None)),
        (lambda e: changed(e, value=None), ("traffic.qps", "value", 8.0, None, None)),
        (lambda e: changed(e, value=8.0 * (1 + 2**-52)), ("traffic.qps", "value", 8.0, 8.0 * (1 + 2**-52), 2.2e-16)),
        (lambda e: changed(e, p=0.25), ("traffic.qps", "p", None, 0.25, None)),
        (lambda e: replace(e, measurements=e.measurements[1:]), ("traffic.qps", "measurement", True, None, None)),
    ],
)
def test_a_difference_says_which_field(change: Callable[[MetricEvent], MetricEvent], field: tuple[object, ...]) -> None:
    """Of the event or of a measurement, both values, and how far two floats are apart."""
    event = METRICS_[0]
    assert event.measurements[0][:2] == ("traffic.qps", 8.0)
    (found,) = differences(event, change(event), 0.0)
    assert found[:4] == field[:4]
    assert found.distance == (None if field[4] is None else pytest.approx(field[4], rel=0.01))


def test_measurements_in_another_order_are_a_difference() -> None:
    event = METRICS_[0]
    (found,) = differences(event, replace(event, measurements=event.measurements[::-1]), 0.0)
    assert found.field == "order of measurements"


def test_alert_events_are_compared_down_to_the_counts_behind_them() -> None:
    """Numbered events of an alert; evidence; distributions. The sentence for people is made of the rest."""
    one = alert(CANARY, 3, Measurement("feature.psi_excess", 0.8, "income"), distribution=MOVED)
    assert differences(one, replace(one, summary="other words"), 0.0) == []
    (found,) = differences(one, replace(one, measurement=one.measurement._replace(value=0.9)), 0.0)
    assert found[:4] == ("feature.psi_excess (income)", "value", 0.8, 0.9)
    (found,) = differences(one, replace(one, evidence=(Measurement("x.y", 1.0),)), 0.0)
    assert found[:4] == ("x.y", "measurement", None, True)
    more = MOVED._replace(current=(451, *MOVED.current[1:]))
    (found,) = differences(one, replace(one, distribution=more), 0.0)
    assert found[:4] == ("distribution of feature", "current[0]", 450, 451)
    (found,) = differences(one, replace(one, distribution=None), 0.0)
    assert found.field == "distribution"
    steps = [one, replace(one, number=1)]
    assert counts(compare(run([], [one]), run([], steps)).alerts or Matched()) == {"equal": 1, "only_there": 1}


@pytest.mark.parametrize("share", [1e-15, 1e-12, 1e-9, 1e-6])
@pytest.mark.parametrize("value", [1e-12, 0.3, 5e7])
def test_a_tolerance_is_a_share_of_the_value(share: float, value: float) -> None:
    """Without one the last bit counts; integers have none."""
    here = changed(METRICS_[0], value=value)
    for factor, accepted in ((0.9, True), (1.1, False)):
        there = changed(METRICS_[0], value=value * (1 + factor * share))
        if there == here:
            continue
        tolerated = share >= 1e-12 and value > 1e-9  # else 1e-15 beside 0, or the last bits, decide
        if tolerated:
            assert (differences(here, there, share) == []) == accepted
        assert len(differences(here, there, 0.0)) == 1
    assert differences(here, changed(here, n=501), 0.5) != []


def test_floats_within_the_tolerance_are_counted_apart() -> None:
    """`close`: as good as equal, but not bit for bit."""
    there = [changed(event, value=math.nextafter(event.measurements[0].value or 0.0, 9.0)) for event in METRICS_[:4]]
    found = compare(run(METRICS_[:4]), run(there)).metrics
    assert counts(found) == {"different": 4}
    assert 0 < found.farthest < 1e-15
    assert counts(compare(run(METRICS_[:4]), run(there), tolerance=1e-9).metrics) == {"equal": 4, "close": 4}


def test_another_class_of_device_has_the_tolerance_of_the_law() -> None:
    """1e-9, where both methods are the same but for the device; another method is a difference."""
    here = changed(METRICS_[0], value=0.3, method="psi.10groups.cpu")
    for method, value, expected in (
        ("psi.10groups.cuda", 0.3 * (1 + 5e-10), []),
        ("psi.10groups.cuda", 0.3 * (1 + 5e-9), ["value"]),
        ("psi.10groups.cpu", 0.3 * (1 + 5e-10), ["value"]),
        ("psi.classes.cuda", 0.3, ["method"]),
    ):
        there = changed(METRICS_[0], value=value, method=method)
        assert [field.field for field in differences(here, there, 0.0)] == expected, (method, value)


def test_what_a_side_published_twice_is_counted() -> None:
    """Exactly-once is broken there, though every value is right."""
    found = compare(run(METRICS_), run([*METRICS_, METRICS_[3]])).metrics
    assert counts(found) == {"equal": 60, "twice_there": 1}
    assert not found.agrees


def test_other_policies_are_said_once_and_not_field_by_field() -> None:
    there = [replace(event, policy_hash="other") for event in METRICS_]
    found = compare(run(METRICS_), run(there)).metrics
    assert counts(found) == {"equal": 60}
    assert found.policies == {("policy", "other"): 60}
    assert not found.agrees


def test_what_the_replay_does_not_cover_is_left_out() -> None:
    """By partition and closing position, behind the first offset and up to the end; and by time after a warm-up."""
    here = replace(run(METRICS_, ALERTS_), covered=Covered({0: (5, 20)}))
    events = [event for event in METRICS_ if 5 < event.closing_position <= 20]
    inside = replace(here, metrics=lambda: iter(events))
    found = compare(inside, run(METRICS_, ALERTS_))
    assert counts(found.metrics) == {"equal": len(events), "left_out_there": 60 - len(events)}
    assert found.agrees
    since = METRICS_[20].start
    warm = replace(inside, covered=Covered({0: (5, 20)}, since={0: since}))
    late = [event for event in events if event.start >= since]
    assert 0 < len(late) < len(events)
    found = compare(warm, run(METRICS_, ALERTS_))
    assert (found.metrics.equal, found.alerts, found.agrees) == (len(late), None, True)
    assert found.without_alerts is not None
    elsewhere = replace(here, covered=Covered({1: (0, 99)}))
    assert counts(compare(elsewhere, run(METRICS_)).metrics) == {"left_out_here": 60, "left_out_there": 60}


def test_what_live_closed_in_a_silence_since_is_no_difference() -> None:
    """At the position of the replay's end, and of the other side alone; what both have there is compared."""
    end = METRICS_[-1].closing_position
    here = replace(run(METRICS_[:-1]), covered=Covered({0: (0, end)}))
    found = compare(here, run(METRICS_)).metrics
    assert (counts(found), found.at_end, found.agrees) == ({"equal": 59}, 1, True)
    found = compare(here, run([*METRICS_[:-2], changed(METRICS_[-2], value=5.0)])).metrics
    assert (counts(found), found.at_end) == ({"equal": 58, "different": 1}, 0)
    assert not compare(here, run(METRICS_[1:])).agrees  # of another position
    assert not compare(here, run(METRICS_[:-2])).agrees  # only here


def test_a_run_that_is_not_comparable_is_refused_with_its_reason() -> None:
    here = replace(run(METRICS_, name="replayed"), covered=Covered({0: (0, 99)}, why_not="partition 3 begins later"))
    with pytest.raises(UsageError, match="replayed cannot be compared: partition 3 begins later"):
        compare(here, run(METRICS_))


@pytest.mark.parametrize("matched", [True, False])
def test_two_plans_are_refused(matched: bool) -> None:
    """Where the same windows have other plans, and where nothing matches at all."""
    events = METRICS_ if matched else [metric(PROD, at, [], topic="other-topic") for at in range(3)]
    with pytest.raises(UsageError, match=r"the plans differ.*hashes plan here and another there"):
        compare(run(METRICS_), run([replace(event, plan_hash="another") for event in events]))


# --- where runs lie ---------------------------------------------------------------------------------------------------


def test_a_folder_of_a_replay_and_one_of_recorded_topics_hold_the_same(tmp_path: Path) -> None:
    """Outputs as `replay` writes them, and as `record` copies them from the topics; one without alerts."""
    replayed = published.directory(write(tmp_path / "replayed", METRICS_, ALERTS_))
    folder = tmp_path / "recorded"
    folder.mkdir()
    for name, events in ((METRICS, METRICS_), (ALERTS, ALERTS_)):
        with EnvelopeWriter(folder / name, bytes(16)) as writer:
            values = [to_bytes(event) for event in events]
            writer.write(Envelope("t", 0, at, 0, CREATE_TIME, b"k", value) for at, value in enumerate([*values, None]))
    found = compare(replayed, published.directory(folder))
    assert (counts(found.metrics), counts(found.alerts or Matched())) == ({"equal": 60}, {"equal": 3})
    (folder / ALERTS).unlink()
    found = compare(replayed, published.directory(folder))
    assert (found.alerts, found.without_alerts) == (None, f"{folder} has none")


def test_a_folder_says_what_it_covers(tmp_path: Path) -> None:
    covered = Covered({0: (0, 7), 3: (2, 9)}, {3: -5}, "why")
    with OutputFile(tmp_path / METRICS, MetricEvent, {"streammon.plan": "x", **covered.metadata()}):
        pass
    assert published.directory(tmp_path).covered == covered
    assert published.directory(write(tmp_path, [], [])).covered is None


def test_a_distribution_may_have_other_groups() -> None:
    one = alert(CANARY, 3, Measurement("feature.psi_excess", 0.8, "income"), distribution=MOVED)
    other = Distribution("feature", (0.1,), (), (1, 2), (3, 4))
    assert {field.field for field in differences(one, replace(one, distribution=other), 0.0)} == {
        "bounds",
        "current",
        "reference",
    }
