"""The plan: its hash follows what changes results, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.core.errors import Code, UsageError
from streammon.core.outputs import Measurement, Rollup, Series
from streammon.core.plan import Plan, Scope
from streammon.core.rules import Threshold
from streammon.settings import dump, load, plan
from streammon.settings.durations import parse_window
from tests.docs.pages import blocks
from tests.settings.helpers import Write

BASE = """
topics: {events: in}
windows: [1m, 1h]
allowed_lateness: 60s
models:
- {match: "a*", features: 2, classes: [x, y], embedding: 3}
- {match: "*", features: [age, income]}
input: {mapping: {ts: at, latency_ms: took}}
rules:
- {id: slow, measurement: latency.p95, window: 1m, above: 250, cooldown: 15m}
- {id: drift, measurement: feature.psi, window: 1h, above: 0.2, feature: f1}
"""


@pytest.fixture
def base(write: Write) -> Plan:
    return plan(load(write(BASE)))


def test_what_the_plan_holds(base: Plan) -> None:
    assert base.topic == "in"
    assert [spec.text for spec in base.windows] == ["60000000/60000000/0", "3600000000/3600000000/0"]
    assert (base.allowed_lateness, base.idle_grace, base.max_future_skew) == (60_000_000, 300_000_000, 300_000_000)
    assert base.layout(Series("abc", "1", "prod")).features == ("f0", "f1")
    assert base.layout(Series("abc", "1", "prod")).embedding == 3
    assert base.layout(Series("b", "1", "prod")).features == ("age", "income")
    drift, _, slow = base.policy.rules
    assert slow == Threshold("slow", "latency.p95", "60000000/60000000/0", above=250.0, cooldown=900_000_000)
    assert drift == Threshold("drift", "feature.psi", "3600000000/3600000000/0", above=0.2, feature="f1")


def test_a_rule_watches_the_only_window(write: Write) -> None:
    rules = plan(load(write("windows: 5m\nrules: [{id: a, measurement: traffic.qps, below: 1}]"))).policy.rules
    assert rules[0].window == "300000000/300000000/0"


def test_every_policy_watches_the_limit_on_series(base: Plan) -> None:
    """In the shortest window, unless there is a rule of that id, or the user wants none."""
    [rule] = [rule for rule in base.policy.rules if rule.id == "series-cap"]
    assert (rule.measurement, rule.model, rule.window) == ("traffic.count", "__other__", "60000000/60000000/0")
    assert rule.excess(1.0) > 0 >= rule.excess(0.0)
    assert (rule.severity, rule.action) == ("P2", "ticket")


@pytest.mark.parametrize(
    "windows, seen_in",
    [
        ("[{window: 1m, model: a}, 1h, 1d]", "1h"),
        ("[{window: 1m, model: a}, {window: 1h, model: __other__}]", "1h"),
        ("[{window: 1m, model: a}]", None),
    ],
)
def test_the_limit_is_watched_in_a_window_that_other_has(windows: str, seen_in: str | None, write: Write) -> None:
    rules = plan(load(write(f"windows: {windows}"))).policy.rules
    assert [rule.window for rule in rules] == ([] if seen_in is None else [parse_window(seen_in).text])


def test_windows_say_which_series_they_are_for(write: Write) -> None:
    """A mapping where a text would be for all; two of one window name more series than one."""
    text = """
