"""What the template shows, from what was collected: texts that are safe to display, and the numbers of charts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from streammon import __version__
from streammon.backtest.detection import detections
from streammon.backtest.episodes import Episode, Place
from streammon.report import captions, words
from streammon.report.chart import Chart
from streammon.report.charts import Charts
from streammon.report.collect import Observed
from streammon.report.distributions import Moved, moved
from streammon.report.evidence import SEVERITIES, alert_row, identity
from streammon.report.implied import implied_rules
from streammon.report.page import Cut
from streammon.report.sources import Source
from streammon.report.words import Moments
from streammon.text import counted

LISTED = 200  # series in the table at the top
TOP_CLASSES = 3  # whose shares are drawn when the mix of classes moved


@dataclass
class Panel:
    """A distribution that moved, and how its numbers went over time."""

    moved: Moved
    trends: list[Chart]


@dataclass
class Section:
    """One place on the page."""

    observed: Observed
    episodes: list[Episode]
    charts: list[Chart] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)


class Story:
    """All that could be shown; `view` shows a part of it."""

    def __init__(self, source: Source, observed: Mapping[Place, Observed], found: Sequence[Episode]) -> None:
        self._source, self._episodes = source, list(found)
        by_place: dict[Place, list[Episode]] = {}
        for episode in found:
            by_place.setdefault(episode.place, []).append(episode)
        places = dict(observed)
        for place, theirs in by_place.items():  # alerts alone, where the topic of metrics keeps less
            first, last = min(e.first.start for e in theirs), max(e.last.end for e in theirs)
            places.setdefault(place, Observed(place, first=first, last=last))
        self._sections = [Section(places[place], by_place.get(place, [])) for place in sorted(places)]
        self._sections.sort(key=lambda section: not section.episodes)  # alerts first, else in the order of names
        for section in self._sections:
            self._fill(section)
        observed_all = [section.observed for section in self._sections]
        self._range = (min(o.first for o in observed_all), max(o.last for o in observed_all)) if observed_all else None
        self._moments = Moments.between(*self._range) if self._range else Moments(None)
        self._several = len({one.place.series for one in observed_all}) < len(observed_all)

    def _fill(self, section: Section) -> None:
        source = self._source
        rules = implied_rules(section.episodes) if source.policy is None else source.policy.rules
        charts = Charts(section.observed, rules, section.episodes, source.incidents, source.baselines)
        section.charts = charts.all()
        for one in moved(section.episodes):
            m, spec = one.alert.measurement, one.alert.spec
            wanted = []
            if one.counts.name == "feature" and m.feature is not None:
                wanted = [("feature.mean", m.feature)]
            elif one.counts.labels:
                wanted = [
                    ("prediction.class_share", one.counts.labels[g])
                    for g in one.order
                    if g < len(one.counts.labels) - 1  # the last is the unseen ones
                ][:TOP_CLASSES]
            trends = [charts.of_feature(name, spec, feature) for name, feature in wanted]
            section.panels.append(Panel(one, [trend for trend in trends if trend is not None]))

    # --- what the template gets ---------------------------------------------------------------------------------------

    def view(self, cut: Cut) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """Texts for the template, numbers for the scripts, and sentences about what was left out."""
        told = self._sections[: cut.sections]
        ranked = sorted((chart.rank, at, index) for at, s in enumerate(told) for index, chart in enumerate(s.charts))
        shown = {(at, index) for _, at, index in ranked[: cut.charts]}
        data: dict[str, Any] = {"day": self._moments.day, "lines": {}, "bars": {}}
        sections, panels = [], 0
        for at, section in enumerate(told):
            here = section.panels[: max(cut.moved - panels, 0)]
            drawn = {chart.name for chart in [*section.charts, *(trend for panel in here for trend in panel.trends)]}
            panels += len(here)
            sections.append(
                {
                    "id": f"series-{at}",
                    "heading": self._series(section.observed.place),
                    "place": _origin(section.observed.place),
                    "alerts": _by_rule(section.episodes),
                    "open": sum(episode.is_open for episode in section.episodes),
                    "is_clean": not section.episodes,
                    "facts": _facts(section.observed, self._moments),
                    "charts": [
                        self._figure(chart, f"c{at}-{index}", data, cut)
                        for index, chart in enumerate(section.charts)
                        if (at, index) in shown
                    ],
                    "panels": [self._panel(panel, f"p{at}-{index}", data, cut) for index, panel in enumerate(here)],
                    "not_drawn": sorted(words.name(name) for name in section.observed.names - drawn),
                }
            )
        left_out = self._left_out(cut, len(shown), panels)
        return self._texts(sections, cut, left_out), data, left_out

    def _texts(self, sections: list[dict[str, Any]], cut: Cut, left_out: list[str]) -> dict[str, Any]:
        clean = sum(not section.episodes for section in self._sections)
        total = len(self._sections)
        alerts = self._alerts(cut)
        return {
            "version": __version__,
            "headline": _headline(total, clean, len(self._episodes)),
            "source": words.name(self._source.name, 200),
            "range": None if self._range is None else [words.moment(edge) for edge in self._range],
            "day": self._moments.day,
            "totals": {
                "events": f"{sum(s.observed.tally.events for s in self._sections):,}",
                "windows": f"{sum(t.windows for s in self._sections for t in s.observed.tallies.values()):,}",
                "series": f"{total:,}",
                "clean": f"{clean:,}",
                "alerts": f"{len(self._episodes):,}",
                "open": f"{sum(episode.is_open for episode in self._episodes):,}",
            },
            "series": [
                {
                    "id": f"series-{at}" if at < len(sections) else None,
                    "name": self._series(s.observed.place),
                    "events": f"{s.observed.tally.events:,}",
                    "windows": ", ".join(
                        f"{t.windows:,} of {words.window(w)}" for w, t in sorted(s.observed.tallies.items())
                    ),
                    "alerts": _by_rule(s.episodes),
                    "open": sum(episode.is_open for episode in s.episodes),
                    "first": self._moments(s.episodes[0].first.opened_at) if s.episodes else "-",
                }
                for at, s in enumerate(self._sections[:LISTED])
            ],
            "incidents": [self._incident(incident) for incident in self._source.incidents[:LISTED]],
            "alerts": alerts,
            "sections": sections,
            "left_out": left_out,
            "bands": any(
                c.band is not None
                for s in self._sections
                for c in [*s.charts, *(t for p in s.panels for t in p.trends)]
            ),
            "identity": identity([s.observed for s in self._sections], self._source, bool(self._episodes)),
        }

    def _figure(
        self, chart: Chart, id: str, data: dict[str, Any], cut: Cut, heading: str | None = None
    ) -> dict[str, Any]:
        data["lines"][id] = chart.data(cut.buckets)
        return {
            "id": id,
            "title": heading or words.title(chart.name),
            "name": words.name(chart.name),
            "window": words.window(chart.window),
            "caption": captions.of_chart(chart, self._moments),
            "rows": [row._asdict() for row in captions.rows(chart)],
            "has_limits": bool(chart.limits),
            "thinned": len(data["lines"][id]["t"]) < len(chart.times),
        }

    def _panel(self, panel: Panel, id: str, data: dict[str, Any], cut: Cut) -> dict[str, Any]:
        one = panel.moved
        data["bars"][id] = one.data()
        feature = one.alert.measurement.feature
        what = {"prediction.class": "Predicted classes", "prediction.score": "Score"}.get(one.counts.name)
        return {
            "id": id,
            "title": what or words.name(feature),
            "subject": what.lower() if what else words.name(feature),
            "rule": words.name(one.alert.rule_id),
            "caption": captions.of_moved(one, self._moments),
            "groups": [
                {"label": label, "reference": f"{100 * reference:.2f} %", "current": f"{100 * current:.2f} %"}
                for label, reference, current in zip(one.labels, one.reference, one.current, strict=True)
            ],
            "trends": [
                self._figure(
                    chart,
                    f"{id}-{index}",
                    data,
                    cut,
                    f"{words.title(chart.name)} {words.name(chart.curves[0].feature)}",
                )
                for index, chart in enumerate(panel.trends)
            ],
        }

    def _incident(self, incident: Any) -> dict[str, str]:
        found = [
            f"{words.name(d.alert.rule_id)} after {counted(d.windows, 'window')} of {words.window(d.alert.spec)}"
            for d in detections(incident, self._episodes)
        ]
        was_measured = any(
            incident.touches(s.observed.place.series.model_id, s.observed.place.series.lane, *s.observed.span)
            for s in self._sections
        )
        return {
            "kind": words.name(incident.kind),
            "where": f"{words.name(incident.model)} {words.name(incident.lane)}",
            "start": self._moments(incident.start),
            "end": "-" if incident.end is None else self._moments(incident.end),
            "found": "; ".join(found) or ("not found" if was_measured else "nothing was measured there"),
        }

    def _alerts(self, cut: Cut) -> list[dict[str, Any]]:
        """The severest, then the first ones; shown in the order of time."""
        ranked = sorted(self._episodes, key=lambda e: (SEVERITIES.get(e.first.severity, 3), e.first.opened_at))
        kept = {e.first.alert_id for e in ranked[: cut.alerts]}
        return [alert_row(e, self._series(e.place), self._moments) for e in self._episodes if e.first.alert_id in kept]

    def _left_out(self, cut: Cut, drawn: int, panels: int) -> list[str]:
        total = sum(len(s.charts) for s in self._sections)
        all_panels = sum(len(s.panels) for s in self._sections)
        counts = (
            (drawn, total, "charts, those with alerts first"),
            (panels, all_panels, "distributions that moved"),
            (min(cut.alerts, len(self._episodes)), len(self._episodes), "alerts, the severest first"),
            (min(cut.sections, len(self._sections)), len(self._sections), "series with a section of their own"),
            (min(LISTED, len(self._sections)), len(self._sections), "series in the table"),
            (min(LISTED, len(self._source.incidents)), len(self._source.incidents), "known incidents"),
        )
        return [f"{shown:,} of {all_:,} {what}" for shown, all_, what in counts if shown < all_]

    def _series(self, place: Place) -> str:
        """Its name, with the partition where one lies in several, so that the name alone does not say which."""
        names = " / ".join(words.name(part) for part in place.series)
        return f"{names} (partition {place.partition})" if self._several else names


def _origin(place: Place) -> str:
    return f"{words.name(place.topic)}, partition {place.partition}"


def _headline(total: int, clean: int, alerts: int) -> str:
    if not total:
        return "Nothing was measured"
    if clean == total:
        return "The only series is without alerts" if total == 1 else f"All {total:,} series are without alerts"
    return f"{counted(alerts, 'alert')} in {total - clean:,} of {total:,} series"


def _by_rule(found: Sequence[Episode]) -> list[dict[str, Any]]:
    counts = Counter(episode.first.rule_id for episode in found)
    return [{"rule": words.name(rule), "count": count} for rule, count in counts.items()]


def _facts(o: Observed, moments: Moments) -> str:
    states = {state: n for state, n in o.states.items() if state != "ok"}
    said = [
        f"{moments(o.first)} to {moments(o.last)}",
        counted(o.tally.events, "event"),
        f"{o.tally.late:,} late",
        *(f"{counted(n, 'window')} {words.name(state)}" for state, n in states.items()),
    ]
    return " · ".join(said)
