"""`compare`, `backtest`, and what `replay` checks when it is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streammon import incidents
from streammon.adapters.codec import to_bytes
from streammon.cli import main
from streammon.incidents import Incident
from tests.broker import kafka_tools
from tests.commands.conftest import Command, Files
from tests.commands.test_wrong_use import assert_refused
from tests.conftest import Topics
from tests.report.recordings import MINUTE, START, drifted, write

OTHER_RULES = """
rules:
  - {id: slow, measurement: latency.p95, window: 1m, above: 20, action: page}
  - {id: count, measurement: traffic.count, window: 1m, above: 0, cooldown: 1h}
"""


class Runs(NamedTuple):
    folder: Path
    config: Path
    replayed: Path  # of the clean recording


@pytest.fixture(scope="module")
def runs(files: Files, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("backtest")
    config = folder / "streammon.yaml"
    config.write_text(files.config.read_text().replace("[baselines/digits-0]", f"[{files.baseline}]"))
    (folder / "other.yaml").write_text(OTHER_RULES)
    replayed = folder / "replayed"
    assert main(["replay", "--config", str(config), "--from", str(files.recording), "--out", str(replayed)]) == 0
    return Runs(folder, config, replayed)


def edited(runs: Runs, name: str, before: str, after: str) -> Path:
    """The settings with one thing changed."""
    text = runs.config.read_text()
    assert before in text
    path = runs.folder / name
    path.write_text(text.replace(before, after))
    return path


def test_a_replay_that_gives_the_same_says_so(command: Command, files: Files, runs: Runs, tmp_path: Path) -> None:
    """Exit code 0; beside the summary, as text and in the same JSON object."""
    replay = ("replay", "--config", runs.config, "--from", files.recording, "--compare", runs.replayed)
    said = command(*replay, "--out", tmp_path / "again")
    assert (said.code, said.err) == (0, "")
    header, metrics, alerts = said.out.splitlines()[-3:]
    assert header.split("  ")[-1] == "left out"
    assert metrics.split() == ["metric", "events", "20", "0", "0", "0", "0", "0"]
    assert alerts.split() == ["alert", "events", "0", "0", "0", "0", "0", "0"]
    values = json.loads(command(*replay, "--out", tmp_path / "json", "--json").out)
    assert (values["events"], values["compare"]["agrees"], values["compare"]["metrics"]["equal"]) == (20_000, True, 20)


def test_a_replay_by_another_policy_is_another_run(command: Command, files: Files, runs: Runs, tmp_path: Path) -> None:
    """Exit code 1: the numbers are the same, the policy's hash is not; the summary is printed all the same."""
    other = edited(runs, "lower.yaml", "above: 35\n", "above: 10\n")
    replay = ("replay", "--config", other, "--from", files.recording, "--out", tmp_path / "out")
    said = command(*replay, "--compare", runs.replayed)
    assert said.code == 1
    assert "events             20,000" in said.out
    assert "20 metric events were judged by other policies: " in said.out
    assert "alert events only here, the first 2 of 2:" in said.out
    assert "  slow FIRING 0  [" in said.out
    assert said.err.endswith("differ: 2 only here, 20 judged by another policy (events)\n")
    assert said.err.count("\n") == 1


def test_a_replay_by_another_plan_cannot_be_compared(
    command: Command, files: Files, runs: Runs, tmp_path: Path
) -> None:
    """Exit code 2, behind the summary; the files of the replay stay."""
    other = edited(runs, "wider.yaml", "windows: [1m, 5m]", "windows: [1m, 5m]\nallowed_lateness: 30s")
    said = command(
        "replay", "--config", other, "--from", files.recording, "--out", tmp_path, "--compare", runs.replayed
    )
    assert said.code == 2
    assert "the plans differ, hashes " in said.err
    assert said.err.count("\n") == 1
    assert "events             20,000" in said.out
    assert (tmp_path / "metrics.avro").exists()