rollups: [model, lanes]
empty_windows: 3
expire_after: 2d
windows:
- 1m
- {window: 1h every 5m, model: "fraud-*", version: "*", lane: prod}
- {window: 1h every 5m, model: "fraud-*", lane: "[*]"}
- 1d offset -2h
"""
    settings = load(write(text))
    the_plan = plan(settings)
    hour = parse_window("1h every 5m")
    assert the_plan.windows == (parse_window("1m"), hour, parse_window("1d offset 22h"))
    assert the_plan.scopes == (Scope(hour, "fraud-*", "*", "[*]"), Scope(hour, "fraud-*", "*", "prod"))
    assert the_plan.rollups == (Rollup.LANES, Rollup.MODEL)
    assert (the_plan.empty_windows, the_plan.expire_after) == (3, 172_800_000_000)
    assert load(write(dump(settings))) == settings
    lone = load(write("windows: {window: 5m, lane: prod}"))
    assert plan(lone).scopes == (Scope(parse_window("5m"), lane="prod"),)
    assert load(write(dump(lone))) == lone


@pytest.mark.parametrize("of", ["fraud-eu", "fraud-*", "*-eu", "*", "[f]raud-eu", "fraud-e?"])
def test_a_rule_may_meet_its_window(of: str, write: Write) -> None:
    """Where patterns leave it open whether some model is meant by both, nothing is refused."""
    rule = f"{{id: a, measurement: latency.p95, above: 1, window: 1h, model: '{of}'}}"
    load(write(f"windows: [1m, {{window: 1h, model: 'fraud-*'}}]\nrules: [{rule}]"))


@pytest.mark.parametrize(
    "scope, rule",
    [
        ("model: fraud", "model: 'credit*'"),
        ("model: 'fraud-*'", "model: 'credit-*'"),
        ("lane: prod", "lane: canary"),
        ("lane: prod", "lane: '[*]'"),
        ("lane: '[*]'", "lane: '*'"),
        ("version: v1", "model: __other__"),
        ("model: __other__", "model: '*'"),
    ],
)
def test_a_rule_that_never_meets_its_window_is_refused(scope: str, rule: str, write: Write) -> None:
    rules = f"[{{id: a, measurement: latency.p95, above: 1, window: 1h, {rule}}}]"
    with pytest.raises(UsageError, match=r":2: rules\[0\].window: 1h is for none of the series that this rule is for"):
        load(write(f"rollups: lanes\nrules: {rules}\nwindows: [1m, {{window: 1h, {scope}}}]"))


def test_a_rule_about_empty_windows(write: Write) -> None:
    """`min_samples: 0` is the only way to watch silence."""
    rules = "rules: [{id: silent, measurement: traffic.count, below: 1, min_samples: 0}]"
    silent = plan(load(write(f"empty_windows: 5\n{rules}"))).policy.rules[-1]
    assert (silent.id, silent.min_samples) == ("silent", 0)
    assert silent.violates(Measurement("traffic.count", 0.0, n=0)) is True


def test_the_rule_about_the_limit_can_be_replaced_or_switched_off(write: Write) -> None:
    own = "rules: [{id: series-cap, measurement: traffic.count, model: __other__, above: 99, severity: P1}]"
    [rule] = plan(load(write(own))).policy.rules
    assert (rule.severity, rule.limit(0.0)) == ("P1", 99)
    assert plan(load(write("limits: {series_alert: false}"))).policy.rules == ()
    assert plan(load(write(f"limits: {{series_alert: false}}\n{own}"))).policy.rules == (rule,)


def test_limits(write: Write) -> None:
    limited = plan(load(write("limits: {series_per_partition: 7, panes_per_window: 60}\nwindows: [1m, 1h]")))
    assert (limited.max_series, limited.max_panes) == (7, 60)
    with pytest.raises(UsageError, match=r":2: windows\[1\]: 1h would have 60 panes of 60 s.*panes_per_window \(59\)"):
        load(write("limits: {panes_per_window: 59}\nwindows: [1m, 1h]"))
    with pytest.raises(UsageError, match=r"allowed_lateness.*61 panes of 1 s.*limits.panes_per_window \(60\)"):
        plan(load(write("limits: {panes_per_window: 60}\nwindows: [1s]\nallowed_lateness: 61s")))


def test_topic_of_a_recorded_file(base: Plan, write: Write) -> None:
    other = plan(load(write(BASE)), topic="recorded")
    assert other.topic == "recorded"
    assert other.hash != base.hash


def test_spelling_and_order_do_not_matter(base: Plan, write: Write) -> None:
    other = plan(
        load(
            write(
                """
