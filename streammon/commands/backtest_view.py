"""Changes of policy and scorecards, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from streammon.backtest.episodes import Episode
from streammon.backtest.policies import Change, Kind, Load
from streammon.backtest.scorecard import IncidentScore, RuleScore, Scorecard
from streammon.backtest.study import Study
from streammon.commands.common import time_text
from streammon.commands.tables import length, rate, span, table
from streammon.text import counted, shown

ROWS = 40  # of a table of changes, on a terminal

# --- another policy ---------------------------------------------------------------------------------------------------


def policy_lines(found: Study, live: str, other: str) -> Iterator[str]:
    """`live` and `other`: how people call the two."""
    assert found.other is not None
    actions = sorted(found.live.actions | found.other.actions)
    yield f"{counted(len(found.changes), 'alert')} of either policy in {span(found.weeks)} of event time"
    yield from table(
        [
            ("policy", "alerts", "a week", *map(shown, actions)),
            *(
                (
                    shown(name),
                    f"{load.alerts:,}",
                    rate(load.per_week),
                    *(f"{load.actions.get(a, 0):,}" for a in actions),
                )
                for name, load in ((live, found.live), (other, found.other))
            ),
        ]
    )
    counts = Counter(change.kind for change in found.changes)
    yield "alerts of the other policy: " + ", ".join(f"{counts[kind]:,} {kind}" for kind in Kind)
    for rule in found.idle:
        yield f"rule {shown(rule)} watches windows of which there are none here"
    changed = [change for change in found.changes if change.kind is not Kind.SAME]
    if changed:
        yield from table(
            [("change", "live opens", "other opens", "rule", "series", "feature"), *map(_change, changed[:ROWS])]
        )
    if len(changed) > ROWS:
        yield f"and {len(changed) - ROWS:,} more: --json lists all"


def _change(change: Change) -> tuple[str, ...]:
    series = "/".join(map(shown, change.place.series))
    feature = "-" if change.feature is None else shown(change.feature)
    return change.kind.value, _opened(change.live), _opened(change.other), shown(change.rule), series, feature


def _opened(episode: Episode | None) -> str:
    return "-" if episode is None else time_text(episode.first.opened_at)


def policy_values(found: Study) -> dict[str, Any]:
    """Times and durations in microseconds of event time."""
    assert found.other is not None
    return {
        "weeks": found.weeks,
        "live": _load_values(found.live),
        "other": _load_values(found.other),
        "counts": {kind.value: sum(change.kind is kind for change in found.changes) for kind in Kind},
        "rules_without_windows": list(found.idle),
        "changes": [_change_values(change) for change in found.changes],
    }


def _load_values(load: Load) -> dict[str, Any]:
    return {"alerts": load.alerts, "alerts_per_week": load.per_week, "actions": load.actions}


def _change_values(change: Change) -> dict[str, Any]:
    return {
        "change": change.kind.value,
        "rule": change.rule,
        "series": change.place.series._asdict(),
        "topic": change.place.topic,
        "partition": change.place.partition,
        "feature": change.feature,
        "live": _episode_values(change.live),
        "other": _episode_values(change.other),
        "shift": change.shift,
    }


def _episode_values(episode: Episode | None) -> dict[str, Any] | None:
    if episode is None:
        return None
    return {"opened_at": episode.first.opened_at, "resolved_at": episode.resolved_at}


# --- known incidents --------------------------------------------------------------------------------------------------


def scorecard_lines(card: Scorecard, title: str) -> Iterator[str]:
    yield f"{title}: {counted(len(card.incidents), 'incident')}, {span(card.weeks)} of event time"
    heads = ("rule", "asked", "found", "open already", "missed", "median delay", "worst delay")
    yield from table([(*heads, "alerts", "false", "false a week"), *map(_score, filter(_says_something, card.rules))])
    for one in card.incidents:
        if not one.measured:
            yield f"outside of what was measured: {_incident(one)}"
        elif not one.rule_known:
            yield f"names a rule that is not known here, {shown(one.incident.rule or '')}: {_incident(one)}"
        elif one.unmatched:
            yield f"found by no rule: {_incident(one)}"


def _says_something(score: RuleScore) -> bool:
    """Not so of series-cap, as long as there is no overflow."""
    return bool(score.incidents or score.alerts or score.clean)


def _score(score: RuleScore) -> tuple[str, ...]:
    worst = (score.delays[-1], score.windows[-1]) if score.delays else (None, None)
    return (
        shown(score.rule),
        *(f"{number:,}" for number in (score.incidents, score.found, score.already_open, score.missed)),
        _delay(score.median_delay, score.median_windows),
        _delay(*worst),
        f"{score.alerts:,}",
        f"{score.false:,}",
        rate(score.false_per_week),
    )


def _delay(microseconds: float | None, windows: float | None) -> str:
    if windows is None:
        return "-"
    return f"{length(microseconds)} ({windows:,g} window{'s' if windows != 1 else ''})"


def _incident(one: IncidentScore) -> str:
    incident = one.incident
    end = "" if incident.end is None else f" to {time_text(incident.end)}"
    where = f"{shown(incident.model)}/{shown(incident.lane)}"
    return f"{shown(incident.kind)} in {where} from {time_text(incident.start)}{end}"


def scorecard_values(card: Scorecard) -> dict[str, Any]:
    """Times and durations in microseconds of event time."""
    return {
        "weeks": card.weeks,
        "rules": [_score_values(score) for score in card.rules],
        "incidents": [
            {
                **{name: getattr(one.incident, name) for name in ("kind", "model", "lane", "start", "end", "rule")},
                "measured": one.measured,
                "unmatched": one.unmatched,
                "open_already": list(one.already_open),
                "found": [
                    {
                        "rule": hit.alert.rule_id,
                        "alert_id": hit.alert.alert_id,
                        "delay": hit.delay,
                        "windows": hit.windows,
                    }
                    for hit in one.found
                ],
            }
            for one in card.incidents
        ],
    }


def _score_values(score: RuleScore) -> dict[str, Any]:
    return {
        "rule": score.rule,
        "asked": score.incidents,
        "found": score.found,
        "open_already": score.already_open,
        "missed": score.missed,
        "median_delay": score.median_delay,
        "worst_delay": max(score.delays, default=None),
        "median_windows": score.median_windows,
        "worst_windows": max(score.windows, default=None),
        "alerts": score.alerts,
        "false_alerts": score.false,
        "clean_time": score.clean,
        "false_alerts_per_week": score.false_per_week,
    }
