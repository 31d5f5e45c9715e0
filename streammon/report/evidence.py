"""What a reader checks: the evidence of an alert, and what all numbers rest on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from streammon.backtest.episodes import Episode
from streammon.core.outputs import Measurement
from streammon.report import words
from streammon.report.collect import Observed
from streammon.report.sources import Source
from streammon.report.words import Moments

SEVERITIES = {"P1": 0, "P2": 1, "P3": 2}


def alert_row(episode: Episode, series: str, moments: Moments) -> dict[str, Any]:
    """A row of the table of alerts, with its evidence."""
    first, last, worst = episode.first, episode.last, episode.strongest
    m = first.measurement
    unit = words.unit(m.name)
    ended = None if episode.is_open else moments(last.end)
    return {
        "opened": moments(first.opened_at),
        "opened_at": first.opened_at,
        "severity": words.name(first.severity, 10),
        "rank": SEVERITIES.get(first.severity, 3),
        "rule": words.name(first.rule_id),
        "series": series,
        "what": words.name(m.name) + (f" of {words.name(m.feature)}" if m.feature is not None else ""),
        "value": words.number(m.value, unit),
        "value_raw": m.value if m.value is not None else "",
        "limit": words.number(m.threshold, unit),
        "sign": _sign(m),
        "worst": words.number(worst.measurement.value, unit),
        "state": f"resolved {ended}" if ended else "open",
        "is_open": episode.is_open,
        "summary": words.name(first.summary, words.SENTENCE),
        "facts": [
            ("Window", f"{words.window(first.spec)}, {words.moment(first.start)} to {words.moment(first.end)} UTC"),
            ("Values in it", f"{m.n:,}" if m.n is not None else "-"),
            ("Windows in a row", f"{first.consecutive:,}"),
            ("Action", words.name(first.action)),
            ("Other features", "; ".join(_evidence(e) for e in first.evidence) or "none"),
            (
                "Steps",
                "; ".join(
                    f"{moments(a.end)} {a.state.value} {words.number(a.measurement.value, unit)}"
                    for a in episode.events[:20]
                ),
            ),
            ("Baseline", words.name(first.baseline_id)),
            ("Data hash, commit", f"{words.name(first.data_hash)}, {words.name(first.git_commit)}"),
            ("Log", f"{words.name(first.topic)}, partition {first.partition}, position {first.closing_position:,}"),
            ("Alert id", words.name(first.alert_id)),
        ],
    }


def identity(observed: Sequence[Observed], source: Source, has_alerts: bool) -> list[tuple[str, str]]:
    """What the numbers rest on."""
    hashes: dict[str, set[str]] = {}
    for one in observed:
        for name, values in one.hashes.items():
            hashes.setdefault(name, set()).update(values)
    known = source.baselines
    ids = sorted({id for o in observed for id in o.baselines})
    policy = source.policy
    facts = [
        ("Input", ", ".join(sorted({words.name(o.place.topic) for o in observed})) or "-"),
        ("Plan", _some(hashes.get("plan_hash", set()))),
        ("Policy", _some(hashes.get("policy_hash", set()))),
    ]
    if policy is not None and hashes.get("policy_hash", {policy.hash}) != {policy.hash}:
        facts.append(
            (
                "Policy of the settings",
                f"{policy.hash}: thresholds on this page are of these settings, not of the policy in force",
            )
        )
    if policy is None and has_alerts:
        facts.append(("Thresholds", "as alerts name them; with --config those of all rules"))
    facts += [
        ("Data hash", _some(hashes.get("data_hash", set()))),
        ("Git commit", _some(hashes.get("git_commit", set()))),
    ]
    for id in ids[:20]:
        baseline = known.get(id)
        about = (
            f"{baseline.n:,} events up to {words.moment(baseline.created_at)} UTC, content {baseline.content_hash}"
            if baseline
            else "not at hand: no band around its means and shares"
        )
        facts.append((f"Baseline {words.name(id)}", about))
    return facts


def _sign(m: Measurement) -> str:
    return (
        ""
        if m.value is None or m.threshold is None
        else ">"
        if m.value > m.threshold
        else "<"
        if m.value < m.threshold
        else "="
    )


def _evidence(m: Measurement) -> str:
    return f"{words.name(m.feature)} {words.number(m.value, words.unit(m.name))}"


def _some(values: set[str]) -> str:
    ordered = sorted(words.name(value) for value in values)
    return ", ".join(ordered[:5]) + (f" and {len(ordered) - 5} more" if len(ordered) > 5 else "") if ordered else "-"
