"""The oracle itself, against timelines, alert lives and numbers worked out by hand.

Timelines are in minutes from 0 unless they say otherwise. `[a b)` is a window with its events; `^n` is the position at
which it closed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from safetensors.numpy import save_file
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency, entropy, ks_2samp

from tests.oracle import streams
from tests.oracle.clock import ClosedWindow, PartitionTimeline, Series, Spec, Verdict
from tests.oracle.compare import compare, order_differences
from tests.oracle.files import (
    EVENT_SCHEMA,
    FINGERPRINT,
    BadRecord,
    Baseline,
    Shape,
    decode,
    encode,
    from_envelopes,
    load_baseline,
    read_envelopes,
)
from tests.oracle.judge import Judge, alerts_of, identity, metric_id
from tests.oracle.measure import Row, distributions, drift, measure, score_bin
from tests.oracle.oracle import Result, only, run
from tests.oracle.streams import CONFIG, MINUTE, SECOND

A = Series("m", "1", "a")
B = Series("m", "1", "b")
HOUR = 60 * MINUTE


# --- clock ------------------------------------------------------------------------------------------------------------


class Closed(NamedTuple):
    lane: str
    start: float  # minutes
    size: float
    position: int
    n_late: int
    events: tuple[int, ...]  # offsets


def play(
    events: list[tuple[Series, float]],
    specs: tuple[Spec, ...] = (Spec(MINUTE, MINUTE),),
    lateness: float = 0,
    grace: float = 1e6,
    timestamps: dict[int, float] | None = None,
) -> tuple[list[Closed], list[Verdict]]:
    """Events (series, minute) at offsets 0, 1, ...; record timestamps far ahead where none is given."""
    timeline: PartitionTimeline[int] = PartitionTimeline(specs, int(lateness * MINUTE), int(grace * MINUTE), 5 * MINUTE)
    closed: list[Closed] = []
    verdicts = []
    for offset, (series, minute) in enumerate(events):
        timestamp = (timestamps or {}).get(offset, 1e6)
        verdict, windows = timeline.feed(offset, int(timestamp * MINUTE), series, round(minute * MINUTE), offset)
        verdicts.append(verdict)
        closed += map(_closed, windows)
    return closed, verdicts


def _closed(window: ClosedWindow[int]) -> Closed:
    start, size = window.start / MINUTE, window.spec.size / MINUTE
    return Closed(window.series.lane, start, size, window.closing_position, window.n_late, window.events)


def test_a_window_is_closed_by_the_event_that_reaches_its_end() -> None:
    """
    offset   0    1        2       3
    minute   0    1-1µs    1       2
            [0    1       )^3
                          [2      )^4
    """
    almost = 1 - 1 / MINUTE
    closed, _ = play([(A, 0), (A, almost), (A, 1), (A, 2)])
    assert closed == [Closed("a", 0, 1, 3, 0, (0, 1)), Closed("a", 1, 1, 4, 0, (2,))]


def test_an_event_is_late_exactly_when_its_pane_is_sealed() -> None:
    """Lateness 0.5: the pane [0, 1) is sealed by a clock of 1.5, not a microsecond before.

    offset   0    1          2      3      4      5      6
    minute   0    1.5-1µs    0.9    1.5    0.9    0.9    2.5
            [0               2     )^4     late   late
                 [1                 3                   )^7, n_late 2
    """
    almost = 1.5 - 1 / MINUTE
    closed, verdicts = play([(A, 0), (A, almost), (A, 0.9), (A, 1.5), (A, 0.9), (A, 0.9), (A, 2.5)], lateness=0.5)
    assert closed == [Closed("a", 0, 1, 4, 0, (0, 2)), Closed("a", 1, 1, 7, 2, (1, 3))]
    assert [offset for offset, verdict in enumerate(verdicts) if verdict is Verdict.LATE] == [4, 5]


def test_a_pane_that_is_sealed_stays_sealed_for_longer_windows_too() -> None:
    """Windows of 1 and 3 minutes share panes: 0.5 is late for both, though [0, 3) is still open.

    offset   0    1      2 (late)   3      4
    minute   0    1.2    0.5        2.9    3
            [0   )^2
                 [1                )^4, n_late 1
                                   [3     )^5
            [0    1                 3     )^5, n_late 1
    """
    specs = (Spec(MINUTE, MINUTE), Spec(3 * MINUTE, 3 * MINUTE))
    closed, verdicts = play([(A, 0), (A, 1.2), (A, 0.5), (A, 2.9), (A, 3)], specs)
    assert verdicts[2] is Verdict.LATE
    assert closed == [
        Closed("a", 0, 1, 2, 0, (0,)),
        Closed("a", 1, 1, 4, 1, (1,)),
        Closed("a", 2, 1, 5, 0, (3,)),
        Closed("a", 0, 3, 5, 1, (0, 1, 3)),
    ]


def test_sliding_windows_overlap() -> None:
    """Windows of 2 minutes every minute; panes are 1 minute.

    offset   0      1      2
    minute   0.5    1.5    3
        [-1  0     )^2
             [0     1     )^3
                   [1     )^3
    """
    closed, _ = play([(A, 0.5), (A, 1.5), (A, 3)], (Spec(2 * MINUTE, MINUTE),))
    assert closed == [
        Closed("a", -1, 2, 2, 0, (0,)),
        Closed("a", 0, 2, 3, 0, (0, 1)),
        Closed("a", 1, 2, 3, 0, (1,)),
    ]


def test_one_event_closes_several_windows_in_order_of_end_spec_and_series() -> None:
    """Windows shifted by half a minute; A and B silent until A's last event; idle_grace 0 lets B follow.

    offset   0      1      2
    A        0.2           9
    B               0.2
    """
    specs = (Spec(2 * MINUTE, 2 * MINUTE), Spec(MINUTE, MINUTE), Spec(MINUTE, MINUTE, MINUTE // 2))
    closed, _ = play([(B, 0.2), (A, 0.2), (A, 9)], specs, grace=0)
    assert [(window.lane, window.start, window.size) for window in closed] == [
        ("a", -0.5, 1),
        ("b", -0.5, 1),
        ("a", 0, 1),
        ("b", 0, 1),
        ("a", 0, 2),
        ("b", 0, 2),
    ]
    assert {window.position for window in closed} == {3}


def test_a_silent_series_follows_the_partition_after_idle_grace() -> None:
    """idle_grace 5. B's P0 is 1 (A had reached it): at P = 6.6 its clock is 0.5 + 0.6; the clock of B is what counts.

    offset   0    1      2       3      4
    A        1           6.5     6.6    7
    B             0.5
            [1          )^3
                 [0.5            )^4        B: 0.5 + (6.5 - 1 - 5) = 1.0 at offset 2 already
    """
    closed, _ = play([(A, 1), (B, 0.5), (A, 6.5 - 1 / MINUTE), (A, 6.5), (A, 7)], grace=5)
    assert closed == [
        Closed("a", 1, 1, 3, 0, (0,)),
        Closed("b", 0, 1, 4, 0, (1,)),
        Closed("a", 6, 1, 5, 0, (2, 3)),
    ]


def test_silence_counts_from_the_last_event_of_the_series_itself() -> None:
    """idle_grace 2. Each event of B takes P anew, so that a slow but live B keeps its own time.

    offset   0    1      2    3      4    5      6
    A        0           2           4           7
    B             0.1         0.2         0.3          B: 0.3 + (7 - 4 - 2) = 1.3 >= 1
            [0          )^3
                               [2   )^5
                                         [4      )^7
                 [0.1          0.2        0.3    )^7
    """
    closed, _ = play([(A, 0), (B, 0.1), (A, 2), (B, 0.2), (A, 4), (B, 0.3), (A, 7)], grace=2)
    assert closed == [
        Closed("a", 0, 1, 3, 0, (0,)),
        Closed("a", 2, 1, 5, 0, (2,)),
        Closed("b", 0, 1, 7, 0, (1, 3, 5)),
        Closed("a", 4, 1, 7, 0, (4,)),
    ]


def test_a_series_that_was_moved_by_the_partition_is_late_when_it_comes_back() -> None:
    """idle_grace 1. A reaches 5 while B is silent: B's clock is 0.5 + (5 - 0.5 - 1) = 4.0. B at 3.9 is late, at 4 not.

    The late event leaves B's P0 alone: with it, B's clock would stay at 4.0 when A reaches 6; it is 5.0.
    """
    closed, verdicts = play([(B, 0.5), (A, 0.5), (A, 5), (B, 3.9), (A, 6), (B, 4.9), (B, 5)], grace=1)
    assert [offset for offset, verdict in enumerate(verdicts) if verdict is Verdict.LATE] == [3, 5]
    assert [window for window in closed if window.lane == "b"] == [Closed("b", 0, 1, 3, 0, (0,))]


def test_a_clock_never_goes_back() -> None:
    """Lateness 0.3, idle_grace 1: A at 5.3 moves B to 0.5 + (5.3 - 0.5 - 1) = 4.3, which seals [3, 4). B at 4.1 is
    accepted, its own time is behind its clock now; [3, 4) stays sealed.
    """
    events = [(B, 0.5), (A, 0.5), (A, 5.3), (B, 4.1), (B, 3.9)]
    _, verdicts = play(events, lateness=0.3, grace=1)
    assert verdicts[3:] == [Verdict.ACCEPTED, Verdict.LATE]


def test_a_batch_of_yesterday_keeps_its_own_time() -> None:
    """B's timestamps lie 20 h back in a live partition. P hardly moves while it runs, so only its own events count.

    offset   0      1      2       3       4      5        6
    A        1200          1200.5          1201
    B               0              0.5            1.0      0.9 (late)
                   [0               0.5          )^6
    """
    events = [(A, 1200.0), (B, 0.0), (A, 1200.5), (B, 0.5), (A, 1201.0), (B, 1.0), (B, 0.9)]
    closed, verdicts = play(events, grace=5)
    assert closed == [Closed("a", 1200, 1, 5, 0, (0, 2)), Closed("b", 0, 1, 6, 0, (1, 3))]
    assert [offset for offset, verdict in enumerate(verdicts) if verdict is Verdict.LATE] == [6]


def test_the_future_moves_no_clock() -> None:
    """max_future_skew is 5: at record time 1, an event at 6 is accepted, a microsecond more is not.

    offset   0    1             2    3
    minute   0    6+1µs         0.5  6
            [0    future        0.5 )^4
    """
    closed, verdicts = play([(A, 0), (A, 6 + 1 / MINUTE), (A, 0.5), (A, 6)], timestamps=dict.fromkeys(range(4), 1.0))
    assert verdicts == [Verdict.ACCEPTED, Verdict.FUTURE, Verdict.ACCEPTED, Verdict.ACCEPTED]
    assert closed == [Closed("a", 0, 1, 4, 0, (0, 2))]


# --- alerts -----------------------------------------------------------------------------------------------------------

RULE: dict[str, Any] = {"id": "r", "measurement": "feature.mean", "window": f"{MINUTE}/{MINUTE}/0", "above": 10.0}


def window_of(minute: int, value: float | None, n: int = 100, feature: str = "f0") -> dict[str, Any]:
    start = minute * MINUTE
    return {
        "topic": "t",
        "partition": 0,
        **A._asdict(),
        "window": {"size": MINUTE, "slide": MINUTE, "offset": 0, "start": start, "end": start + MINUTE},
        "closing_position": minute,
        "baseline_id": None,
        "data_hash": None,
        "git_commit": None,
        "measurements": [{"name": "feature.mean", "feature": feature, "value": value, "n": n}],
    }


def life(
    values: Mapping[int, float | None], n: dict[int, int] | None = None, **rule: Any
) -> list[tuple[int, str, int]]:
    """(minute, state, consecutive) of alert events, for values by minute; a minute left out has no window."""
    judge = Judge([{**RULE, **rule}])
    steps = []
    for minute, value in values.items():
        for alert in judge.judge(window_of(minute, value, (n or {}).get(minute, 100))):
            steps.append((minute, alert["state"], alert["consecutive"]))
    return steps


def test_an_alert_fires_goes_on_and_is_resolved() -> None:
    """
    minute   0   1   2          3         4          5    6
    value    1   11  11         11        11         10   11
    run          1   2          3         4          0    1
                     FIRING     ONGOING   ONGOING    RESOLVED (10 is not above 10)
    """
    values = dict(enumerate([1.0, 11.0, 11.0, 11.0, 11.0, 10.0, 11.0]))
    expected = [(2, "FIRING", 2), (3, "ONGOING", 3), (4, "ONGOING", 4), (5, "RESOLVED", 0)]
    assert life(values, consecutive=2) == expected


def test_a_missing_or_small_window_resets_the_run() -> None:
    """
    minute   0   1   2      3   4 (n 5)  5   6   7 (no value)  8   9   10
    value    11  11  none   11  11       11  11  null          11  11  11
    run      1   2          1   0        1   2   0             1   2   3 FIRING
    """
    present: dict[int, float | None] = dict.fromkeys([0, 1, 3, 4, 5, 6, 7, 8, 9, 10], 11.0)
    present[7] = None
    assert life(present, {4: 5}, consecutive=3, min_samples=10) == [(10, "FIRING", 3)]


def test_an_open_alert_outlives_windows_that_say_nothing() -> None:
    """
    minute   0        1 (n 5)   2          3 none   4          5 (n 5, fine)   6
    value    11       11        11                  11         1               1
             FIRING             ONGOING, 1          ONGOING, 1                 RESOLVED
    """
    values: dict[int, float | None] = {0: 11.0, 1: 11.0, 2: 11.0, 4: 11.0, 5: 1.0, 6: 1.0}
    expected = [(0, "FIRING", 1), (2, "ONGOING", 1), (4, "ONGOING", 1), (6, "RESOLVED", 0)]
    assert life(values, {1: 5, 5: 5}, min_samples=10) == expected


def test_cooldown_spaces_notifications_and_episodes() -> None:
    """cooldown 3.

    minute   0        1   2   3         4          5       6 7
    value    11       11  11  11        1          11      11 11
             FIRING           ONGOING   RESOLVED   FIRING (5 >= 0 + 3)

    minute   0        1          2    3
    value    11       1          11   11
             FIRING   RESOLVED   -    FIRING, run 2: the run was long enough, the cooldown not yet past
    """
    values = dict(enumerate([11.0, 11.0, 11.0, 11.0, 1.0, 11.0, 11.0, 11.0]))
    expected = [(0, "FIRING", 1), (3, "ONGOING", 4), (4, "RESOLVED", 0), (5, "FIRING", 1)]
    assert life(values, cooldown=3 * MINUTE) == expected
    short = dict(enumerate([11.0, 1.0, 11.0, 11.0]))
    assert life(short, cooldown=3 * MINUTE) == [(0, "FIRING", 1), (1, "RESOLVED", 0), (3, "FIRING", 2)]


def test_an_alert_keeps_its_identity_and_numbers_its_events() -> None:
    judge = Judge([{**RULE, "consecutive": 2, "severity": "P1", "action": "page"}])
    alerts = [a for minute in range(4) for a in judge.judge(window_of(minute, 11.0 if minute < 3 else 0.0))]
    opening = identity("alert", "t", 0, "m", "1", "a", "r", "f0", "60000000/60000000/0", MINUTE)
    assert [(a["alert_id"], a["number"], a["state"]) for a in alerts] == [
        (opening, 0, "FIRING"),
        (opening, 1, "ONGOING"),
        (opening, 2, "RESOLVED"),
    ]
    assert {a["opened_at"] for a in alerts} == {2 * MINUTE}
    assert alerts[2]["window"]["start"] == 3 * MINUTE
    assert (alerts[0]["measurement"]["threshold"], alerts[0]["severity"], alerts[0]["action"]) == (10.0, "P1", "page")


def test_each_feature_has_an_alert_of_its_own_and_selection_is_by_pattern() -> None:
    metric = window_of(0, 11.0)
    metric["measurements"] += [
        {"name": "feature.mean", "feature": "g0", "value": 12.0, "n": 9},
        {"name": "traffic.count", "feature": None, "value": 12.0, "n": 12},
    ]
    rules = [
        RULE,
        {**RULE, "id": "f only", "feature": "f*"},
        {**RULE, "id": "other lane", "lane": "b"},
        {**RULE, "id": "other window", "window": f"{HOUR}/{HOUR}/0"},
        {**RULE, "id": "count", "measurement": "traffic.count"},
        {**RULE, "id": "no feature", "measurement": "traffic.count", "feature": "?*"},
    ]
    fired = [(a["rule_id"], a["measurement"]["feature"]) for a in Judge(rules).judge(metric)]
    assert fired == [("r", "f0"), ("r", "g0"), ("f only", "f0"), ("count", None)]


def test_identity_is_blake2b_over_length_prefixed_fields() -> None:
    """As printf '\\0\\0\\0\\6metric\\0\\0\\0\\0013' | b2sum -l 128 says."""
    assert identity("metric", 3) == identity("metric", "3") == "4981d1da0937d6c470a7a4ee0079d930"
    assert identity("ab", "c") != identity("a", "bc")


# --- measurements -----------------------------------------------------------------------------------------------------


def event(**values: Any) -> dict[str, Any]:
    """An event with all optional fields null."""
    schema: Any = EVENT_SCHEMA
    empty = {field["name"]: field.get("default") for field in schema["fields"]}
    return copy.deepcopy(empty) | {"ts": 0, "req_id": "r", "key": b"m", **A._asdict()} | values


def values_of(rows: list[Row]) -> dict[Any, Any]:
    return {(row["name"], row["feature"]) if row["feature"] else row["name"]: row["value"] for row in rows}


def test_traffic_latency_and_predictions_by_hand() -> None:
    nan, inf = float("nan"), float("inf")
    statuses = [200, 404, 500, 599, 99, 600, 0, None]
    latencies = [1.0, 2.0, 3.0, 10.0, -1.0, inf, nan, None]
    scores = [0.2, 0.4, 1.5, -1.0, inf, nan, None, None]
    predictions = ["cat", "cat", "dog", "bird", None, None, None, None]
    probs: list[list[float]] = [[0.5, 0.5], [1.0, 0.0], [nan, 1.0], [1.5, -0.5], [], [], [], []]
    ids = ["a", "a", "b", "c", "c", "c", "", None]
    keys = [b"m", None, b"", b"m ", b"m", b"m", b"m", b"m"]
    columns = zip(statuses, latencies, scores, predictions, probs, ids, keys, strict=True)
    events = [
        event(http_status=a, latency_ms=b, score=c, prediction=d, probs=e, req_id=f, key=g, timed_out=a == 404)
        for a, b, c, d, e, f, g in columns
    ]
    rows = measure(events, 4 * SECOND, Shape(classes=("cat", "dog")), None)
    assert values_of(rows) == pytest.approx(
        {
            "traffic.count": 8,
            "traffic.qps": 2,
            "traffic.rate_4xx": 1 / 4,
            "traffic.rate_5xx": 2 / 4,
            "traffic.invalid_status": 2,
            "traffic.timeout_rate": 1 / 8,
            "traffic.key_null_rate": 1 / 8,
            "traffic.key_mismatch_rate": 2 / 8,
            "traffic.duplicate_rate": 3 / 6,
            "latency.p50": 2,  # floor(.5 * 3) = 1
            "latency.p95": 3,
            "latency.p99": 3,
            "latency.mean": 4,
            "latency.max": 10,
            "latency.invalid": 2,
            "prediction.score_mean": 1.1 / 4,
            "prediction.score_sd": np.std([0.2, 0.4, 1.5, -1.0], ddof=1),
            "prediction.score_invalid": 3,
            "prediction.entropy": np.log(2) / 2,
            "prediction.top_probability": 0.75,
            "prediction.probs_invalid": 2,
            ("prediction.class_share", "cat"): 2 / 4,
            ("prediction.class_share", "dog"): 1 / 4,
            "prediction.unseen_rate": 1 / 4,
        }
    )
    assert [row["name"] for row in rows][:2] == ["traffic.count", "traffic.qps"]
    assert {row["name"]: row["n"] for row in rows}["traffic.rate_5xx"] == 4


def test_features_by_hand() -> None:
    nan, inf = float("nan"), float("inf")
    events = [event(features=v) for v in ([1.0, nan], [3.0, inf], [5.0, 7.0], [])]
    rows = measure(events, SECOND, Shape(features=("x", "y")), None)
    found = {(r["name"], r["feature"]): (r["value"], r["n"], r["flag"]) for r in rows if r["feature"]}
    assert found == {
        ("feature.mean", "x"): (3, 3, None),
        ("feature.mean", "y"): (7, 1, None),
        ("feature.variance", "x"): (4, 3, None),
        ("feature.variance", "y"): (None, 1, "nan"),
        ("feature.sd", "x"): (2, 3, None),
        ("feature.sd", "y"): (None, 1, "nan"),
        ("feature.missing_rate", "x"): (0, 3, None),
        ("feature.missing_rate", "y"): (1 / 3, 3, None),
        ("feature.non_finite_rate", "x"): (0, 3, None),
        ("feature.non_finite_rate", "y"): (1 / 3, 3, None),
    }


def test_order_statistics_are_those_of_numpy() -> None:
    for n in [*range(1, 400), 1000, 10_001, 100_000]:
        values = np.arange(n, dtype=np.float64)
        for percent in (50, 95, 99):
            assert percent * (n - 1) // 100 == np.quantile(values, percent / 100, method="lower")


def small_baseline() -> Baseline:
    """Feature x: bins [0, 1), [1, 2), [2, 3], reference 10 a bin; feature y: 0 only. Classes cat 20, dog 10."""
    inf = float("inf")
    after_three, after_zero = float(np.nextafter(3, 4)), float(np.nextafter(0, 1))
    return Baseline(
        baseline_id="b1",
        model_id="m",
        model_version="1",
        feature_names=("x", "y"),
        class_names=("cat", "dog"),
        embedding=0,
        edges=np.array([[0, 1, 2, after_three], [0, after_zero, inf, inf]]),
        bins=np.array([3, 1], np.int32),
        counts=np.array([[0, 10, 10, 10, 0], [0, 30, 0, 0, 0]]),
        groups=np.array([[0, 0, 1, 2, 2], [0, 0, 0, 0, 0]], np.int32),
        class_counts=np.array([20, 10, 0]),
        score_counts=np.full(100, 3),
        score_groups=(np.arange(100) // 10).astype(np.int32),
    )


def test_values_on_edges_fall_into_the_right_cells() -> None:
    """x: -2, -1 below | 0, .9 | 1 | 2, 3 | 3+ above. Shares 2/8, 4/8, 5/8, 7/8, 1 against 0, 1/3, 2/3, 1, 1."""
    values = [-2.0, -1.0, 0.0, 0.9, 1.0, 2.0, 3.0, float(np.nextafter(3, 4))]
    rows = measure([event(features=[v, 0.0]) for v in values], SECOND, small_baseline().shape, small_baseline())
    found = values_of(rows)
    assert found["feature.out_of_range_rate", "x"] == pytest.approx(3 / 8)
    assert found["feature.ks", "x"] == pytest.approx(2 / 8)
    assert (found["feature.ks", "y"], found["feature.psi", "y"]) == (0, 0)
    flags = {(row["name"], row["feature"]): row["flag"] for row in rows}
    assert flags["feature.psi", "x"] == "low_n"  # 8 * 11 / 38 = 2.3 in [1, 2)
    assert flags["prediction.class_psi", None] == "empty"
    names = [row["name"] for row in rows if row["reference_n"] is not None]
    assert list(dict.fromkeys(names)) == [
        *[f"feature.{name}" for name in ("ks", "psi", "psi_excess", "kl", "js")],
        *[f"prediction.score_{name}" for name in ("ks", "psi", "psi_excess", "kl", "js")],
        *[f"prediction.class_{name}" for name in ("psi", "psi_excess", "kl", "js")],
    ]


def test_an_alert_about_drift_has_the_counts_behind_it() -> None:
    """x by its bounds 1 and 2, tails in the end groups; one value has one group; scores by tenths; classes by name."""
    values = [-2.0, -1.0, 0.0, 0.9, 1.0, 2.0, 3.0, float(np.nextafter(3, 4)), float("nan"), float("inf")]
    said = ["cat", "cat", "bird", None, "cow", "dog", None, None, None, None]
    scores = [0.0, 0.05, 0.95, 1.0, 1.5, -1.0, None, 0.1, float("nan"), None]
    columns = zip(values, said, scores, strict=True)
    events = [event(features=[v, 0.0], prediction=p, score=s) for v, p, s in columns]
    found = distributions(events, small_baseline())
    assert found["feature.", "x"] == {
        "name": "feature", "bounds": [1, 2], "labels": [], "current": [4, 1, 3], "reference": [10, 10, 10],
    }  # fmt: skip
    assert found["feature.", "y"] == {
        "name": "feature", "bounds": [], "labels": [], "current": [10], "reference": [30],
    }  # fmt: skip
    assert found["prediction.score_", None] == {
        "name": "prediction.score",
        "bounds": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "labels": [],
        "current": [2, 1, 0, 0, 0, 0, 0, 0, 0, 2],
        "reference": [30] * 10,
    }
    assert found["prediction.class_", None] == {
        "name": "prediction.class",
        "bounds": [],
        "labels": ["cat", "dog", "unseen"],
        "current": [2, 1, 2],
        "reference": [20, 10, 0],
    }

    metric = window_of(0, 0.5)
    metric["measurements"] = [
        {"name": name, "feature": "x" if name.startswith("feature.") else None, "value": 0.5, "n": 9}
        for name in ("feature.ks", "feature.mean", "prediction.class_js", "prediction.class_share", "traffic.qps")
    ]
    rules = [{**RULE, "id": row["name"], "measurement": row["name"], "above": 0.1} for row in metric["measurements"]]
    behind = {alert["rule_id"]: alert["distribution"] for alert in Judge(rules).judge(metric, found)}
    assert behind == {
        "feature.ks": found["feature.", "x"],
        "feature.mean": None,
        "prediction.class_js": found["prediction.class_", None],
        "prediction.class_share": None,
        "traffic.qps": None,
    }


def test_scores_fall_into_a_hundred_bins() -> None:
    assert [score_bin(score) for score in (0.0, 0.005, 0.01, 0.5, 0.999, 1.0)] == [0, 0, 1, 50, 99, 99]


def test_drift_agrees_with_the_golden_vector() -> None:
    rng = np.random.default_rng(7)
    reference, current = rng.normal(0, 1, 5000), rng.normal(0.3, 1.2, 2000)
    edges = np.quantile(reference, np.linspace(0, 1, 11), method="linear")[1:-1]
    c, r = (np.bincount(np.searchsorted(edges, x, side="right"), minlength=10).tolist() for x in (current, reference))
    rows = {row["name"]: row for row in drift("feature.", c, r, range(10), ordinal=True)}
    assert rows["feature.psi"]["value"] == pytest.approx(0.113403, abs=5e-7)
    p, q = [(x + 0.5) / (2000 + 5) for x in c], [(x + 0.5) / (5000 + 5) for x in r]
    assert rows["feature.kl"]["value"] == pytest.approx(entropy(p, q), rel=1e-12)
    assert rows["feature.js"]["effect"] == pytest.approx(jensenshannon(p, q), rel=1e-12)
    assert rows["feature.psi"]["p"] == pytest.approx(chi2_contingency([c, r], correction=False).pvalue, abs=1e-12)
    assert rows["feature.psi_excess"]["value"] == pytest.approx(0.113403 - 9 * (1 / 2000 + 1 / 5000), abs=5e-7)


def test_smoothing_is_what_stands_between_the_two_golden_numbers() -> None:
    """On counts so great that half an event is nothing, PSI, KL and JS are those without smoothing."""
    rng = np.random.default_rng(7)
    reference, current = rng.normal(0, 1, 5000), rng.normal(0.3, 1.2, 2000)
    edges = np.quantile(reference, np.linspace(0, 1, 11), method="linear")[1:-1]
    c, r = (np.bincount(np.searchsorted(edges, x, side="right"), minlength=10) for x in (current, reference))
    great = 10**6
    rows = {row["name"]: row for row in drift("", (c * great).tolist(), (r * great).tolist(), range(10), ordinal=True)}
    assert rows["psi"]["value"] == pytest.approx(0.113930, abs=5e-7)
    assert rows["kl"]["value"] == pytest.approx(0.060641, abs=5e-7)
    assert rows["js"]["value"] == pytest.approx(0.014025, abs=5e-7)
    assert rows["js"]["effect"] == pytest.approx(0.118427, abs=5e-7)


def test_ks_on_cells_is_the_two_sample_statistic_where_every_value_has_a_cell() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 20, 300), rng.integers(2, 20, 500)
    rows = drift(
        "", np.bincount(a, minlength=20).tolist(), np.bincount(b, minlength=20).tolist(), [0] * 20, ordinal=True
    )
    assert rows[0]["value"] == pytest.approx(ks_2samp(a, b, method="asymp").statistic, abs=1e-15)


def test_groups_that_are_empty_in_both_are_left_out() -> None:
    """Groups 0 and 2 remain of 0, 1, 2: G = 2; p = (10.5, 20.5) / 31, q = (30.5, 10.5) / 41."""
    rows = {row["name"]: row for row in drift("", [10, 0, 20], [30, 0, 10], range(3), ordinal=False)}
    p, q = np.array([10.5, 20.5]) / 31, np.array([30.5, 10.5]) / 41
    assert rows["psi"]["value"] == pytest.approx(float(np.sum((p - q) * np.log(p / q))), rel=1e-12)
    assert rows["psi"]["effect"] == pytest.approx(rows["psi"]["value"] - (1 / 30 + 1 / 40), rel=1e-12)
    assert rows["psi"]["p"] == pytest.approx(chi2_contingency([[10, 20], [30, 10]], correction=False).pvalue, abs=1e-12)


# --- files ------------------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_the_one_that_fastavro_computes() -> None:
    schema = json.loads((Path(streams.__file__).parents[2] / "schemas" / "inference_event.avsc").read_text())
    canonical = fastavro.schema.to_parsing_canonical_form(schema)
    assert FINGERPRINT.hex() == fastavro.schema.fingerprint(canonical, "CRC-64-AVRO")


@pytest.mark.parametrize(
    "value,code",
    [
        (b"", "FRAMING"),
        (b"\xc3\x01", "FRAMING"),
        (b'{"ts": 1234567}', "FRAMING"),
        (b"\xc3\x01" + bytes(8) + b"\x00" * 90, "SCHEMA"),
        (encode(event())[:-1], "TRUNCATED"),
        (encode(event())[:11], "TRUNCATED"),
        (encode(event()) + b"\x00", "TRAILING"),
        (encode(event())[:-1] + b"\x01", "RANGE"),  # union index -1
        (encode(event())[:-1] + b"\x04", "RANGE"),  # union index 2
        (encode(event(timed_out=True, probs=[1.0])).replace(b"\x01\x00\x00\x00\x00\x02", b"\x07\0\0\0\0\x02"), "RANGE"),
        (encode(event(req_id="@@")).replace(b"@@", b"\xff\xfe"), "ENCODING"),
    ],
)
def test_bad_bytes_get_their_code(value: bytes, code: str) -> None:
    with pytest.raises(BadRecord) as bad:
        decode(value)
    assert bad.value.code == code


def test_a_baseline_directory_is_read_back(tmp_path: Path) -> None:
    values = asdict(small_baseline())
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    save_file(arrays, tmp_path / "arrays.safetensors")
    scalars = {name: value for name, value in values.items() if name not in arrays}
    (tmp_path / "baseline.json").write_text(json.dumps({**scalars, "content_hash": "not needed here"}))
    baseline = load_baseline(tmp_path)
    assert baseline.shape == small_baseline().shape
    for name, value in arrays.items():
        np.testing.assert_array_equal(getattr(baseline, name), value)


def test_recorded_files_are_read_by_partition(tmp_path: Path) -> None:
    stream = streams.random_stream(1, events=50)
    schema = json.loads((Path(streams.__file__).parents[2] / "schemas" / "recorded_envelope.avsc").read_text())
    path = tmp_path / "recorded.avro"
    with path.open("wb") as file:
        fastavro.writer(file, schema, stream.envelopes())
    assert read_envelopes(path) == stream.records() == from_envelopes(stream.envelopes())


# --- all of it --------------------------------------------------------------------------------------------------------


def test_two_baselines_of_one_model_version_are_refused() -> None:
    with pytest.raises(ValueError, match="two baselines"):
        run({}, "t", {**CONFIG, "baselines": [small_baseline(), small_baseline()]})


def test_a_window_names_its_training_data_where_all_events_agree() -> None:
    assert only({"d1"}) == ("d1", False)
    assert only({"d1", None}) == ("d1", False)
    assert only({None}) == (None, False)
    assert only({"d1", "d2", None}) == (None, True)


def test_a_run_yields_metrics_alerts_late_events_and_dead_letters() -> None:
    stream = streams.random_stream(5, events=600)
    baseline = Baseline(**{**asdict(small_baseline()), "model_id": "nobody"})
    result = run(stream.records(), stream.topic, {**CONFIG, "baselines": [baseline]})
    assert {alert["state"] for alert in result.alerts.values()} == {"FIRING", "ONGOING", "RESOLVED"}
    codes = {letter.code for letter in result.dead_letters}
    assert codes >= {"FRAMING", "TRUNCATED", "TRAILING", "RANGE", "ENCODING", "DIMENSION", "FUTURE"}
    assert result.tombstones
    assert all(event_id == metric_id(metric) for event_id, metric in result.metrics.items())
    from_metrics = alerts_of(result.metrics.values(), CONFIG["rules"])
    assert result.alerts == {key: {**alert, "distribution": None} for key, alert in from_metrics.items()}
    counted = sum(metric["n"] for metric in result.metrics.values() if metric["window"]["size"] == MINUTE)
    records = sum(map(len, stream.partitions.values()))
    assert 0 < counted <= records - len(result.late) - len(result.dead_letters) - len(result.tombstones)


@settings(max_examples=30, deadline=None)
@given(streams.streams())
def test_every_stream_seals_panes_has_a_late_event_and_closes_two_series_at_once(stream: streams.Stream) -> None:
    result = run(stream.records(), stream.topic, stream.config)
    for partition in stream.partitions:
        minutes = [
            metric
            for metric in result.metrics.values()
            if metric["partition"] == partition and metric["window"]["size"] == MINUTE
        ]
        assert len(minutes) >= 3
        assert any(place[0] == partition for place in result.late)
        last = [metric for metric in minutes if metric["closing_position"] == len(stream.partitions[partition])]
        assert len({metric["lane"] for metric in last if metric["model_id"] == f"fraud{partition}"}) >= 2


def test_compare_sees_every_kind_of_difference() -> None:
    stream = streams.random_stream(2)
    result = run(stream.records(), stream.topic, stream.config)
    metrics = [copy.deepcopy(metric) for metric in result.metrics.values()]
    alerts = [copy.deepcopy(alert) for alert in result.alerts.values()]
    for row in [row for metric in metrics for row in metric["measurements"]] + [a["measurement"] for a in alerts]:
        row["method"] = "any"
        if row["value"] is not None:
            row["value"] *= 1 - 1e-12
    assert compare(result, metrics, alerts) == []

    assert order_differences(result, metrics, alerts) == []
    assert order_differences(result, metrics[::-1], alerts) != []
    assert any("number" in line for line in order_differences(result, metrics, alerts[::-1]))

    metrics[0]["n"] += 1
    next(row for row in metrics[1]["measurements"] if row["name"] == "latency.p50")["value"] = 1e6
    metrics[2]["measurements"].pop(0)
    metrics[3]["event_id"] = "nobody's"
    metrics.append(metrics[4])
    alerts[0]["state"] = "GONE"
    lines = compare(result, metrics, alerts[:-1])
    for words in ("n: expected", "latency.p50", "traffic.count: missing", "unexpected", ": missing, n =", "twice"):
        assert any(words in line for line in lines), words
    assert any("state: expected FIRING, got GONE" in line for line in lines)
    assert any(line.endswith(": missing") and alerts[-1]["rule_id"] in line for line in lines)
    assert compare(Result(), [], []) == []