def test_a_replay_tries_another_policy_and_known_incidents(
    command: Command, files: Files, runs: Runs, tmp_path: Path
) -> None:
    """What of the rules would change, and how each did; nothing of it makes the replay fail."""
    known = tmp_path / "known.json"
    start = 1_769_860_800_000_000 - 5 * MINUTE  # of the second half of the recording
    incidents.write(known, [Incident(kind="busy", model="digits-0", lane="*", start=start, rule="count")])
    said = command(
        *("replay", "--config", runs.config, "--from", files.recording, "--out", tmp_path / "out", "--json"),
        *("--policy", runs.folder / "other.yaml", "--incidents", known),
    )
    values = json.loads(said.out)
    assert said.code == 0
    assert values["policy"]["live"]["alerts"] == 0
    assert {key: count for key, count in values["policy"]["counts"].items() if count} == {"new": 4}
    assert values["policy"]["other"]["actions"] == {"page": 2, "ticket": 2}
    scores = {score["rule"]: score for score in values["scorecard"]["other"]["rules"]}
    assert (scores["count"]["asked"], scores["count"]["open_already"], scores["count"]["false_alerts"]) == (1, 1, 2)
    assert scores["slow"]["asked"] == 0
    live = {score["rule"]: score for score in values["scorecard"]["live"]["rules"]}
    assert (live["slow"]["alerts"], live["slow"]["clean_time"]) == (0, 2 * 5 * MINUTE)  # the first half, in two lanes


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--policy {folder}/windows.yaml", "windows.yaml:3: rules[0].window: should be one of windows (1m, 5m)"),
        ("--policy {folder}/typo.yaml", "typo.yaml:3: rules[0].abov: unknown key; did you mean above?"),
        ("--policy {folder}/empty.yaml", "empty.yaml:1: has no `rules:`"),
        ("--policy {folder}/nowhere.yaml", "nowhere.yaml: cannot be read (No such file"),
        ("--incidents {folder}/other.yaml", "other.yaml: not JSON"),
        ("--compare {folder}/nowhere", "there is no directory {folder}/nowhere"),
        ("--compare {folder}/other.yaml", "{folder}/other.yaml is a file: name the directory"),
        ("--compare {folder}", "{folder}: there is no metrics.avro in it"),
        ("--compare x --tolerance 1e-9x", "--tolerance: '1e-9x' is not a number from 0 to less than 1"),
    ],
)
def test_what_a_replay_cannot_check_is_refused_before_it_begins(
    arguments: str, words: str, command: Command, files: Files, runs: Runs, tmp_path: Path
) -> None:
    """One line with file and line; nothing is written."""
    rule = "rules:\n  - id: slow\n    {}\n    measurement: latency.p95\n"
    (runs.folder / "windows.yaml").write_text(rule.format("window: 7m") + "    above: 4\n")
    (runs.folder / "typo.yaml").write_text(rule.format("abov: 3") + "    window: 1m\n    above: 4\n")
    (runs.folder / "empty.yaml").write_text("windows: 1m\n")
    out = tmp_path / "out"
    more = arguments.format(folder=runs.folder).split()
    said = command("replay", "--config", runs.config, "--from", files.recording, "--out", out, *more)
    assert_refused(said, words.format(folder=runs.folder))
    assert not out.exists()


def test_a_whole_file_of_settings_is_a_policy_too(command: Command, runs: Runs) -> None:
    """Of it the rules count, and whether there is a rule series-cap; its windows need not be there."""
    whole = edited(runs, "whole.yaml", "windows: [1m, 5m]", "windows: 30s\nlimits: {series_alert: false}")
    said = command("backtest", "--from", runs.replayed, "--config", runs.config, "--policy", whole, "--json")
    assert (said.code, json.loads(said.out)["policy"]["rules_without_windows"]) == (0, [])


