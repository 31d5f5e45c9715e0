"""Outputs made by hand: what a replay would write, with numbers that a test knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from streammon.adapters.file_sink import ALERTS, METRICS
from streammon.adapters.files import OutputFile
from streammon.core.outputs import (
    AlertEvent,
    AlertState,
    BaselineState,
    Distribution,
    Measurement,
    MetricEvent,
    Series,
    WindowSpec,
    alert_id,
    metric_event_id,
)

MINUTE = 60_000_000
START = 1_769_857_200_000_000  # 2026-01-31 11:00 UTC
ONE, FIVE = WindowSpec(MINUTE, MINUTE), WindowSpec(5 * MINUTE, 5 * MINUTE)
PROD, CANARY = Series("digits-0", "v1", "prod"), Series("digits-0", "v1", "canary")

HOSTILE = (
    '<script>alert("x")</script>',
    "<img src=x onerror=alert(1)>",
    "</script><script>document.title='owned'</script>",
    "{{ 7 * 7 }}{% raw %}",
    "\x1b[31mred\x00\x07",
    "\u202eevil\u2066",
    "' onmouseover='alert(1)' \"",
    "\u2028line\u2029",
    "x" * 10_000,
    "<b>" * 3_000,
    "a\ud800b".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    "مرحبا",
    "",
)


def metric(
    series: Series,
    at: int,
    measurements: Iterable[Measurement],
    spec: WindowSpec = ONE,
    n: int = 500,
    topic: str = "inference-events",
    partition: int = 0,
    baseline_id: str | None = "digits-0@v1#aa",
) -> MetricEvent:
    """The window number `at`."""
    start = START + at * spec.slide
    return MetricEvent(
        event_id=metric_event_id(topic, partition, series, spec, start, 0),
        topic=topic,
        partition=partition,
        series=series,
        spec=spec,
        start=start,
        revision=0,
        n=n,
        n_late=1,
        closing_position=at + 1,
        plan_hash="plan",
        policy_hash="policy",
        baseline_id=baseline_id,
        baseline_state=BaselineState.OK if baseline_id else BaselineState.NO_BASELINE,
        data_hash="data",
        git_commit="commit",
        mixed=False,
        measurements=tuple(measurements),
    )


def psi(value: float, feature: str | None, n: int = 500, m: int = 60_000, groups: int = 10) -> list[Measurement]:
    """PSI and its excess as the suite publishes them."""
    excess = value - (groups - 1) * (1 / n + 1 / m)
    name = "feature.psi" if feature is not None else "prediction.class_psi"
    return [
        Measurement(name, value, feature, effect=excess, p=0.5, n=n, reference_n=m),
        Measurement(f"{name}_excess", excess, feature, n=n, reference_n=m),
    ]


def usual(at: int, drift: float = 0.0, features: Sequence[str] = ("income", "age", "tenure")) -> list[Measurement]:
    """What a window of a service with a baseline publishes, in part; `drift` moves the first feature and latency."""
    wave = math.sin(at)
    found = [
        Measurement("traffic.qps", 8.0 + wave, n=500),
        Measurement("traffic.rate_5xx", 0.002, n=500),
        Measurement("latency.p95", 22.0 + wave + 30 * drift, n=500),
        Measurement("prediction.score_mean", 0.9 + wave / 100, n=500),
        *psi(0.05 + wave / 100, None),
    ]
    for index, feature in enumerate(features):
        found += psi(0.03 + abs(wave) / 100 + (drift if index == 0 else 0.0), feature)
        found += [
            Measurement("feature.mean", 1.0 + wave / 50 - (drift if index == 0 else 0.0), feature, n=500),
            Measurement("feature.missing_rate", 0.0, feature, n=500),
        ]
    return found


def alert(
    series: Series,
    at: int,
    measurement: Measurement,
    state: AlertState = AlertState.FIRING,
    number: int = 0,
    opened: int | None = None,
    rule_id: str = "feature-drift",
    spec: WindowSpec = ONE,
    distribution: Distribution | None = None,
    evidence: Sequence[Measurement] = (),
    summary: str = "P2 feature-drift: feature.psi_excess of income is 0.8 > 0.5 in digits-0 v1 canary (n = 500)",
    severity: str = "P2",
    action: str = "ticket",
    topic: str = "inference-events",
) -> AlertEvent:
    opened = at if opened is None else opened
    return AlertEvent(
        alert_id=alert_id(topic, 0, series, rule_id, measurement.feature, spec, START + opened * spec.slide),
        number=number,
        state=state,
        rule_id=rule_id,
        severity=severity,
        measurement=measurement,
        consecutive=2,
        opened_at=START + opened * spec.slide + spec.size,
        topic=topic,
        partition=0,
        series=series,
        spec=spec,
        start=START + at * spec.slide,
        closing_position=at + 1,
        plan_hash="plan",
        policy_hash="policy",
        baseline_id="digits-0@v1#aa",
        data_hash="data",
        git_commit="commit",
        evidence=tuple(evidence),
        action=action,
        summary=summary,
        distribution=distribution,
    )


MOVED = Distribution(
    "feature", (0.1, 0.2, 0.3), (), current=(450, 30, 10, 10), reference=(15_000, 15_000, 15_000, 15_000)
)
CLASSES = Distribution("prediction.class", (), ("cat", "dog", "unseen"), current=(90, 5, 5), reference=(50, 50, 0))


def drifted(windows: int = 60) -> tuple[list[MetricEvent], list[AlertEvent]]:
    """Two lanes of a model; in canary a feature drifts from the half on, latency with it, which comes back."""
    half, last = windows // 2, windows - 5
    metrics = []
    for at in range(windows):
        metrics.append(metric(PROD, at, usual(at)))
        metrics.append(metric(CANARY, at, usual(at, drift=0.8 if half <= at < last else 0.0)))
    excess = next(m for m in usual(half, 0.8) if m.name == "feature.psi_excess")
    slow = Measurement("latency.p95", 46.0, n=500, threshold=35.0)
    other = Measurement("feature.psi_excess", 0.02, "age", n=500)
    alerts = [
        alert(CANARY, half + 1, excess._replace(threshold=0.5), distribution=MOVED, evidence=[other]),
        alert(CANARY, half + 1, slow, rule_id="slow", severity="P1", action="page", summary="P1 slow"),
        alert(
            CANARY,
            last,
            slow._replace(value=22.0),
            AlertState.RESOLVED,
            number=1,
            opened=half + 1,
            rule_id="slow",
            severity="P1",
            summary="P1 slow: is back",
        ),
    ]
    return metrics, alerts


def write(folder: Path, metrics: Iterable[MetricEvent], alerts: Iterable[AlertEvent]) -> Path:
    """As a replay writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    with OutputFile(folder / METRICS, MetricEvent, {}) as file:
        file.write(metrics)
    with OutputFile(folder / ALERTS, AlertEvent, {}) as file:
        file.write(alerts)
    return folder
