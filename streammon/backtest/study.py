"""What was published, in one pass: judged again by another policy, held against known incidents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streammon.backtest import policies
from streammon.backtest.episodes import Episode, episodes
from streammon.backtest.policies import Change, Load
from streammon.backtest.published import Published
from streammon.backtest.scorecard import Scorecard, scorecard
from streammon.backtest.survey import Survey
from streammon.core.errors import UsageError
from streammon.core.judge import watches
from streammon.core.outputs import OTHER
from streammon.core.plan import Policy
from streammon.incidents import Incident


@dataclass(frozen=True)
class Study:
    """`live` is what was published, by whatever policies were in force; `other` is judged again."""

    weeks: float  # of event time that any window covers
    live: Load
    other: Load | None
    changes: tuple[Change, ...]  # of alerts, from live to other
    idle: tuple[str, ...]  # rules of the other policy for which there is no window; the overflow seldom has one
    live_card: Scorecard | None
    other_card: Scorecard | None
    foreign: bool  # the live policy given is not the one that judged: its scorecard knows rules from their alerts only


def study(
    published: Published,
    live: Policy | None = None,
    other: Policy | None = None,
    incidents: Sequence[Incident] | None = None,
) -> Study:
    """`live`: the policy that is said to have judged. UsageError where there are no alert events."""
    if published.alerts is None:
        raise UsageError(f"{published.name}: there are no alert events beside the metric events: record them as well")
    survey = Survey(incidents or ())
    metrics = survey.through(published.metrics())
    if other is None:
        judged: list[Episode] = []
        for _ in metrics:
            pass
    else:
        judged = episodes(policies.judged(metrics, other))
    fired = episodes(published.alerts())
    foreign = live is None or live.hash not in survey.policies
    rules = () if live is None or foreign else live.rules
    seen = {(place.series, spec.text) for place, spec in survey.clean}
    others = () if other is None else other.rules
    return Study(
        survey.weeks,
        policies.load(fired, survey.weeks),
        None if other is None else policies.load(judged, survey.weeks),
        () if other is None else tuple(policies.changes(fired, judged)),
        tuple(
            rule.id
            for rule in others
            if rule.model != OTHER.model_id and not any(watches(rule, *pair) for pair in seen)
        ),
        None if incidents is None else scorecard(incidents, fired, rules, survey),
        None if incidents is None or other is None else scorecard(incidents, judged, others, survey),
        foreign,
    )