def test_backtest_needs_no_replay_and_no_settings(command: Command, tmp_path: Path) -> None:
    """A folder with metric and alert events, a policy that names its windows, and known incidents."""
    folder = write(tmp_path / "run", *drifted(60))
    (tmp_path / "policy.yaml").write_text(
        "windows: 1m\nrules:\n  - {id: slow, measurement: latency.p95, above: 35, consecutive: 4}\n"
    )
    known = tmp_path / "known.json"
    moments = {"drift": (30, 55), "other": (3, 4), "later": (90, 91)}
    incidents.write(
        known,
        [
            Incident(kind=kind, model="digits-0", lane="canary", start=START + one * MINUTE, end=START + two * MINUTE)
            for kind, (one, two) in moments.items()
        ],
    )
    asked = ("backtest", "--from", folder, "--policy", tmp_path / "policy.yaml", "--incidents", known)
    said = command(*asked)
    assert (said.code, said.err) == (0, "")
    lines = [line.split() for line in said.out.splitlines()]
    assert ["live", "2", "336", "1", "1"] in lines
    assert ["later", "2026-01-31T11:32:00Z", "2026-01-31T11:34:00Z", "slow", "digits-0/v1/canary", "-"] in lines
    assert ["slow", "2", "1", "0", "1", "2m", "(2", "windows)", "2m", "(2", "windows)", "1", "0", "0"] in lines
    assert ["slow", "2", "1", "0", "1", "4m", "(4", "windows)", "4m", "(4", "windows)", "1", "0", "0"] in lines
    unmatched = "found by no rule: other in digits-0/canary from 2026-01-31T11:03:00Z to 2026-01-31T11:04:00Z"
    assert said.out.splitlines().count(unmatched) == 2
    assert "outside of what was measured: later in digits-0/canary from 2026-01-31T12:30:00Z" in said.out
    assert said.out.endswith(
        "the policy in force was not named (--config FILE): of its rules only those with alerts are listed\n"
    )
    values: dict[str, Any] = json.loads(command(*asked, "--json").out)
    (change,) = [one for one in values["policy"]["changes"] if one["change"] == "later"]
    assert (change["rule"], change["shift"], change["live"]["opened_at"]) == ("slow", 2 * MINUTE, START + 32 * MINUTE)
    (score,) = [one for one in values["scorecard"]["other"]["rules"] if one["rule"] == "slow"]
    assert (score["median_delay"], score["worst_windows"], score["clean_time"]) == (4 * MINUTE, 4, 94 * MINUTE)


def test_an_incident_that_names_no_rule_of_the_policy_is_told(command: Command, tmp_path: Path) -> None:
    """A slip in its rule's id: no rule is asked about it, which is not the same as missed."""
    folder = write(tmp_path / "run", *drifted(60))
    (tmp_path / "policy.yaml").write_text("rules:\n  - {id: slow, measurement: latency.p95, above: 35}\n")
    known = tmp_path / "known.json"
    there = Incident(model="digits-0", lane="canary", start=START, end=START + MINUTE, rule="slwo")
    incidents.write(known, [there])
    said = command("backtest", "--from", folder, "--policy", tmp_path / "policy.yaml", "--incidents", known)
    place = "incident in digits-0/canary from 2026-01-31T11:00:00Z to 2026-01-31T11:01:00Z"
    assert said.out.splitlines().count(f"names a rule that is not known here, slwo: {place}") == 2
    assert "found by no rule" not in said.out


def test_backtest_wants_a_question(command: Command, runs: Runs) -> None:
    assert_refused(
        command("backtest", "--from", runs.replayed), "nothing is asked: add --policy FILE, --incidents FILE"
    )
    assert_refused(
        command("compare", runs.replayed, "streammon-metrics"), "no directory streammon-metrics", "topics need --config"
    )


@pytest.mark.broker
def test_a_run_is_compared_with_what_the_topics_hold(command: Command, topics: Topics, tmp_path: Path) -> None:
    """Committed events of all partitions; one event more is a difference, and is shown."""
    metrics, alerts = drifted(20)
    folder = write(tmp_path / "run", metrics, alerts)
    values = {"metrics": [*map(to_bytes, metrics)], "alerts": [*map(to_bytes, alerts)]}
    for name, events in values.items():
        topics.create(name, 2)
        records = [(at % 2, b"k", event, None) for at, event in enumerate(events[1:])]
        kafka_tools.produce(topics.bootstrap, topics.name(name), records)
    config = tmp_path / "streammon.yaml"
    config.write_text(
        f"kafka: {{bootstrap.servers: '{topics.bootstrap}'}}\n"
        f"topics: {{metrics: {topics.name('metrics')}, alerts: {topics.name('alerts')}}}\n"
    )
    said = command("compare", folder, "topics", "--config", config)
    assert said.code == 1
    assert "  2026-01-31T11:00:00Z  1m  digits-0/v1/prod  partition 0  [" in said.out
    assert said.err.endswith("differ: 2 only here (events)\n")
    for name, events in values.items():
        kafka_tools.produce(topics.bootstrap, topics.name(name), [(0, b"k", events[0], None)])
    for where in ("topics", f"topic:{topics.name('metrics')}"):
        said = command("compare", folder, where, "--config", config, "--json")
        assert (said.code, json.loads(said.out)["agrees"]) == (0, True)
    (tmp_path / "policy.yaml").write_text("rules: []\n")
    asked = ("backtest", "--from", "topics", "--config", config, "--policy", tmp_path / "policy.yaml", "--json")
    assert json.loads(command(*asked).out)["policy"]["counts"]["gone"] == 2
