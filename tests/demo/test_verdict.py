"""What was found against what was injected: the demo's exit code rests on it."""

from __future__ import annotations

from dataclasses import replace

from streammon.core.outputs import AlertEvent, AlertState, Measurement, Series, WindowSpec
from streammon.demo.verdict import judge
from streammon.incidents import Incident

MINUTE = 60_000_000
ONSET = 100 * MINUTE
SLOW = Incident(kind="latency", model="m", lane="canary", start=ONSET, rule="slow")
ERRORS = Incident(kind="errors", model="m", lane="canary", start=ONSET + 10 * MINUTE, rule="server-errors")


def alert(
    rule: str, end: int, lane: str = "canary", model: str = "m", state: str = "FIRING", size: int = 1
) -> AlertEvent:
    """One step, of a window of `size` minutes that ends at minute `end`."""
    return AlertEvent(
        alert_id="a",
        number=0,
        state=AlertState(state),
        rule_id=rule,
        severity="P1",
        measurement=Measurement("latency.p95", 40.0, threshold=35.0),
        consecutive=1,
        opened_at=end * MINUTE,
        topic="t",
        partition=0,
        series=Series(model, "v1", lane),
        spec=WindowSpec(size * MINUTE, size * MINUTE),
        start=(end - size) * MINUTE,
        closing_position=1,
        plan_hash="",
        policy_hash="",
        baseline_id=None,
        data_hash=None,
        git_commit=None,
        evidence=(),
        action="page",
        summary="",
    )


def test_the_delay_counts_windows_from_the_first_that_holds_drifted_events() -> None:
    """Aligned or not, of whatever size."""
    for onset, end, size, delay in (
        (100, 101, 1, 1),
        (100, 102, 1, 2),
        (100, 105, 5, 1),
        (101, 105, 5, 1),
        (99, 110, 5, 3),
    ):
        incident = replace(SLOW, start=onset * MINUTE)
        (finding,) = judge([incident], [alert("slow", end, size=size)]).findings
        assert finding.delay == delay, (onset, end, size)


def test_only_the_first_firing_of_its_own_rule_in_its_own_lane_finds_an_incident() -> None:
    """Not what goes on, ends, fired before, fires elsewhere or is another rule's."""
    others = [
        alert("slow", 99),
        alert("slow", 101, lane="prod"),
        alert("slow", 101, model="n"),
        alert("slow", 101, state="ONGOING"),
        alert("slow", 101, state="RESOLVED"),
        alert("feature-drift", 101),
    ]
    (finding,) = judge([SLOW], others).findings
    assert (finding.alert, finding.delay) == (None, None)
    (finding,) = judge([SLOW], [*others, alert("slow", 103), alert("slow", 104)]).findings
    assert finding.delay == 3


def test_alerts_count_before_and_after_the_first_incident() -> None:
    """By the end of their windows; without incidents every alert is before."""
    alerts = [alert("slow", 100), alert("slow", 101), alert("slow", 102, state="RESOLVED"), alert("x", 130)]
    verdict = judge([ERRORS, SLOW], alerts)
    assert (verdict.before, verdict.after) == (1, 2)
    verdict = judge([], alerts)
    assert (verdict.before, verdict.after) == (3, 0)


def test_the_problem_is_a_sentence_that_says_which() -> None:
    """A kind that was not found; an alert on windows without drifted events; both; none."""
    found = [alert("slow", 102), alert("server-errors", 112)]
    assert judge([SLOW, ERRORS], found).problem is None
    assert judge([SLOW, ERRORS], found[:1]).problem == (
        "injected, but not found by its own rule: errors (rule server-errors)"
    )
    early = [*found, alert("slow", 90), alert("class-mix", 120, lane="prod")]
    assert judge([SLOW, ERRORS], early).problem == "2 alerts on clean data, the first by slow in m/v1/canary"
    assert judge([], found[:1]).problem == "1 alert on clean data, the first by slow in m/v1/canary"
    both = judge([SLOW], [alert("slow", 90)]).problem
    assert both is not None
    assert "not found" in both
    assert "clean data" in both
