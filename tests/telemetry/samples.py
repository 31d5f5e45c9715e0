"""What the loop would report, and a clock to set by hand."""

from __future__ import annotations

from streammon.core.outputs import AlertEvent, AlertState, Measurement, Series, WindowSpec
from streammon.core.ports import Restored, Snapshot
from streammon.core.state import HeaderState

MINUTE = 60_000_000
TOPIC = "inference-events"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def restored(position: int, generation: int = 3) -> Restored:
    header = HeaderState(
        position=position,
        generation=generation,
        keys=0,
        format=1,
        plan_hash="p",
        policy_hash="q",
        progress=None,
        journal_sequence=0,
        active_baselines=(),
        counters={},
    )
    return Restored(Snapshot(header, [], []), header, [], [])


def alert(state: AlertState = AlertState.FIRING, severity: str = "P1", summary: str = "slow") -> AlertEvent:
    return AlertEvent(
        alert_id="a",
        number=0,
        state=state,
        rule_id="slow",
        severity=severity,
        measurement=Measurement("latency.p95", 300.0),
        consecutive=1,
        opened_at=MINUTE,
        topic=TOPIC,
        partition=0,
        series=Series("m", "1", "prod"),
        spec=WindowSpec(MINUTE, MINUTE),
        start=0,
        closing_position=17,
        plan_hash="p",
        policy_hash="q",
        baseline_id=None,
        data_hash=None,
        git_commit=None,
        evidence=(),
        action="page",
        summary=summary,
    )
