"""Differences between what the oracle expects and what was published, as lines to read.

Integers, strings, flags and nulls are equal; floats agree within 1e-9 (|value| + 1); p within 1e-9; latency quantiles
within 1 % of the value, and never above the greatest latency. A square root is compared by its square, because 1e-17
beside 0 is rounding, and its root is not. Not compared: hashes of plan and policy, `method` (it names the device), and
`evidence` and `summary` of alerts.

A rule on a latency quantile may decide otherwise within that 1 %: judge what was published instead, by
`judge.alerts_of(published metrics, rules)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.oracle.files import plain_times
from tests.oracle.oracle import Result

TOLERANCE = 1e-9
QUANTILES = ("latency.p50", "latency.p95", "latency.p99")
QUANTILE_ERROR = 0.01
LEAST_LATENCY = 0.001  # ms: what lies below reads as 0 to 1 µs
ROOTS = {("feature.sd", "value"), ("prediction.score_sd", "value")}
ROOTS |= {(f"{prefix}js", "effect") for prefix in ("feature.", "prediction.score_", "prediction.class_")}
MAX_LINES = 100


def compare(
    expected: Result, actual_metrics: Iterable[Mapping[str, Any]], actual_alerts: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Empty when everything was published once, and nothing else. Actual events are dicts as read from Avro."""
    lines = compare_metrics(expected, actual_metrics) + compare_alerts(expected, actual_alerts)
    hidden = len(lines) - MAX_LINES
    return lines if hidden <= 0 else [*lines[:MAX_LINES], f"... and {hidden} more differences"]


