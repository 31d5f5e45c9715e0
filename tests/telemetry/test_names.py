"""The documentation shows every operational name, as it is declared."""

from __future__ import annotations

import re
from pathlib import Path

from streammon.telemetry import Event, Metric

OPERATING = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """The cells of the table below a heading, without backquotes in the first two."""
    section = re.split(r"^## ", OPERATING.split(f"## {heading}\n")[1], flags=re.MULTILINE)[0]
    table = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [tuple(cell.replace("`", "") for cell in row) for row in table[1:]]


def test_every_event_is_documented_and_no_other() -> None:
    assert rows("Log") == [(event.value, event.meaning) for event in Event]


def test_every_metric_is_documented_and_no_other() -> None:
    declared = [metric.value for metric in Metric]
    assert rows("Metrics") == [(m.name, m.kind.value, m.unit, ", ".join(m.labels) or "-", m.meaning) for m in declared]


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