rules:
- {above: 2.0e-1, feature: f1, window: 60m, measurement: feature.psi, id: drift, min_samples: 1, lane: "*"}
- {cooldown: 900s, above: 250.0, window: 60s, measurement: latency.p95, id: slow}
input: {framing: single_object, mapping: {latency_ms: took, score: score, ts: at}}
models:
- {features: [f0, f1], match: "a*", embedding: 3, classes: [x, y]}
- {match: "*", features: [age, income]}
idle_grace: 300000ms
allowed_lateness: 1m
windows: [3600s, 60s]
topics: {events: in}
"""
            )
        )
    )
    assert other == base
    assert (other.hash, other.policy.hash) == (base.hash, base.policy.hash)


@pytest.mark.parametrize(
    "more",
    [
        "group: other",
        "instance: a",
        "delivery: {max_batch: 7, commit_interval: 3s, session_timeout: 1m}",
        "log: {level: debug}",
        "kafka: {bootstrap.servers: 'a:1'}",
        "device: cpu",
        "insecure: true",
        "baselines: [somewhere]",
        "idle_timeout: 5s",  # it decides through the journal
    ],
)
def test_what_changes_no_result_changes_no_hash(more: str, base: Plan, write: Write) -> None:
    assert plan(load(write(f"{BASE}{more}\n"))) == base
    assert plan(load(write(BASE.replace("events: in", "events: in, late: others")))) == base


@pytest.mark.parametrize(
    "old, new",
    [
        ("events: in", "events: other"),
        ("windows: [1m, 1h]", "windows: [1m, 1h, 2h]"),
        ("allowed_lateness: 60s", "allowed_lateness: 61s"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nidle_grace: 1m"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nlimits: {series_per_partition: 999}"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nlimits: {panes_per_window: 999}"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nmax_future_skew: 1m"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nrollups: [lanes]"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nempty_windows: 1"),
        ("allowed_lateness: 60s", "allowed_lateness: 60s\nexpire_after: 1d"),
        ("windows: [1m, 1h]", "windows: [1m, 1h every 30m, 1h]"),
        ("windows: [1m, 1h]", "windows: [1m, 1h, {window: 1d, model: a}]"),
        ("windows: [1m, 1h]", "windows: [1m, {window: 1h, model: 'a*'}, {window: 1h, model: b}]"),
        ("features: 2", "features: 3"),
        ("classes: [x, y]", "classes: [y, x]"),
        ("latency_ms: took", "latency_ms: duration"),
        ("input: {", "input: {max_record_bytes: 1000, "),
        ("input: {", "input: {framing: raw, "),
    ],
)
def test_what_changes_results_changes_the_plan_only(old: str, new: str, base: Plan, write: Write) -> None:
    other = plan(load(write(BASE.replace(old, new))))
    assert other.hash != base.hash
    assert other.policy.hash == base.policy.hash


@pytest.mark.parametrize("old, new", [("above: 250", "above: 251"), ("id: slow", "id: slower"), ("15m", "16m")])
def test_rules_change_the_policy_only(old: str, new: str, base: Plan, write: Write) -> None:
    other = plan(load(write(BASE.replace(old, new))))
    assert other.policy.hash != base.policy.hash
    assert other.hash == base.hash


def test_schemas_count_by_content(write: Write, tmp_path: Path) -> None:
    one = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]}
    (tmp_path / "a.avsc").write_text(json.dumps(one))
    (tmp_path / "b.avsc").write_text(json.dumps(dict(reversed(one.items())), indent=4))
    (tmp_path / "c.avsc").write_text(json.dumps({**one, "name": "S"}))
    hashes = {
        schemas: plan(load(write(f"input: {{schemas: [{schemas}]}}"))).hash
        for schemas in ("a.avsc", "b.avsc", "a.avsc, b.avsc", "c.avsc", "a.avsc, c.avsc", "c.avsc, b.avsc")
    }
    assert hashes["a.avsc"] == hashes["b.avsc"] == hashes["a.avsc, b.avsc"]
    assert hashes["a.avsc, c.avsc"] == hashes["c.avsc, b.avsc"]
    assert len(set(hashes.values())) == 3


def test_schemas_have_one_order_in_every_process(write: Write, tmp_path: Path) -> None:
    """A set of texts has another order in each process, and the hash must not."""
    names = list("fadbec")
    for name in names:
        (tmp_path / name).write_text(json.dumps({"type": "record", "name": name, "fields": []}))
    decoding = json.loads(plan(load(write(f"input: {{schemas: [{', '.join(names)}]}}"))).decoding)
    assert [schema["name"] for schema in decoding["schemas"]] == sorted(names)


def test_a_schema_that_is_no_json_is_named(write: Write, tmp_path: Path) -> None:
    (tmp_path / "a.avsc").write_text("{")
    with pytest.raises(UsageError, match=r"input\.schemas: .*a\.avsc is not JSON"):
        plan(load(write("input: {schemas: a.avsc}")))


def test_a_registrys_schemas_count_with_their_ids(write: Write, tmp_path: Path) -> None:
    one = {"type": "record", "name": "R", "fields": [{"name": "ts", "type": "long"}]}
    (tmp_path / "a.avsc").write_text(json.dumps(one))
    (tmp_path / "b.avsc").write_text(json.dumps(one, indent=4))
    hashes = []
    for schemas in ("'17': a.avsc, '3': b.avsc", "'3': a.avsc, '17': a.avsc", "'3': a.avsc, '18': a.avsc"):
        settings = load(write(f"input: {{framing: confluent, schemas: {{{schemas}}}}}"))
        assert load(write(dump(settings))) == settings
        hashes.append(plan(settings).hash)
        decoder = AvroDecoder(**json.loads(plan(settings).decoding))
        assert [schema.name for schema in decoder.schemas] == ["R", "R"]
    assert hashes[0] == hashes[1] != hashes[2]


def test_defaults_change_results(write: Write) -> None:
    """However a number is written."""
    hashes = {
        defaults: plan(load(write(f"input: {{defaults: {{{defaults}}}}}"))).hash
        for defaults in ("weight: 1", "weight: 1.0", "weight: 2", "lane: prod", "")
    }
    assert hashes["weight: 1"] == hashes["weight: 1.0"]
    assert len(set(hashes.values())) == 4


@pytest.mark.parametrize("framing", ["single_object", "raw"])
def test_decoding_is_what_the_decoder_takes(framing: str) -> None:
    """Also: the canonical schema is found when none is named."""
    decoding = plan(load(None, {"input": {"framing": framing, "mapping": {"features": ["score"]}}})).decoding
    assert AvroDecoder(**json.loads(decoding)).max_record_bytes == 1_048_576


def test_the_mapping_of_the_documentation_decodes(write: Write, tmp_path: Path) -> None:
    (example,) = [block.text for block in blocks("docs/own-schema.md", "yaml") if "scores[]" in block.text]
    created = {"type": "record", "name": "C", "fields": [{"name": "at", "type": "long"}]}
    item = {"type": "record", "name": "I", "fields": [{"name": "price", "type": "double"}]}
    types = {
        "created": created,
        "model_id": "string",
        "age": "int",
        "inputs": {"type": "map", "values": "double"},
        "items": {"type": "array", "items": item},
        "scores": {"type": "array", "items": "float"},
    }
    fields = [{"name": name, "type": type_} for name, type_ in types.items()]
    (tmp_path / "a.avsc").write_text(json.dumps({"type": "record", "name": "R", "fields": fields}))
    schemas = "  framing: raw\n  schemas: a.avsc\n"
    decoder = AvroDecoder(**json.loads(plan(load(write(example + schemas))).decoding))
    value = b"\x02\x02m\x08\0\0\x04" + bytes(4) + bytes(4) + b"\0"  # no inputs, no items, two scores
    assert decoder.explain(value).code == Code.OK
