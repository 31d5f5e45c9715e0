"""Scorecards, against loops over minutes: incidents, runs and windows are sets of minutes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import median

import pytest

from streammon.backtest.episodes import Episode, episodes
from streammon.backtest.scorecard import Scorecard, scorecard
from streammon.backtest.survey import Survey
from streammon.core.outputs import AlertEvent, AlertState, Measurement, MetricEvent, Series, WindowSpec
from streammon.core.rules import Rule, Threshold
from streammon.incidents import Incident
from tests.report.recordings import MINUTE, ONE, START, alert, metric

SLIDING = WindowSpec(5 * MINUTE, MINUTE)
SERIES = [Series(model, "v1", lane) for model in ("a", "b") for lane in ("prod", "canary", "*")]
SLOW = Measurement("latency.p95", 50.0, n=500, threshold=35.0)
MINUTES = 60
WEEK = 7 * 24 * 60  # minutes


def rule(id: str, spec: WindowSpec = ONE, **patterns: str) -> Rule:
    return Threshold(id=id, measurement="latency.p95", window=spec.text, above=35.0, **patterns)  # type: ignore[arg-type]


RULES = [
    rule("all"),
    rule("sliding", SLIDING, lane="canary"),
    rule("whole", model="a", lane="[*]"),
    rule("b", model="b"),
]


EVERY = {
    (series, spec): [metric(series, at, [], spec) for at in range(MINUTES)]
    for series in SERIES
    for spec in (ONE, SLIDING)
}


def test_a_scorecard_is_what_loops_over_minutes_find() -> None:
    """Drawn incidents, episodes and windows; every number that is published, of every rule."""
    seen = dict.fromkeys(("found", "already_open", "missed", "false"), 0)
    for seed in range(60):
        rng = random.Random(seed)
        incidents = [drawn_incident(rng) for _ in range(rng.randint(0, 4))]
        windows = [w for series in SERIES for spec in (ONE, SLIDING) for w in drawn_windows(rng, series, spec)]
        alerts = [step for one in RULES for series in SERIES for step in drawn_alerts(rng, one, series)]
        card = scored(incidents, alerts, windows)
        for score, one in zip(card.rules, RULES, strict=True):
            expected = by_minutes(one, incidents, episodes(alerts), windows)
            actual = (score.found, score.already_open, score.missed, score.alerts, score.false, score.clean // MINUTE)
            assert actual == expected[:6], (seed, one.id)
            assert (list(score.delays), list(score.windows)) == expected[6:], (seed, one.id)
            assert score.median_delay == (median(expected[6]) if expected[6] else None)
            per_week = expected[4] / (expected[5] / WEEK) if expected[5] else None
            assert score.false_per_week == (None if per_week is None else pytest.approx(per_week, rel=1e-12))
            for name in seen:
                seen[name] += getattr(score, name)
    assert min(seen.values()) > 20, seen


def scored(
    incidents: Sequence[Incident],
    alerts: Iterable[AlertEvent],
    windows: Iterable[MetricEvent],
    rules: Sequence[Rule] = RULES,
) -> Scorecard:
    survey = Survey(incidents)
    list(survey.through(windows))
    return scorecard(incidents, episodes(alerts), rules, survey)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def drawn_incident(rng: random.Random) -> Incident:
    start = rng.randrange(-20, MINUTES + 20)
    return Incident(
        kind="k",
        model=rng.choice("ab"),
        lane=rng.choice(["prod", "canary", "*"]),
        start=START + start * MINUTE,
        end=rng.choice([None, START + (start + rng.randint(1, 8)) * MINUTE]),
        rule=rng.choice([None, None, "all", "sliding"]),
    )


def drawn_windows(rng: random.Random, series: Series, spec: WindowSpec) -> list[MetricEvent]:
    return [window for window in EVERY[series, spec] if rng.random() < 0.8]


def drawn_alerts(rng: random.Random, one: Rule, series: Series) -> list[AlertEvent]:
    """Episodes of a rule, one after the other; the last one may stay open."""
    spec = SLIDING if one.id == "sliding" else ONE
    found, at = [], rng.randrange(30)
    while at < MINUTES:
        opened, at = at, at + rng.randint(1, 12)
        fired = alert(series, opened, SLOW, rule_id=one.id, spec=spec)
        found.append(replace(fired, consecutive=rng.randint(1, 3)))
        if at < MINUTES:
            found.append(alert(series, at, SLOW, AlertState.RESOLVED, 1, opened, one.id, spec))
        at += rng.randint(1, 30)
    return found


# --- the oracle -------------------------------------------------------------------------------------------------------


def minutes(start: int, end: int) -> set[int]:
    return set(range((start - START) // MINUTE, (end - START) // MINUTE))


def during(incident: Incident) -> set[int]:
    return minutes(incident.start, START + 200 * MINUTE if incident.end is None else incident.end)


def there(incident: Incident, series: Series) -> bool:
    return incident.model == series.model_id and (incident.lane == series.lane or "*" in (incident.lane, series.lane))


def run(fired: AlertEvent) -> set[int]:
    """The minutes of all windows in a row up to the one that fired."""
    found: set[int] = set()
    for back in range(fired.consecutive):
        start = fired.start - back * fired.spec.slide
        found |= minutes(start, start + fired.spec.size)
    return found


def still_on(episode: Episode) -> set[int]:
    """The minutes of the windows from the one that fired to the last that was not clean."""
    found: set[int] = set()
    start = episode.first.start
    while start < (START + 200 * MINUTE if episode.is_open else episode.last.start):
        found |= minutes(start, start + episode.first.spec.size)
        start += episode.first.spec.slide
    return found


def by_minutes(
    one: Rule, incidents: Sequence[Incident], found: Sequence[Episode], windows: Sequence[MetricEvent]
) -> tuple[int, int, int, int, int, int, list[int], list[int]]:
    theirs = [e for e in found if e.first.rule_id == one.id]
    hits, opened, missed, delays, counted = 0, 0, 0, [], []
    for incident in incidents:
        watched = one.model in ("*", incident.model) and (
            one.lane in ("*", "[*]", incident.lane) or incident.lane == "*"
        )
        measured = any(there(incident, w.series) and minutes(w.start, w.end) & during(incident) for w in windows)
        if not watched or incident.rule not in (None, one.id) or not measured:
            continue
        finders = [e for e in theirs if there(incident, e.first.series) and run(e.first) & during(incident)]
        if finders:
            hits += 1
            fired = min((e.first for e in finders), key=lambda a: a.end)
            delays.append(fired.end - incident.start)
            start, count = fired.start, 0
            while start + fired.spec.size > incident.start:
                count, start = count + 1, start - fired.spec.slide
            counted.append(count)
        elif any(
            there(incident, e.first.series)
            and max(run(e.first)) < min(during(incident))
            and min(during(incident)) in still_on(e)
            for e in theirs
        ):
            opened += 1
        else:
            missed += 1
    false = sum(not any(there(i, e.first.series) and run(e.first) & during(i) for i in incidents) for e in theirs)
    clean = sum(
        w.spec.slide // MINUTE
        for w in windows
        if w.spec.text == one.window
        and one.model in ("*", w.series.model_id)
        and (one.lane == "[*]" if w.series.lane == "*" else one.lane in ("*", w.series.lane))
        and not any(there(i, w.series) and minutes(w.start, w.end) & during(i) for i in incidents)
    )
    return hits, opened, missed, len(theirs), false, clean, sorted(delays), sorted(counted)


# --- by hand ----------------------------------------------------------------------------------------------------------

PROD = Series("a", "v1", "prod")
WINDOWS = [metric(PROD, at, []) for at in range(60)]
#          0    10        20             30        40        50
INCIDENT = Incident(kind="k", model="a", lane="prod", start=START + 20 * MINUTE, end=START + 22 * MINUTE)


def fired(at: int, consecutive: int = 1) -> AlertEvent:
    return replace(alert(PROD, at, SLOW, rule_id="all"), consecutive=consecutive)


def only(card: Scorecard) -> tuple[int, int, int, int]:
    (score,) = card.rules
    return score.found, score.already_open, score.missed, score.false


@pytest.mark.parametrize(
    ("at", "consecutive", "expected"),
    [
        (19, 1, (0, 0, 1, 1)),  # the window before the incident: over, and wrong
        (20, 1, (1, 0, 0, 0)),
        (21, 3, (1, 0, 0, 0)),  # the run began before the incident; it fired in it
        (22, 1, (0, 0, 1, 1)),  # the window behind it
        (23, 3, (1, 0, 0, 0)),  # a run that began in it: that the rule waits is no miss
        (24, 3, (0, 0, 1, 1)),
    ],
)
def test_the_run_that_fired_decides(at: int, consecutive: int, expected: tuple[int, int, int, int]) -> None:
    """The incident is minutes 20 and 21; windows of a minute. The alert resolves in the next window."""
    alerts = [fired(at, consecutive), alert(PROD, at + 1, SLOW, AlertState.RESOLVED, 1, at, "all")]
    assert only(scored([INCIDENT], alerts, WINDOWS, [RULES[0]])) == expected


def test_an_alert_that_is_on_already_tells_nobody() -> None:
    """It fired before the incident (and was wrong), and goes on in it, or ends with its first window."""
    resolved = {at: alert(PROD, at, SLOW, AlertState.RESOLVED, 1, 15, "all") for at in (20, 21)}
    assert only(scored([INCIDENT], [fired(15)], WINDOWS, [RULES[0]])) == (0, 1, 0, 1)
    assert only(scored([INCIDENT], [fired(15), resolved[21]], WINDOWS, [RULES[0]])) == (0, 1, 0, 1)
    assert only(scored([INCIDENT], [fired(15), resolved[20]], WINDOWS, [RULES[0]])) == (0, 0, 1, 1)


def test_an_incident_outside_of_what_was_measured_is_nobodys() -> None:
    """Before the first window, or behind the last one; one that nobody found inside is unmatched."""
    outside = [
        replace(INCIDENT, start=START - 9 * MINUTE, end=START),
        replace(INCIDENT, start=START + 60 * MINUTE, end=None),
    ]
    card = scored([*outside, INCIDENT], [], WINDOWS, [RULES[0]])
    assert only(card) == (0, 0, 1, 0)
    assert [(one.measured, one.unmatched) for one in card.incidents] == [(False, False), (False, False), (True, True)]


def test_an_incident_in_a_stretch_without_windows_is_nobodys() -> None:
    """Or of a model or lane that has none, whatever there is of others at that time."""
    other = [metric(Series("b", "v1", "prod"), at, []) for at in range(60)]
    holes = [*WINDOWS[:20], *WINDOWS[22:], *other]
    strange = [replace(INCIDENT, model="c"), replace(INCIDENT, lane="canary")]
    card = scored([INCIDENT, *strange, replace(INCIDENT, model="b")], [], holes, [RULES[0]])
    assert only(card) == (0, 0, 1, 0)
    assert [one.measured for one in card.incidents] == [False, False, False, True]


def test_weeks_are_of_what_windows_cover() -> None:
    """A quarter of an hour of traffic, and a lane of a batch that is 20 hours back; windows overlap, in any order."""
    back = Series("a", "v1", "batch")
    windows = [metric(PROD, at, [], spec) for at in range(15) for spec in (ONE, SLIDING)]
    windows += [metric(back, at - 1200, [], SLIDING) for at in (9, 5, 0, 1)]
    for seed in range(20):
        random.Random(seed).shuffle(windows)
        covered = set[int]().union(*(minutes(window.start, window.end) for window in windows))
        assert scored([], [], windows).weeks == len(covered) / WEEK
    assert 15 < len(covered) < 60


def test_an_incident_of_an_unknown_rule_is_said_to_be() -> None:
    """Known is what the policy has, and what an alert names."""
    named = [replace(INCIDENT, rule=rule) for rule in (None, "all", "stranger", "slwo")]
    card = scored(named, [replace(fired(30), rule_id="stranger")], WINDOWS, [RULES[0]])
    assert [one.rule_known for one in card.incidents] == [True, True, True, False]


def test_a_rule_that_the_policy_does_not_have_is_listed_behind_it() -> None:
    """Its time is that of the windows that its alerts spoke of."""
    stranger = replace(fired(30), rule_id="stranger")
    known, unknown = scored([INCIDENT], [stranger], WINDOWS, [RULES[0]]).rules
    assert (known.rule, known.alerts) == ("all", 0)
    assert (unknown.rule, unknown.alerts, unknown.false, unknown.clean) == ("stranger", 1, 1, 58 * MINUTE)


def test_without_windows_there_is_no_rate() -> None:
    card = scored([INCIDENT], [], [], [RULES[0]])
    assert (card.weeks, card.rules[0].false_per_week, card.incidents[0].measured) == (0.0, None, False)
