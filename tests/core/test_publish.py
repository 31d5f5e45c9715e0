"""From closed windows to metric events: order, and what becomes of NaN, infinities and small numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streammon.core.closing import ClosedGroup
from streammon.core.measures import CellCounts, Column
from streammon.core.outputs import Measurement, MetricEvent, WindowSpec, metric_event_id
from streammon.core.plan import Plan
from streammon.core.publish import metric_events
from streammon.core.state import ActiveBaseline
from tests.core.batches import events
from tests.core.hand import Hand, plan
from tests.laws.harness import SUITE, reference

BASELINE = reference()
VERSION = {"model_version": BASELINE.model_version}


@dataclass
class Says:
    """A drift suite that says the same about every window of the class distribution, and nothing of others."""

    value: float
    n: int = 9
    reference_n: int | None = 9
    low_n: bool = False
    effect: float = np.nan
    p: float = np.nan

    def run(self, distributions: Sequence[CellCounts]) -> list[list[Column]]:
        return [self._columns(each) if each.prefix == "prediction.class_" else [] for each in distributions]

    def _columns(self, distribution: CellCounts) -> list[Column]:
        def filled(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            return np.full((len(distribution.current), 1), value)

        return [
            Column(
                "prediction.class_odd",
                value=filled(self.value),
                n=filled(self.n).astype(np.int64),
                effect=filled(self.effect),
                p=filled(self.p),
                reference_n=None if self.reference_n is None else filled(self.reference_n).astype(np.int64),
                low_n=filled(self.low_n).astype(np.bool_),
                method="odd",
            )
        ]


def closed(*models: str, the_plan: Plan | None = None) -> tuple[Hand, list[ClosedGroup]]:
    """The groups of one event that closes a window of each of the models; the first model has the baseline."""
    hand = Hand(the_plan, {BASELINE.baseline_id: BASELINE})
    active = ActiveBaseline(BASELINE.baseline_id, models[0], BASELINE.model_version, BASELINE.content_hash, None)
    hand.engine.activate(active)
    for model in models:
        hand.event(5, model, **VERSION)
    fed = hand.engine.feed(events([{"ts": 10_000, "model_id": "last"}], hand.engine.position))
    return hand, fed.closed


def published(suite: Says) -> Measurement:
    hand, groups = closed("fraud0")
    [(_, event, _)] = metric_events(hand.engine.plan, groups, suite)
    return event.measurements[-1]


def test_numbers_that_are_none_are_null_with_a_reason() -> None:
    """NaN of nothing is `empty`; of something `nan`; an infinity says which. `low_n` is for a value that is there."""
    for suite, value, flag in (
        (Says(1.5), 1.5, None),
        (Says(1.5, low_n=True), 1.5, "low_n"),
        (Says(np.nan), None, "nan"),
        (Says(np.nan, low_n=True), None, "nan"),
        (Says(np.nan, n=0), None, "empty"),
        (Says(np.nan, reference_n=0), None, "empty"),
        (Says(np.nan, n=0, reference_n=None), None, "empty"),
        (Says(np.inf), None, "inf"),
        (Says(-np.inf, low_n=True), None, "-inf"),
    ):
        found = published(suite)
        assert (found.name, found.value, found.flag) == ("prediction.class_odd", value, flag), suite


def test_an_effect_or_p_that_is_none_is_null() -> None:
    assert published(Says(1.0, effect=np.inf, p=np.nan))[3:5] == (None, None)
    found = published(Says(1.0, effect=0.5, p=0.0))
    assert (found.effect, found.p, found.n, found.reference_n, found.method) == (0.5, 0.0, 9, 9, "odd")


def test_measurements_come_family_by_family_with_drift_behind() -> None:
    hand, groups = closed("fraud0")
    [(_, event, _)] = metric_events(hand.engine.plan, groups, SUITE)
    families = [m.name.partition(".")[0] for m in event.measurements if m.reference_n is None]
    assert list(dict.fromkeys(families)) == ["traffic", "latency", "prediction", "feature"]
    assert families == sorted(families, key=["traffic", "latency", "prediction", "feature"].index)
    drift = [k for k, m in enumerate(event.measurements) if m.reference_n is not None]
    assert drift == list(range(len(families), len(event.measurements)))


def test_features_of_one_statistic_lie_together_in_their_order() -> None:
    hand, groups = closed("fraud0")
    [(_, event, _)] = metric_events(hand.engine.plan, groups, SUITE)
    assert [m.feature for m in event.measurements if m.name == "feature.psi"] == list(BASELINE.feature_names)


def test_events_come_in_the_order_of_a_commit() -> None:
    """By closing position, window end, window, series; with and without baseline; headers beside their events."""
    short, long = WindowSpec(60, 60), WindowSpec(120, 120)
    hand, groups = closed("fraud0", "b", "a", the_plan=plan(short, long))
    assert len(groups) > 1, "with and without a baseline there are other measurements"
    published_events = metric_events(hand.engine.plan, groups, SUITE)
    assert [(event.spec, event.series.model_id) for _, event, _ in published_events] == [
        (short, "a"), (short, "b"), (short, "fraud0"), (long, "a"), (long, "b"), (long, "fraud0"),
    ]  # fmt: skip
    for header, event, _ in published_events:
        assert (header.series, header.spec, header.start) == (event.series, event.spec, event.start)


def test_a_metric_event_says_what_its_window_was() -> None:
    hand, groups = closed("fraud0")
    [(header, event, _)] = metric_events(hand.engine.plan, groups, SUITE)
    assert isinstance(event, MetricEvent)
    assert event.event_id == metric_event_id("inference-events", 0, header.series, header.spec, 0, 0)
    assert (event.n, event.n_late, event.closing_position, event.revision) == (1, 0, 2, 0)
    assert (event.plan_hash, event.policy_hash) == (hand.engine.plan.hash, hand.engine.policy.hash)
    assert (event.baseline_id, event.baseline_state) == (BASELINE.baseline_id, "ok")


def test_what_closes_together_does_not_change_a_measurement() -> None:
    """A window's event is the same, to the last bit, whether it closes alone or with a hundred others."""
    hand, alone = closed("fraud0")
    _, many = closed("fraud0", *[f"m{k}" for k in range(100)])
    [(_, expected, _)] = metric_events(hand.engine.plan, alone, SUITE)
    [found] = [event for _, event, _ in metric_events(hand.engine.plan, many, SUITE) if event.series == expected.series]
    assert found.measurements == expected.measurements


def test_nothing_closed_is_nothing_to_publish() -> None:
    assert metric_events(plan(), [], SUITE) == []