def compare_metrics(expected: Result, actual: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = []
    seen = set()
    for event in map(plain_times, actual):
        identity = event["event_id"]
        metric = expected.metrics.get(identity)
        if identity in seen:
            lines.append(f"{_place(event)}: published twice ({identity})")
        elif metric is None:
            lines.append(f"{_place(event)}: unexpected metric event {identity}")
        else:
            lines += [f"{_place(metric)}: {line}" for line in _metric_differences(metric, event)]
        seen.add(identity)
    lines += [f"{_place(m)}: missing, n = {m['n']}" for identity, m in expected.metrics.items() if identity not in seen]
    return lines


def compare_alerts(expected: Result, actual: Iterable[Mapping[str, Any]]) -> list[str]:
    lines = []
    seen = set()
    for event in map(plain_times, actual):
        identity = event["alert_id"], event["number"]
        alert = expected.alerts.get(identity)
        if identity in seen:
            lines.append(f"{_alert_place(event)}: published twice ({identity[0]})")
        elif alert is None:
            lines.append(f"{_alert_place(event)}: unexpected alert event {identity[0]}")
        else:
            lines += [f"{_alert_place(alert)}: {line}" for line in _alert_differences(alert, event)]
        seen.add(identity)
    lines += [f"{_alert_place(alert)}: missing" for key, alert in expected.alerts.items() if key not in seen]
    return lines


def order_differences(
    expected: Result, actual_metrics: Iterable[Mapping[str, Any]], actual_alerts: Iterable[Mapping[str, Any]]
) -> list[str]:
    """Whether events lie in their order; actual events as they lie in their topics, whose order is that of a model.

    Metric events of one (partition, model) in publishing order, measurements within each in the order of
    docs/measurements.md, events of one alert by number. Events that are missing or unexpected are `compare`'s affair.
    """
    lines = []
    wanted: dict[tuple[int, str], list[str]] = {}
    for identity, metric in expected.metrics.items():
        wanted.setdefault((metric["partition"], metric["model_id"]), []).append(identity)
    found: dict[tuple[int, str], list[str]] = {}
    for event in actual_metrics:
        if event["event_id"] not in expected.metrics:
            continue
        found.setdefault((event["partition"], event["model_id"]), []).append(event["event_id"])
        rows = expected.metrics[event["event_id"]]["measurements"]
        for row, other in zip(rows, event["measurements"], strict=False):
            if (row["name"], row["feature"]) != (other["name"], other["feature"]):
                lines.append(f"{_place(plain_times(event))}: expected {_row_name(row)} where {_row_name(other)} is")
                break
    for key, identities in found.items():
        there = set(identities)
        for identity, other_id in zip([i for i in wanted[key] if i in there], identities, strict=False):
            if identity != other_id:
                place, other_place = _place(expected.metrics[identity]), _place(expected.metrics[other_id])
                lines.append(f"order: expected {place} where {other_place} is")
                break
    next_number: dict[str, int] = {}
    for alert in map(plain_times, actual_alerts):
        number = next_number.get(alert["alert_id"], 0)
        if alert["number"] != number:
            lines.append(f"{_alert_place(alert)}: expected number {number} of {alert['alert_id']}")
        next_number[alert["alert_id"]] = alert["number"] + 1
    return lines


def _metric_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    header = {name: value for name, value in expected.items() if name != "measurements"}
    yield from _header_differences(header, actual)
    rows = {(row["name"], row["feature"]): row for row in expected["measurements"]}
    seen = set()
    for row in actual["measurements"]:
        key = row["name"], row["feature"]
        if key in seen:
            yield f"{_row_name(row)}: twice in one event"
        elif key not in rows:
            yield f"{_row_name(row)}: unexpected, value {row['value']}"
        else:
            yield from _row_differences(rows[key], row)
        seen.add(key)
    greatest = rows["latency.max", None]["value"]
    for row in actual["measurements"]:
        if row["name"] in QUANTILES and row["value"] is not None and greatest is not None and row["value"] > greatest:
            yield f"{row['name']}: {row['value']} is above the greatest latency, {greatest}"
    yield from (f"{_row_name(row)}: missing" for key, row in rows.items() if key not in seen)


def _alert_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    header = {name: value for name, value in expected.items() if name != "measurement"}
    yield from _header_differences(header, actual)
    for name in ("name", "feature"):
        if expected["measurement"][name] != actual["measurement"][name]:
            yield f"measurement: expected {_row_name(expected['measurement'])}, got {_row_name(actual['measurement'])}"
    yield from _row_differences(expected["measurement"], actual["measurement"])


def _header_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if name not in actual:
            yield f"{name}: no such field"
        elif actual[name] != value:
            yield f"{name}: expected {value}, got {actual[name]}"


def _row_differences(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    for field, value in expected.items():
        if not _agrees(expected["name"], field, value, actual[field]):
            yield f"{_row_name(expected)} {field}: expected {value}, got {actual[field]}"


def _agrees(name: str, field: str, expected: Any, actual: Any) -> bool:
    if not isinstance(expected, float | int) or not isinstance(actual, float | int) or field in ("n", "reference_n"):
        return bool(expected == actual)
    if name in QUANTILES and field == "value":
        return abs(actual - expected) <= QUANTILE_ERROR * expected or (
            expected < LEAST_LATENCY and 0 <= actual <= LEAST_LATENCY
        )
    if field == "p":
        return abs(actual - expected) <= TOLERANCE
    if abs(actual - expected) <= TOLERANCE * (abs(expected) + 1):
        return True
    return (name, field) in ROOTS and actual >= 0 and abs(actual**2 - expected**2) <= TOLERANCE * (expected**2 + 1)


def _row_name(row: Mapping[str, Any]) -> str:
    return row["name"] if row["feature"] is None else f"{row['name']}[{row['feature']}]"


def _place(event: Mapping[str, Any]) -> str:
    window = event["window"]
    series = f"{event['model_id']}/{event['model_version']}/{event['lane']}"
    return f"partition {event['partition']} {series} [{window['start']}, {window['end']})"


def _alert_place(event: Mapping[str, Any]) -> str:
    return f"{_place(event)} {event['rule_id']} number {event['number']} {event['state']}"
