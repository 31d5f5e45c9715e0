"""What came of a demo: for a person, and as JSON."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from streammon.core.outputs import AlertState
from streammon.demo.folder import EVENTS, JOURNAL
from streammon.demo.play import Performance
from streammon.demo.scenario import BASELINES, LANES, MINUTE, SETTINGS
from streammon.demo.screen import clock
from streammon.demo.verdict import Finding
from streammon.text import counted


def lines(performance: Performance, kept: bool) -> Iterator[str]:
    """The summary."""
    scenario, verdict = performance.scenario, performance.verdict
    rate = performance.events / max(performance.seconds, 1e-9)
    yield ""
    yield (
        f"{performance.events:,} events in {performance.seconds:.1f} s ({rate:,.0f}/s), "
        f"{performance.windows:,} windows of {scenario.minutes} minutes of event time"
    )
    yield f"alerts before the drift: {verdict.before}, after: {verdict.after}"
    if verdict.findings:
        yield ""
        yield f"{'injected':10}  {'at':5}  {'in':16}  {'found by rule':16}  after"
    for finding in verdict.findings:
        incident = finding.incident
        where = f"{incident.model}/{incident.lane}"
        yield f"{incident.kind:10}  {clock(incident.start)}  {where:16}  {incident.rule or '':16}  {_delay(finding)}"
    yield ""
    yield f"without any alert: {', '.join(_clean(performance)) or 'none'}"
    yield f"{'report':17} {performance.report}, for a browser"
    yield ""
    yield "next"
    for command, what in _next(performance, kept):
        yield f"  {command:58}  {what}" if what else f"  {command}"


def as_json(performance: Performance) -> dict[str, Any]:
    """For `--json`."""
    scenario, verdict = performance.scenario, performance.verdict
    return {
        "events": performance.events,
        "events_per_second": round(performance.events / max(performance.seconds, 1e-9)),
        "windows": performance.windows,
        "metrics": len(performance.metrics),
        "alerts_before_drift": verdict.before,
        "alerts_after_drift": verdict.after,
        "false_alerts": len(verdict.false),
        "first_alert_delay_windows": {finding.incident.kind: finding.delay for finding in verdict.findings},
        "rules": {finding.incident.kind: finding.incident.rule for finding in verdict.findings},
        "report": str(performance.report),
        "out": str(performance.out),
        "seed": scenario.seed,
        "minutes": scenario.minutes,
        "seconds": round(performance.seconds, 3),
        "problem": performance.problem,
    }


def _delay(finding: Finding) -> str:
    if finding.alert is None or finding.delay is None:
        return "not found"
    return f"{counted(finding.delay, 'window')} of {finding.alert.spec.size // MINUTE}m"


def _clean(performance: Performance) -> list[str]:
    """Series in which nothing fired."""
    fired = {
        (alert.series.model_id, alert.series.lane) for alert in performance.alerts if alert.state is AlertState.FIRING
    }
    return [f"{model}/{lane}" for model in performance.scenario.models for lane in LANES if (model, lane) not in fired]


def _next(performance: Performance, kept: bool) -> Iterator[tuple[str, str]]:
    """Commands, and what they show."""
    out = performance.out
    if kept:
        settings, recording, journal, replayed = (
            shlex.quote(str(path))
            for path in (out / SETTINGS, out / EVENTS, out / JOURNAL, out.with_name(f"{out.name}-replayed"))
        )
        replay = f"streammon replay --config {settings} --from {recording} --journal {journal} --out {replayed}"
        yield replay, ""
    else:
        yield "streammon demo --keep", "and replay the recording, exactly"
    yield "streammon demo --kinds none --seed 2", "nothing drifts, nothing fires"
    baseline = shlex.quote(str(out / BASELINES / performance.scenario.models[0]))
    yield f"streammon baseline show {baseline}", "what the windows were compared with"
    yield "streammon demo --bootstrap localhost:9092", "on a broker of yours, exactly once"
