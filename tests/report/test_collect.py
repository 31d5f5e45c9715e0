"""Columns and episodes, against plain loops over the events."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streammon.backtest.episodes import Place, episodes
from streammon.core.outputs import OTHER, Measurement
from streammon.report.collect import LineKey, Tally, collect
from streammon.report.implied import implied_rules
from streammon.report.thinning import kept, with_gaps
from tests.report.recordings import CANARY, FIVE, MINUTE, ONE, PROD, START, alert, drifted, metric, psi, usual

NAMES = {"feature.psi_excess", "latency.p95", "feature.mean"}


def test_columns_hold_what_a_loop_finds() -> None:
    metrics, _ = drifted(20)
    metrics += [metric(PROD, at, usual(at), FIVE, n=2_500) for at in range(4)]
    expected: dict[tuple[object, ...], dict[int, float]] = {}
    for event in metrics:
        for m in event.measurements:
            if m.name in NAMES and m.value is not None:
                key = (event.series, LineKey(m.name, event.spec, m.feature))
                expected.setdefault(key, {})[event.end] = m.value
    random.Random(3).shuffle(metrics)
    found = {
        (place.series, key): dict(zip(line.ends.tolist(), line.values.tolist(), strict=True))
        for place, observed in collect(metrics, NAMES).items()
        for key, line in observed.lines.items()
    }
    assert found == expected


def test_each_size_of_window_counts_every_event_once() -> None:
    metrics = [metric(PROD, at, [], n=10 + at) for at in range(6)] + [metric(PROD, 0, [], FIVE, n=60)]
    observed = collect([*metrics, metrics[0]], NAMES)[Place(PROD, "inference-events", 0)]  # one came twice
    assert observed.tallies == {ONE: Tally(6, sum(range(10, 16)), 6), FIVE: Tally(1, 60, 1)}
    assert observed.tally == observed.tallies[ONE]
    assert observed.states == {"ok": 7}


def test_what_comes_last_about_a_window_counts() -> None:
    first = metric(PROD, 0, [Measurement("latency.p95", 1.0, n=1)])
    second = replace(first, revision=1, measurements=(Measurement("latency.p95", 2.0, n=1),))
    (line,) = collect([first, second], NAMES)[Place(PROD, "inference-events", 0)].lines.values()
    assert line.values.tolist() == [2.0]


def test_null_is_a_gap_and_partitions_are_apart() -> None:
    events = [metric(PROD, 0, [Measurement("latency.p95", None, flag="empty", n=0)]), metric(PROD, 0, [], partition=1)]
    found = collect(events, NAMES)
    assert [place.partition for place in found] == [0, 1]
    (line,) = found[Place(PROD, "inference-events", 0)].lines.values()
    assert math.isnan(line.values[0])


@given(st.integers(2, 40), st.integers(50, 10**6), st.integers(100, 10**7), st.floats(0, 5))
def test_the_number_of_groups_follows_from_what_is_published(groups: int, n: int, m: int, value: float) -> None:
    event = metric(PROD, 0, psi(value, "income", n, m, groups))
    line = collect([event], {"feature.psi_excess"})[Place(PROD, "inference-events", 0)].lines[
        LineKey("feature.psi_excess", ONE, "income")
    ]
    assert line.freedom.tolist() == [groups - 1]


def test_a_p_value_that_is_null_leaves_the_groups_unknown() -> None:
    weak = [m._replace(p=None, flag="low_n") for m in psi(0.3, "income")]
    observed = collect([metric(PROD, 0, weak)], {"feature.psi"})[Place(PROD, "inference-events", 0)]
    assert all(np.isnan(line.freedom).all() for line in observed.lines.values())


# --- thinning ---------------------------------------------------------------------------------------------------------


@given(st.integers(1, 400), st.integers(1, 60), st.integers(1, 3), st.randoms(use_true_random=False))
def test_every_bucket_keeps_its_extremes_and_its_gaps(rows: int, buckets: int, width: int, rng: random.Random) -> None:
    times = np.cumsum([rng.randint(1, 5) for _ in range(rows)]) * MINUTE + START
    columns = [np.array([rng.choice([rng.random(), math.nan]) for _ in range(rows)]) for _ in range(width)]
    chosen = kept(times, columns, buckets)
    drawn_rows = set(chosen.tolist())
    assert chosen.tolist() == sorted(drawn_rows)
    assert {0, rows - 1} <= drawn_rows
    assert len(chosen) <= max(3 * width * buckets + 2, 2 * buckets)
    span = int(times[-1] - times[0]) + 1
    members: dict[int, list[int]] = {}
    for i, t in enumerate(times.tolist()):
        members.setdefault((t - int(times[0])) * buckets // span, []).append(i)
    for inside in members.values():
        still = [i for i in inside if i in drawn_rows]
        for column in columns:
            values = [column[i] for i in inside if not math.isnan(column[i])]
            drawn = [column[i] for i in still if not math.isnan(column[i])]
            assert [min(values), max(values)] == [min(drawn), max(drawn)] if values else drawn == []
            assert any(math.isnan(column[i]) for i in still) == any(math.isnan(column[i]) for i in inside)


def test_a_run_of_missing_windows_breaks_the_line_once() -> None:
    assert with_gaps(np.array([10, 20, 50, 60]), 10).tolist() == [10, 20, 30, 50, 60]


# --- rules ------------------------------------------------------------------------------------------------------------


def test_alerts_tell_the_rules_that_made_them() -> None:
    above = Measurement("latency.p95", 50.0, n=500, threshold=35.0)
    below = Measurement("feature.mean", 0.1, "[x]*", n=500, threshold=0.2)
    rules = implied_rules(episodes([alert(CANARY, 3, above, rule_id="slow"), alert(PROD, 3, below, rule_id="low")]))
    assert [
        (r.id, r.limit(0.0), r.excess(0.15) > 0, r.excess(40.0) > 0) for r in sorted(rules, key=lambda r: r.id)
    ] == [
        ("low", 0.2, True, False),
        ("slow", 35.0, False, True),
    ]


def test_a_rule_about_what_is_beyond_the_limit_on_series_is_implied_too() -> None:
    (rule,) = implied_rules(episodes([alert(OTHER, 0, Measurement("traffic.count", 9.0, n=9, threshold=0.0))]))
    assert rule.model == OTHER.model_id
