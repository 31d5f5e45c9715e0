"""`streammon check`: what the settings mean, against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streammon.core.aggregates import AGGREGATES
from streammon.core.baseline import Layout
from tests.commands.conftest import Command, Files
from tests.commands.test_wrong_use import assert_refused

MINUTE = 60_000_000
SETTINGS = """
windows: [1m, 5m, 1h]
allowed_lateness: 90s
models:
  - match: "fraud-*"
    features: [age, income]
    classes: ["no", "yes"]
rules:
  - id: slow
    measurement: latency.p95
    window: 5m
    above: 250
    min_samples: 100
    consecutive: 3
    cooldown: 15m
    severity: P1
    action: page
    lane: prod
  - id: drift
    measurement: feature.psi_excess
    window: 1h
    above: 0.2
limits:
  series_alert: false
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "streammon.yaml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


def checked(command: Command, *arguments: object) -> dict[str, Any]:
    result = command("check", *arguments, "--json")
    assert (result.code, result.err) == (0, "")
    found: dict[str, Any] = json.loads(result.out)
    return found


def test_windows_and_panes(command: Command, config: Path) -> None:
    """Panes are as wide as the greatest common divisor of the windows."""
    found = checked(command, "--config", config)
    assert found["pane_width"] == MINUTE
    assert {window["window"]: window["panes"] for window in found["windows"]} == {"1m": 1, "5m": 5, "1h": 60}
    assert {window["closes"] for window in found["windows"]} == {"closes 90s after its end, by its series' clock"}
    assert (found["allowed_lateness"], found["idle_grace"], found["max_future_skew"]) == (
        *(90_000_000, 5 * MINUTE, 5 * MINUTE),
    )


TIME = """
windows:
- 1m
- 5m every 1m
- {window: 1h every 5m offset 2m, model: "fraud-*", lane: prod}
- {window: 1h every 5m offset 2m, model: "credit", lane: "[*]"}
rollups: [lanes, model]
empty_windows: 3
idle_timeout: 90s
expire_after: 2d
topics: {late: others}
rules:
- {id: silent, measurement: traffic.count, window: 1m, below: 1, min_samples: 0}
- {id: slow, measurement: latency.p95, window: 5m every 1m, above: 250, consecutive: 3, lane: "[*]"}
limits: {series_alert: false}
"""


def test_sliding_windows_scopes_and_roll_ups(command: Command, config: Path) -> None:
    """In numbers and in words. Three windows of 5 m that slide by 1 m reach over 7 m."""
    config.write_text(TIME, encoding="utf-8")
    found = checked(command, "--config", config, "--series", 10)
    assert found["pane_width"] == MINUTE
    tumbling, sliding, scoped = found["windows"]
    assert [tumbling[key] for key in ("window", "panes", "only_for")] == ["1m", 1, []]
    assert [sliding[key] for key in ("window", "panes", "slide", "only_for")] == ["5m every 1m", 5, MINUTE, []]
    assert [scoped[key] for key in ("window", "panes", "offset")] == ["1h every 5m offset 2m", 60, 2 * MINUTE]
    assert scoped["only_for"] == [
        {"model": "credit", "version": "*", "lane": "[*]"},
        {"model": "fraud-*", "version": "*", "lane": "prod"},
    ]
    assert (found["rollups"], found["empty_windows"], found["late_topic"]) == (["lanes", "model"], 3, "others")
    assert (found["idle_timeout"], found["expire_after"]) == (90_000_000, 2 * 1_440 * MINUTE)
    assert [rule["text"] for rule in found["rules"]] == [
        "P3 ticket when traffic.count is below 1 in a window of 1m; windows without events count; "
        "again at every window",
        "P3 ticket when latency.p95 is above 250 in 3 windows of 5m every 1m in a row (7m at least); "
        "again at every window; lane [*]",
    ]
    lines = command("check", "--config", config).out.splitlines()
    for line in (
        "  5m every 1m           5 panes; closes 10s after its end, by its series' clock",
        "  1h every 5m offset 2m 60 panes; closes 10s after its end, by its series' clock; "
        "only for model credit, lane [*] or model fraud-*, lane prod",
        "  model: all of a model",
        "empty      windows without events are published: 3 at most behind each that has some",
        "silent     a partition without records for 90s of wall time closes its windows",
        "expired    a series 2d behind its partition's progress frees its place",
    ):
        assert line in lines
    assert [line for line in lines if line.endswith("a copy goes to others")]


def test_roll_ups_take_memory_too(command: Command, config: Path) -> None:
    """Of each kind there are as many as series, at most."""
    config.write_text("windows: [1m]\n", encoding="utf-8")
    alone = checked(command, "--config", config, "--series", 10)["memory"]
    config.write_text("windows: [1m]\nrollups: [lanes, model]\n", encoding="utf-8")
    rolled = checked(command, "--config", config, "--series", 10)["memory"]
    assert (alone["rollups"], rolled["rollups"]) == (0, 20)
    assert rolled["bytes"] - alone["bytes"] == 20 * alone["pane_bytes"] * alone["live_panes"]


def test_a_rule_on_silence_that_sees_none(command: Command, config: Path) -> None:
    config.write_text(TIME.replace("empty_windows: 3", "empty_windows: 0"), encoding="utf-8")
    silent = checked(command, "--config", config)["rules"][0]["text"]
    assert silent.endswith("never of silence: empty_windows is 0, so there are no windows without events")


