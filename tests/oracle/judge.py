"""Threshold rules and the life of an alert. All times are event time: ends of windows.

A rule watches the windows of one size / slide / offset, and has one instance per (series, feature):

- a window is *sufficient* when the measurement has a value and its n is at least `min_samples`;
- `run` counts violating windows in a row; a window that is not sufficient, or that does not exist, resets it;
- no alert open, run >= consecutive, and `cooldown` past since the last FIRING: FIRING;
- alert open, violating, and `cooldown` past since the last FIRING or ONGOING: ONGOING;
- alert open, sufficient and not violating: RESOLVED.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any

from tests.oracle.clock import Spec
from tests.oracle.files import plain_times
from tests.oracle.measure import Distribution, Row

Metric = dict[str, Any]  # schemas/metric_event.avsc
Alert = dict[str, Any]  # schemas/alert_event.avsc
Behind = Mapping[tuple[str, str | None], Distribution]  # by prefix of the measurement's name, and feature

DRIFT = ("ks", "psi", "psi_excess", "kl", "js")

DEFAULTS: dict[str, Any] = {
    "above": None,
    "below": None,
    "feature": "*",
    "model": "*",
    "version": "*",
    "lane": "*",
    "min_samples": 1,
    "consecutive": 1,
    "cooldown": 0,
    "severity": "P3",
    "action": "ticket",
}
PLACE = ("topic", "partition", "model_id", "model_version", "lane", "window", "closing_position")
ORIGIN = ("baseline_id", "data_hash", "git_commit")


def identity(*fields: str | int) -> str:
    """BLAKE2b, 16 bytes, over the fields, each behind its length as 4 bytes big-endian."""
    texts = [str(field).encode() for field in fields]
    return blake2b(b"".join(len(text).to_bytes(4, "big") + text for text in texts), digest_size=16).hexdigest()


def split(name: str) -> tuple[str, str]:
    """Prefix and statistic of a measurement's name.

    >>> split("feature.psi_excess"), split("prediction.score_js")
    (('feature.', 'psi_excess'), ('prediction.score_', 'js'))
    """
    prefixes = ("prediction.score_", "prediction.class_", name[: name.index(".") + 1])
    prefix = next(prefix for prefix in prefixes if name.startswith(prefix))
    return prefix, name.removeprefix(prefix)


def series_of(event: Mapping[str, Any]) -> tuple[str, str, str]:
    return event["model_id"], event["model_version"], event["lane"]


def spec_of(event: Mapping[str, Any]) -> Spec:
    window = event["window"]
    return Spec(window["size"], window["slide"], window["offset"])


def metric_id(metric: Mapping[str, Any]) -> str:
    place = (metric["topic"], metric["partition"], *series_of(metric))
    return identity("metric", *place, spec_of(metric).text, metric["window"]["start"], metric["revision"])


def alert_id(metric: Mapping[str, Any], rule_id: str, feature: str | None, opening_start: int) -> str:
    place = (metric["topic"], metric["partition"], *series_of(metric))
    return identity("alert", *place, rule_id, feature or "", spec_of(metric).text, opening_start)


@dataclass
class _Instance:
    run: int = 0
    previous_start: int | None = None  # of the series' previous window, whatever it said
    alert_id: str | None = None  # of the open alert
    number: int = 0  # of its next event
    opened_at: int = 0
    fired_at: int | None = None  # end of the window of the last FIRING
    notified_at: int = 0  # end of the window of the last FIRING or ONGOING


class Judge:
    def __init__(self, rules: Iterable[Mapping[str, Any]]) -> None:
        self.rules = [{**DEFAULTS, **rule} for rule in rules]
        self.instances: dict[tuple[Any, ...], _Instance] = {}

    def judge(self, metric: Metric, behind: Behind | None = None) -> list[Alert]:
        """Alert events of one metric event; metric events come in the order in which they are published.

        `behind`: the window's distributions. An alert says nothing of them where they are not known.
        """
        alerts = []
        for rule in self.rules:
            if not _watches(rule, metric):
                continue
            for row in metric["measurements"]:
                if row["name"] == rule["measurement"] and _about(rule, row["feature"]):
                    alert = self._step(rule, metric, row)
                    if alert and behind is not None:
                        prefix, statistic = split(row["name"])
                        alert["distribution"] = behind.get((prefix, row["feature"])) if statistic in DRIFT else None
                    alerts += [alert] if alert else []
        return alerts

    def _step(self, rule: Mapping[str, Any], metric: Metric, row: Row) -> Alert | None:
        key = (metric["topic"], metric["partition"], series_of(metric), rule["id"], row["feature"])
        instance = self.instances.setdefault(key, _Instance())
        start, end = metric["window"]["start"], metric["window"]["end"]
        if instance.previous_start is not None and start != instance.previous_start + metric["window"]["slide"]:
            instance.run = 0  # a window is missing
        instance.previous_start = start

        if row["value"] is None or row["n"] < rule["min_samples"]:
            instance.run = 0
            return None
        if not _violates(rule, row["value"]):
            instance.run = 0
            if instance.alert_id is None:
                return None
            alert = _event("RESOLVED", rule, metric, row, instance)
            instance.alert_id = None
            return alert
        instance.run += 1
        if instance.alert_id is None:
            if instance.run < rule["consecutive"]:
                return None
            if instance.fired_at is not None and end - instance.fired_at < rule["cooldown"]:
                return None
            instance.alert_id = alert_id(metric, rule["id"], row["feature"], start)
            instance.number = 0
            instance.opened_at = instance.fired_at = instance.notified_at = end
            return _event("FIRING", rule, metric, row, instance)
        if end - instance.notified_at < rule["cooldown"]:
            return None
        instance.notified_at = end
        return _event("ONGOING", rule, metric, row, instance)


def alerts_of(metrics: Iterable[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], Alert]:
    """Alert events by (alert_id, number) of a set of metric events, expected or published."""
    judge = Judge(rules)
    alerts = [
        alert for metric in sorted(map(plain_times, metrics), key=publishing_order) for alert in judge.judge(metric)
    ]
    return {(alert["alert_id"], alert["number"]): alert for alert in alerts}


def publishing_order(metric: Metric) -> tuple[Any, ...]:
    position, end = metric["closing_position"], metric["window"]["end"]
    return metric["partition"], position, end, spec_of(metric), series_of(metric)


def matches(series: Sequence[str], model: str, version: str, lane: str) -> bool:
    """Whether shell patterns are about a series. Of a roll-up they say so: `[*]` is its version or lane.

    >>> [matches(("m", "*", "a"), "*", version, "?") for version in ("*", "[*]", "1")]
    [False, True, False]
    """
    if "__other__" in series[:1]:
        return model == "__other__"  # a pattern does not speak of what is over the limit on series
    for text, pattern in zip(series[1:], (version, lane), strict=True):
        if text == "*" and pattern != "[*]":
            return False
    return all(fnmatchcase(text, pattern) for text, pattern in zip(series, (model, version, lane), strict=True))


def _watches(rule: Mapping[str, Any], metric: Metric) -> bool:
    return rule["window"] == spec_of(metric).text and matches(
        series_of(metric), rule["model"], rule["version"], rule["lane"]
    )


def _about(rule: Mapping[str, Any], feature: str | None) -> bool:
    """A measurement without a feature matches "*" only."""
    return bool(rule["feature"] == "*" if feature is None else fnmatchcase(feature, rule["feature"]))


def _violates(rule: Mapping[str, Any], value: float) -> bool:
    return bool(value > rule["above"] if rule["above"] is not None else value < rule["below"])


def _event(state: str, rule: Mapping[str, Any], metric: Metric, row: Row, instance: _Instance) -> Alert:
    number = instance.number
    instance.number += 1
    return {
        "alert_id": instance.alert_id,
        "number": number,
        "state": state,
        "rule_id": rule["id"],
        "severity": rule["severity"],
        "action": rule["action"],
        "measurement": {**row, "threshold": rule["above"] if rule["above"] is not None else rule["below"]},
        "consecutive": instance.run,
        "opened_at": instance.opened_at,
        **{name: metric[name] for name in PLACE + ORIGIN},
    }
