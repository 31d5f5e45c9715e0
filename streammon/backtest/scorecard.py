"""Alerts against known incidents, rule by rule. Event time, microseconds.

- Which incidents a rule is **asked** about: those of models and lanes that it watches, which name this rule or none,
  and were measured: a window of their model and lane touches them.
- **Found**: one of its alerts found the incident (detection.py); the delay is that of the first one.
- **Already open**: not found, but an alert of the rule for that model and lane had fired before the incident began and
  went on in it: nobody was told anew. Counts neither as found nor as missed.
- **Missed**: asked, and neither.
- **False alert**: an episode whose run touches no incident of its model and lane, whatever rule those name.
- **False alerts per week**: of clean time (survey.py), summed over the series that the rule watches: 0.5 are one in two
  weeks in each series. None without clean time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median

from streammon.backtest.detection import Detection, detections, touches
from streammon.backtest.episodes import Episode
from streammon.backtest.survey import WEEK, Survey
from streammon.core.judge import watches
from streammon.core.outputs import ALL, AlertState
from streammon.core.rules import Rule
from streammon.incidents import EVERY_LANE, Incident


@dataclass(frozen=True)
class RuleScore:
    """Of one rule; `found + already_open + missed` are the incidents that it was asked about."""

    rule: str
    found: int
    already_open: int
    missed: int
    delays: tuple[int, ...]  # of those found, ascending
    windows: tuple[int, ...]  # the same in windows of the rule
    alerts: int  # episodes, true and false
    false: int
    clean: int  # clean time of all series that it watches, together

    @property
    def incidents(self) -> int:
        return self.found + self.already_open + self.missed

    @property
    def median_delay(self) -> float | None:
        return median(self.delays) if self.delays else None

    @property
    def median_windows(self) -> float | None:
        return median(self.windows) if self.windows else None

    @property
    def false_per_week(self) -> float | None:
        return self.false / (self.clean / WEEK) if self.clean else None


@dataclass(frozen=True)
class IncidentScore:
    """Of one incident: by which rules it was found, the first one first."""

    incident: Incident
    found: tuple[Detection, ...]
    already_open: tuple[str, ...]  # rules
    measured: bool  # whether a window of its model and lane touches it; else no rule is asked about it
    rule_known: bool  # false: it names a rule that neither the policy nor an alert has

    @property
    def unmatched(self) -> bool:
        """Nobody was told: not found, and nothing was open already."""
        return self.measured and not self.found and not self.already_open


@dataclass(frozen=True)
class Scorecard:
    rules: tuple[RuleScore, ...]  # in the order of the policy
    incidents: tuple[IncidentScore, ...]  # in the order given
    weeks: float  # of event time that any window covers


def scorecard(
    incidents: Sequence[Incident], found: Iterable[Episode], rules: Iterable[Rule], survey: Survey
) -> Scorecard:
    """`survey` has seen the metric events; episodes of rules that are not in `rules` get a row behind them."""
    by_rule: dict[str, list[Episode]] = {}
    for episode in found:
        if episode.first.state is AlertState.FIRING:  # the beginning of another is not in the data
            by_rule.setdefault(episode.first.rule_id, []).append(episode)
    known = {rule.id: rule for rule in rules}
    scores, opened = [], dict[Incident, list[str]]()
    for rule_id in [*known, *sorted(by_rule.keys() - known)]:
        theirs, rule = by_rule.get(rule_id, []), known.get(rule_id)
        asked = [one for one in incidents if one in survey.measured and _asked(one, rule_id, rule)]
        hits = [hit for one in asked for hit in detections(one, theirs)]
        missing = [one for one in asked if one not in {hit.incident for hit in hits}]
        before = [one for one in missing if any(_went_on(episode, one) for episode in theirs)]
        for one in before:
            opened.setdefault(one, []).append(rule_id)
        scores.append(
            RuleScore(
                rule_id,
                found=len(hits),
                already_open=len(before),
                missed=len(missing) - len(before),
                delays=tuple(sorted(hit.delay for hit in hits)),
                windows=tuple(sorted(hit.windows for hit in hits)),
                alerts=len(theirs),
                false=sum(not any(touches(one, episode.first) for one in incidents) for episode in theirs),
                clean=_clean(survey, theirs, rule),
            )
        )
    everything = [episode for theirs in by_rule.values() for episode in theirs]
    rule_ids = {None, *known, *by_rule}
    told = tuple(
        IncidentScore(
            one,
            tuple(detections(one, everything)),
            tuple(opened.get(one, ())),
            measured=one in survey.measured,
            rule_known=one.rule in rule_ids,
        )
        for one in incidents
    )
    return Scorecard(tuple(scores), told, survey.weeks)


def _asked(incident: Incident, rule_id: str, rule: Rule | None) -> bool:
    if incident.rule not in (None, rule_id):
        return False
    if rule is None:
        return True
    lane = incident.lane == EVERY_LANE or rule.lane == f"[{ALL}]" or fnmatchcase(incident.lane, rule.lane)
    return lane and fnmatchcase(incident.model, rule.model)


def _went_on(episode: Episode, incident: Incident) -> bool:
    """Whether an alert that had fired before the incident still violated in a window that touches it."""
    alert, resolved = episode.first, episode.resolved_at
    if alert.end > incident.start or not incident.concerns(alert.series.model_id, alert.series.lane):
        return False
    return resolved is None or resolved - alert.spec.slide > incident.start


def _clean(survey: Survey, theirs: Sequence[Episode], rule: Rule | None) -> int:
    """Of a rule that is not known: of the windows that its alerts spoke of, in every series that has them."""
    specs = {episode.first.spec for episode in theirs}
    return sum(
        time
        for (place, spec), time in survey.clean.items()
        if (spec in specs if rule is None else watches(rule, place.series, spec.text))
    )