def test_rules_in_words(command: Command, config: Path) -> None:
    rules = {rule["id"]: rule["text"] for rule in checked(command, "--config", config)["rules"]}
    assert rules == {
        "slow": "P1 page when latency.p95 is above 250 in 3 windows of 5m in a row (15m at least); "
        "of 100 samples or more; again after 15m; lane prod",
        "drift": "P3 ticket when feature.psi_excess is above 0.2 in a window of 1h; again at every window; "
        "never yet: it needs a baseline, and there is none",
    }


def test_memory_by_the_declared_fields(command: Command, config: Path) -> None:
    """Arrays of a pane of the largest layout, times live panes, times series; and `__other__`, which has no layout."""

    def arrays(layout: Layout) -> int:
        fields = [field for aggregate in AGGREGATES for field in aggregate.fields(layout)]
        return sum(np.zeros(field.shape, field.dtype).nbytes for field in fields)

    ours = arrays(Layout(("age", "income"), ("no", "yes"), 0))
    memory = checked(command, "--config", config, "--series", 10)["memory"]
    assert memory["series"] == 10
    # Open are the panes of the lateness, 2, and the one ahead. Of the 4 other panes of 5m, blocks of 1, 2 and 4 panes:
    # 3 + 2 + 1; of the 59 other panes of 1h 3 + 3 + 3 + 3 + 3 + 1, up to blocks of 32.
    live = 3 + 6 + 16
    assert memory["live_panes"] == live
    assert ours < memory["pane_bytes"] < ours + 100  # beside the arrays, its row in the table of panes
    overhead = memory["pane_bytes"] - ours
    assert memory["bytes"] == live * (10 * (ours + overhead) + arrays(Layout()) + overhead)
    assert checked(command, "--config", config)["memory"]["series"] == 1_000  # as many as may be


def test_a_baseline(command: Command, files: Files) -> None:
    """With one, no rule waits for it."""
    found = checked(command, "--config", files.config)
    (baseline,) = found["baselines"]
    assert (baseline["model_id"], baseline["n"], len(baseline["features"])) == ("digits-0", 20_000, 16)
    assert baseline["effective"].startswith("from the beginning in a new group")
    assert not [rule for rule in found["rules"] if "never yet" in rule["text"]]
    assert {schema["name"] for schema in found["schemas"]} == {"streammon.v1.InferenceEvent"}


def test_where_fields_come_from(command: Command, tmp_path: Path) -> None:
    """By schema: a path, the field's own name, a default where the schema has neither; the rest is null."""
    fields = [{"name": name, "type": "string"} for name in ("model_id", "lane")]
    with_lane = {"type": "record", "name": "New", "fields": [{"name": "when", "type": "long"}, *fields]}
    without = {"type": "record", "name": "Old", "fields": [{"name": "when", "type": "long"}, fields[0]]}
    for schema in (with_lane, without):
        (tmp_path / f"{schema['name']}.avsc").write_text(json.dumps(schema), encoding="utf-8")
    config = tmp_path / "streammon.yaml"
    config.write_text(
        "input: {schemas: [New.avsc, Old.avsc], mapping: {ts: when}, defaults: {lane: prod, weight: 2}}\n",
        encoding="utf-8",
    )
    found = {schema["name"]: schema for schema in checked(command, "--config", config)["schemas"]}
    same = {"ts": "when", "model_id": "model_id", "weight": "default 2.0"}
    assert found["New"]["filled"] == {**same, "lane": "lane"}
    assert found["Old"]["filled"] == {**same, "lane": "default 'prod'"}
    assert "latency_ms" in found["Old"]["null"]


def test_the_hashes_say_what_changed(command: Command, config: Path) -> None:
    """The plan's says whether state is still good, the policy's whether the rules are the same."""
    before = checked(command, "--config", config)["hashes"]
    config.write_text(SETTINGS.replace("above: 250", "above: 300"), encoding="utf-8")
    after = checked(command, "--config", config)["hashes"]
    assert before["plan"] == after["plan"]
    assert before["policy"] != after["policy"]
    config.write_text(SETTINGS.replace("90s", "91s"), encoding="utf-8")
    assert checked(command, "--config", config)["hashes"]["plan"] != before["plan"]


def test_words_for_people(command: Command, config: Path) -> None:
    result = command("check", "--config", config)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    for line in (
        "windows    made of panes of 1m, in event time, aligned to the epoch",
        "  5m       5 panes; closes 90s after its end, by its series' clock",
        "  model_id fraud-*: 2 features, 2 classes",
        "baselines  none: no drift tests",
    ):
        assert line in lines
    assert lines[-1].startswith("hashes     plan ")


def test_settings_that_are_wrong(command: Command, config: Path) -> None:
    """File and line, as everywhere."""
    config.write_text("windows: [1m]\nallowed_lateness: 10\n", encoding="utf-8")
    assert_refused(command("check", "--config", config), f"{config}:2: allowed_lateness: a duration needs a unit")
    config.write_text("baselines: [nothing]\n", encoding="utf-8")
    assert_refused(command("check", "--config", config), "nothing")
    assert_refused(command("check", "--config", config, "--series", 0), "at least 1")
