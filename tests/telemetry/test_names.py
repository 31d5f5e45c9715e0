"""Operational names: conventions, and what the documentation says of them beside its tables."""

from __future__ import annotations

import re
from pathlib import Path

from streammon.telemetry import Metric

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")


def test_no_label_is_chosen_by_a_producer() -> None:
    """Model ids, versions and lanes have no bound: they would fill the memory of Prometheus."""
    labels = {label for metric in Metric for label in metric.value.labels}
    assert labels == {"topic", "partition", "reason", "severity", "state", "version", "plan"}


def test_names_follow_the_conventions_of_prometheus() -> None:
    for metric in Metric:
        name, kind, unit, _, _ = metric.value
        assert re.fullmatch(r"streammon_[a-z_]+", name)
        assert name.endswith("_total") == (kind == "counter")
        if unit.startswith("seconds"):
            assert name.endswith("_seconds")


def test_the_alerts_of_the_documentation_ask_for_metrics_that_there_are() -> None:
    named = set(re.findall(r"\bstreammon_\w+", OPERATING))
    declared = {metric.value.name for metric in Metric}
    assert {name.removesuffix("_bucket") for name in named} <= declared
