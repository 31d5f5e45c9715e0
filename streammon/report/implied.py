"""Rules as far as their alerts tell them, for a report that knows no policy."""

from __future__ import annotations

from collections.abc import Iterable
from glob import escape

from streammon.backtest.episodes import Episode
from streammon.core.outputs import AlertState
from streammon.core.rules import Rule, Threshold


def implied_rules(found: Iterable[Episode]) -> list[Rule]:
    """A threshold for each, for the series and the feature that it spoke of."""
    rules: dict[tuple[object, ...], Rule] = {}
    for episode in found:
        alert, m = episode.first, episode.first.measurement
        if m.threshold is None or m.value is None or alert.state is AlertState.RESOLVED:
            continue
        above = m.value > m.threshold
        rules[alert.series, alert.rule_id, m.feature, alert.spec] = Threshold(
            id=alert.rule_id,
            measurement=m.name,
            window=alert.spec.text,
            feature="*" if m.feature is None else escape(m.feature),
            model=escape(alert.series.model_id) if alert.series.model_id != "__other__" else alert.series.model_id,
            version=escape(alert.series.model_version),
            lane=escape(alert.series.lane),
            above=m.threshold if above else None,
            below=None if above else m.threshold,
        )
    return list(rules.values())
