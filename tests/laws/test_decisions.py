"""Decisions in the middle of a stream: a baseline or a policy that comes with a restart. The journal repeats them.

A stream is read in two lives, with other settings in the second. What it publishes is then compared with two streams
that had the one or the other settings from the beginning.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streammon.adapters.changelog import Changelog
from streammon.adapters.memory import MemoryStateStore
from streammon.core.errors import UsageError
from streammon.core.journal import JournalEntry, Kind
from streammon.core.outputs import Measurement
from streammon.core.plan import Policy
from streammon.core.rules import RULES, Threshold
from tests.laws.harness import Line, reference
from tests.oracle.streams import MINUTE, START, Stream, random_stream

BASELINE = reference()
BASELINES = {BASELINE.baseline_id: BASELINE}
SEEDS = (1, 2)
EVENTS, HALF = 120, 60  # records of each partition (and a few more at the end), and those before the restart
ANCHORED = ("feature.", "prediction.score_mean", "prediction.score_sd")


def stream_of(seed: int, **config: Any) -> Stream:
    stream = random_stream(seed, EVENTS)
    return replace(stream, config=stream.config | config)


def entries(line: Line, kind: Kind, partition: int = 0) -> list[JournalEntry]:
    return [entry for entry in line.broker.journal if (entry.kind, entry.partition) == (kind, partition)]


def by_id(line: Line) -> dict[str, dict[str, Any]]:
    return {event["event_id"]: event for event in line.metrics}


def repeated(line: Line, seed: int, **config: Any) -> Line:
    """A replay in one life with the journal of another line, settings as they were in its last life."""
    again = Line(stream_of(seed, **config), line.baselines, decides=False)
    again.plan = line.plan
    again.broker.journal = list(line.broker.journal)
    return again.run()


def assert_same(again: Line, line: Line) -> None:
    """The same outputs, byte by byte, and no decision of its own."""
    assert again.broker.metrics == line.broker.metrics
    assert again.broker.alerts == line.broker.alerts
    assert again.dead_letters == line.dead_letters
    assert again.broker.journal == line.broker.journal


# --- baselines --------------------------------------------------------------------------------------------------------


def later_baseline(seed: int, **config: Any) -> Line:
    """The baseline is configured from the second life on."""
    line = Line(stream_of(seed, **config)).read((0, HALF), (1, HALF))
    line.baselines = BASELINES
    return line.run()


def drift(event: dict[str, Any]) -> set[str]:
    return {row["name"] for row in event["measurements"] if row["reference_n"] is not None}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_baseline_is_active_from_the_next_pane_of_its_models_own_time(seed: int) -> None:
    """life 1                        life 2
    panes    |      |      |   last ts : |      |         effective_from: the edge after the model's last event
    """
    line = later_baseline(seed)
    [entry] = entries(line, Kind.BASELINE)
    assert entry.position == HALF
    value = json.loads(entry.value)
    assert (value["baseline_id"], value["content_hash"]) == (BASELINE.baseline_id, BASELINE.content_hash)
    dead = {offset for partition, offset, _ in line.dead_letters if partition == 0}
    own = max(
        item.event["ts"]
        for offset, item in enumerate(line.stream.partitions[0][:HALF])
        if item.event and offset not in dead and (item.model_id, item.event["model_version"]) == ("fraud0", "1")
    )
    assert value["effective_from"] == (own - START) // MINUTE * MINUTE + MINUTE + START
    [unseen] = entries(line, Kind.BASELINE, partition=1)
    assert json.loads(unseen.value)["effective_from"] is None, "no event of the model there: from the beginning"


@pytest.mark.parametrize("seed", SEEDS)
def test_windows_before_on_and_behind_the_activation(seed: int) -> None:
    """Before: as if there were no baseline. Behind: as if it had always been there. On it: only what needs none."""
    line = later_baseline(seed)
    effective = json.loads(entries(line, Kind.BASELINE)[0].value)["effective_from"]
    without, always = by_id(Line(stream_of(seed)).run()), by_id(Line(stream_of(seed), BASELINES).run())
    seen = {"ok": 0, "no_baseline": 0, "spans_two": 0}
    for identity, event in by_id(line).items():
        ours = (event["model_id"], event["model_version"], event["partition"]) == ("fraud0", "1", 0)
        seen[event["baseline_state"]] += ours
        if not ours or event["baseline_state"] == "no_baseline":
            assert event == without[identity]
        elif event["baseline_state"] == "ok":
            assert event["window"]["start"] >= effective
            assert event == always[identity]
            assert "feature.psi" in drift(event) or event["n"] == 0
        else:
            assert event["window"]["start"] < effective < event["window"]["end"]
            assert (event["baseline_id"], drift(event)) == (None, set())
            rows = without[identity]["measurements"]
            assert event["measurements"] == [row for row in rows if not row["name"].startswith(ANCHORED)]
    assert seen["ok"], seen
    assert seen["no_baseline"], seen
    assert bool(seen["spans_two"]) is bool(effective % (5 * MINUTE)), seen


@pytest.mark.parametrize("config", [{}, {"models": []}], ids=["declared", "undeclared"])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_replay_with_the_journal_activates_the_baseline_at_the_same_place(seed: int, config: dict[str, Any]) -> None:
    """Also where the model had no dimensions before its baseline came."""
    line = later_baseline(seed, **config)
    assert_same(repeated(line, seed, **config), line)


@pytest.mark.parametrize("config", [{}, {"models": []}], ids=["declared", "undeclared"])
def test_a_crash_after_the_activation_changes_nothing(config: dict[str, Any]) -> None:
    """Four more lives on the way, each from a snapshot or from the commit that wrote the journal."""
    whole = later_baseline(SEEDS[0], **config)
    line = Line(stream_of(SEEDS[0], **config)).read((0, HALF), (1, HALF))
    line.baselines = BASELINES
    line.run([(0, 10), (1, 10)] * 30, [(0, "after"), (1, "before"), (2, "after"), (1, "after")])
    assert_same(line, whole)


def test_a_baseline_that_is_gone_is_refused() -> None:
    line = Line(stream_of(1), BASELINES).read((0, HALF))
    line.baselines = {}
    with pytest.raises(UsageError, match=f"{BASELINE.baseline_id} is active.*do not hold it"):
        line.run()


def test_a_baseline_with_another_content_is_refused() -> None:
    line = Line(stream_of(1), BASELINES).read((0, HALF))
    line.baselines = {BASELINE.baseline_id: replace(BASELINE, content_hash="0" * 32)}
    with pytest.raises(UsageError, match="another content"):
        line.run()


# --- policies and plans -----------------------------------------------------------------------------------------------

WINDOW = f"{MINUTE}/{MINUTE}/0"
KEPT = Threshold(id="many", measurement="traffic.count", window=WINDOW, above=0.0, consecutive=2)
REMOVED = Threshold(id="slow", measurement="latency.mean", window=WINDOW, above=0.0)
ADDED = Threshold(id="early", measurement="traffic.qps", window=WINDOW, above=0.0)
BEFORE, AFTER = Policy((REMOVED, KEPT)), Policy((ADDED, KEPT))


def other_policy(seed: int, before: Policy = BEFORE, after: Policy = AFTER) -> Line:
    line = Line(stream_of(seed))
    line.plan = replace(line.plan, policy=before)
    line.read((0, HALF), (1, HALF))
    line.plan = replace(line.plan, policy=after)
    return line.run()


def memory(line: Line) -> set[str]:
    """Rules that remember something, as a worker would read it."""
    store = MemoryStateStore(line.broker, Changelog())
    return {state.rule_id for partition in line.broker.changelog for state in store.load(partition, lambda: None).rules}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_change_of_policy_is_a_decision(seed: int) -> None:
    """The journal holds both, each where it took effect, with its rules."""
    line = other_policy(seed)
    first, second = entries(line, Kind.POLICY)
    assert (first.position, second.position) == (0, HALF)
    for entry, policy in ((first, BEFORE), (second, AFTER)):
        value = json.loads(entry.value)
        assert value["policy_hash"] == policy.hash
        assert Policy.parse(value["rules"]) == policy
    for event in line.metrics:
        entry = second if event["closing_position"] > HALF else first
        assert event["policy_hash"] == json.loads(entry.value)["policy_hash"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rule_that_is_kept_keeps_its_memory(seed: int) -> None:
    """Its alerts are those of a line that had it alone, all along: no episode is opened twice, none is cut off."""
    alone = Line(stream_of(seed))
    alone.plan = replace(alone.plan, policy=Policy((KEPT,)))
    alone.run()

    def episodes(line: Line) -> list[tuple[Any, ...]]:
        return [
            (a["alert_id"], a["number"], a["state"], a["consecutive"], a["closing_position"])
            for a in line.alerts
            if a["rule_id"] == KEPT.id
        ]

    assert episodes(other_policy(seed)) == episodes(alone)
    across = {a["alert_id"] for a in alone.alerts if a["closing_position"] <= HALF} & {
        a["alert_id"] for a in alone.alerts if a["closing_position"] > HALF
    }
    assert across, "no alert is open at the restart: this proves nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rule_that_is_removed_is_forgotten(seed: int) -> None:
    """Its memory gets a tombstone, and it says nothing more."""
    line = Line(stream_of(seed))
    line.plan = replace(line.plan, policy=BEFORE)
    line.read((0, HALF), (1, HALF))
    assert memory(line) == {REMOVED.id, KEPT.id}
    line.plan = replace(line.plan, policy=AFTER)
    line.run()
    assert memory(line) == {ADDED.id, KEPT.id}
    assert all(a["closing_position"] <= HALF for a in line.alerts if a["rule_id"] == REMOVED.id)
    assert all(a["closing_position"] > HALF for a in line.alerts if a["rule_id"] == ADDED.id)


@pytest.mark.parametrize("before,after", [(BEFORE, AFTER), (Policy(), AFTER), (BEFORE, Policy())])
def test_a_replay_with_the_journal_changes_the_policy_at_the_same_place(before: Policy, after: Policy) -> None:
    """Also from no rules to some, and back."""
    line = other_policy(SEEDS[0], before, after)
    assert_same(repeated(line, SEEDS[0]), line)


def test_a_policy_without_rules_forgets_them_all() -> None:
    assert memory(other_policy(SEEDS[0], after=Policy())) == set()


@pytest.mark.parametrize("after", [AFTER, Policy()])
def test_a_crash_around_the_change_of_policy_changes_nothing(after: Policy) -> None:
    whole = other_policy(SEEDS[0], after=after)
    for crashes in ([(0, "before")], [(0, "after")], [(0, "before"), (0, "after"), (1, "before"), (3, "after")]):
        line = Line(stream_of(SEEDS[0]))
        line.plan = replace(line.plan, policy=BEFORE)
        line.read((0, HALF), (1, HALF))
        line.plan = replace(line.plan, policy=after)
        assert_same(line.run([(0, 10), (1, 10)] * 30, crashes), whole)


def test_the_same_settings_are_no_decision() -> None:
    line = other_policy(SEEDS[0], BEFORE, BEFORE)
    assert len(entries(line, Kind.POLICY)) == 1


def test_another_plan_is_refused() -> None:
    """Nothing is read or written under it."""
    line = Line(stream_of(1)).read((0, HALF))
    commits = line.broker.commits
    line.plan = replace(line.plan, allowed_lateness=0)
    with pytest.raises(UsageError, match=f"written under another plan .*{line.plan.hash}"):
        line.run()
    assert line.broker.commits == commits


def test_every_kind_of_rule_survives_the_journal() -> None:
    """What a rule says of a value does not change on the way through JSON."""
    assert set(RULES) >= {Threshold.kind}
    again = Policy.parse(json.loads(json.dumps(BEFORE.records)))
    assert again.rules[0].violates(Measurement("latency.mean", 1.0, n=1)) is True
    assert (again, again.hash) == (BEFORE, BEFORE.hash)
