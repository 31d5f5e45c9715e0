"""Every refusal names its place, its key and the way out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streammon.core.errors import UsageError
from streammon.settings import Settings, dump, load
from tests.settings.helpers import Write, refusal

REFUSALS = {  # file: what is said
    "grup: x": "FILE:1: grup: unknown key; did you mean group?",
    "_env_file: x": "FILE:1: _env_file: unknown key; known are group, instance, ",
    "group: a\ndelivery:\n  comit_interval: 1s": (
        "FILE:3: delivery.comit_interval: unknown key; did you mean commit_interval?"
    ),
    "\nrules:\n- id: a\n  measurement: latency.p95\n  above: 1\n  windo: 1m": (
        "FILE:6: rules[0].windo: unknown key; did you mean window?"
    ),
    "models: [{match: a, feature: 1}]": "FILE:1: models[0].feature: unknown key; did you mean features?",
    "log: {format: xml}": "FILE:1: log.format: should be 'console' or 'json'",
    "log: loud": "FILE:1: log: should be a mapping, one `key: value` per line",
    "group: 1": "FILE:1: group: should be text: put it in quotes",
    "group: ''": "FILE:1: group: should not be empty",
    'group: "a\\nb"': "FILE:1: group: should hold no control characters: it is shown in terminals and logs",
    "topics:\n  events: a b": "FILE:2: topics.events: should be a topic's name: ",
    "topics:\n  events: a\n  alerts: a": "FILE:3: topics.alerts: is the topic of events too: each needs its own",
    "insecure: maybe": "FILE:1: insecure: should be true or false",
    "input:\n  schemas: [/no/such.avsc]": "FILE:2: input.schemas[0]: there is no file /no/such.avsc",
    "input:\n  max_record_bytes: true": "FILE:2: input.max_record_bytes: should be a number",
    "input:\n  mapping:\n    fetures: a": "FILE:3: input.mapping.fetures: unknown field; did you mean features?",
    "input: {mapping: {ts: [a, b]}}": "FILE:1: input.mapping.ts: takes one path: only features, ",
    "input: {mapping: {ts: 3}}": "FILE:1: input.mapping.ts: should be a path such as request.age, or a list of them",
    "input:\n  mapping:\n    ts: a..b": "FILE:3: input.mapping.ts: is not a path: write names with dots between",
    "input: {mapping: {features: [a, 'b[0']}}": "FILE:1: input.mapping.features: is not a path: ",
    "input:\n  defaults:\n    lane: prod\n    weihgt: 1": (
        "FILE:4: input.defaults.weihgt: unknown field; did you mean weight?"
    ),
    "input: {defaults: {weight: yes}}": "FILE:1: input.defaults.weight: should be a finite number",
    "input: {defaults: {lane: '*'}}": "FILE:1: input.defaults.lane: is reserved: write another name",
    "input: {defaults: {model_id: __other__}}": "FILE:1: input.defaults.model_id: is reserved: write another name",
    "input: {defaults: {ts: 1}}": "FILE:1: input.defaults.ts: takes no default: a constant is not the time of an event",
    "input: {defaults: {timed_out: 1}}": "FILE:1: input.defaults.timed_out: should be true or false",
    "input: {defaults: {http_status: 2e9}}": "FILE:1: input.defaults.http_status: should be a whole number of 32 bits",
    "input: {defaults: {features: 1}}": "FILE:1: input.defaults.features: takes no default: only single numbers, ",
    "input: {defaults: [lane]}": "FILE:1: input.defaults: should be a mapping of fields to constants, ",
    "input: {framing: confluent}": "FILE:1: input.schemas: confluent records name their schema by its id: map ids to",
    "input:\n  schemas: {17: a.avsc}": "FILE:2: a key should be text: put it in quotes",
    "input:\n  schemas:\n    'x17': a.avsc": "FILE:3: input.schemas.x17: should be the schema's id in the registry, a ",
    "input:\n  schemas:\n    '17': /no/such.avsc": "FILE:3: input.schemas.17: there is no file /no/such.avsc",
    "input: {schemas: [3]}": "FILE:1: input.schemas[0]: should be a path",
    "input: {schemas: 3}": "FILE:1: input.schemas: should be a list of files, or a mapping of ids to files",
    "windows: []": "FILE:1: windows: at least one window is needed, for example 1m",
    "windows:\n- 1m\n- 60s": "FILE:3: windows[1]: 1m is named twice: keep one",
    "windows: [{window: 1m, lane: a}, {lane: a, window: 60s}]": "FILE:1: windows[1]: 1m is named twice: keep one",
    "windows:\n- 1m\n- window: 60s\n  model: a": (
        "FILE:3: windows[1]: 1m is for every series already: keep one of the two"
    ),
    "windows:\n- 1m\n- 1m every 2m": "FILE:3: windows[1]: 1m every 2m would leave times that no window covers: ",
    "windows:\n- 1ms\n- 60m every 30m": (
        "FILE:3: windows[1]: 1h every 30m would have 3600000 panes of 0.001 s, more than limits.panes_per_window ("
    ),
    "windows: [5]": "FILE:1: windows[0]: should be SIZE [every SLIDE] [offset DURATION], such as 5m every 1m",
    "windows: [1m offset 1]": "FILE:1: windows[0]: 'offset 1' is not understood: should be SIZE ",
    "windows:\n- 1m\n- window: 1h\n  modle: a": "FILE:4: windows[1].modle: unknown key; did you mean model?",
    "windows:\n- 1m\n- {model: a}": "FILE:3: windows[1].window: is required, and missing",
    "windows:\n- window: soon": "FILE:2: windows[0].window: 'soon' is not understood: should be SIZE ",
    "windows:\n- window: 1m\n  lane: '[*]'": (
        "FILE:3: windows[0].lane: [*] means a roll-up that is not made: add lanes to rollups"
    ),
    "rollups: [lanes]\nwindows:\n- window: 1m\n  version: '[*]'": (
        "FILE:4: windows[0].version: [*] means a roll-up that is not made: add versions to rollups"
    ),
    "rollups: [lanes, versions]\nwindows: {window: 1m, version: '[*]', lane: '[*]'}": (
        "FILE:2: windows[0].lane: [*] means a roll-up that is not made: add model to rollups"
    ),
    "rollups: model\nwindows: {window: 1m, lane: '[*]'}": (
        "FILE:2: windows[0].lane: [*] means a roll-up that is not made: "
        'add lanes to rollups, or write version: "[*]" too'
    ),
    "rollups: [model, lanes]\nwindows: {window: 1m, version: '[*]'}": (
        "FILE:2: windows[0].version: [*] means a roll-up that is not made: "
        'add versions to rollups, or write lane: "[*]" too'
    ),
    "windows: {window: 1m, model: '[*]'}": "FILE:1: windows[0].model: [*] means a roll-up, and none goes over models: ",
    "models: [{match: '[*]'}]": "FILE:1: models[0].match: [*] means a roll-up, and none goes over models: ",
    "models: [{match: 'fraud-[ab'}]": "FILE:1: models[0].match: has a [ without its ]: write [[] for the character",
    "windows: [{window: 1m, lane: '[!]prod'}]": "FILE:1: windows[0].lane: has a [ without its ]: ",
    "rules: [{id: a, measurement: latency.p95, above: 1, model: '[*]'}]": (
        "FILE:1: rules[0].model: [*] means a roll-up, and none goes over models: "
    ),
    "rules: [{id: a, measurement: feature.psi, above: 1, feature: '[[]x['}]": (
        "FILE:1: rules[0].feature: has a [ without its ]: "
    ),
    "rollups: lane": "FILE:1: rollups[0]: should be 'lanes', 'versions' or 'model'",
    "rollups: [lanes, model, lanes]": "FILE:1: rollups[2]: is named twice: keep one",
    "empty_windows: -1": "FILE:1: empty_windows: should be at least 0",
    "idle_timeout: 0s": "FILE:1: idle_timeout: should be longer than 0s",
    "expire_after: 7": "FILE:1: expire_after: a duration needs a unit: write 10s, not 10",
    "topics:\n  late: streammon-alerts": "FILE:2: topics.late: is the topic of alerts too: each needs its own",
    "allowed_lateness: 10": "FILE:1: allowed_lateness: a duration needs a unit: write 10s, not 10",
    "idle_grace: soon": "FILE:1: idle_grace: should be a duration such as 200ms, 90s, 1m, 1h or 1d",
    "models:\n- features: 3": "FILE:2: models[0].match: is required, and missing",
    "models: [{match: a, features: 0}]": "FILE:1: models[0].features: should be 1 to 100000, or a list of names",
    "models: [{match: a, features: true}]": "FILE:1: models[0].features: should be the number of features, or a list",
    "models: [{match: a, features: [x, y, x]}]": "FILE:1: models[0].features[2]: is named twice: keep one",
    "models:\n- match: a\n  classes:\n  - '0'\n  - 1": (
        "FILE:5: models[0].classes[1]: should be text: put it in quotes"
    ),
    "models: [{match: a, embedding: -1}]": "FILE:1: models[0].embedding: should be at least 0",
    "rules:\n- measurement: latency.p95\n  above: 1": "FILE:2: rules[0].id: is required, and missing",
    "rules:\n- id: a\n  measurement: latency.p96\n  above: 1": (
        "FILE:3: rules[0].measurement: unknown measurement; did you mean latency.p9"
    ),
    "rules:\n- {id: a, measurement: latency.p95}": "FILE:2: rules[0]: needs a limit, exactly one of above and below",
    "rules:\n- {id: a, measurement: latency.p95, above: 1, below: 0}": (
        "FILE:2: rules[0]: needs a limit, exactly one of above and below"
    ),
    "rules:\n- id: a\n  kind: tresholt\n  above: 1": "FILE:3: rules[0].kind: unknown kind; did you mean threshold?",
    "rules: [{kind: 3}]": "FILE:1: rules[0].kind: should be text: put it in quotes",
    "rules: [{id: a, measurement: latency.p95, above: 1, cooldown: 10}]": (
        "FILE:1: rules[0].cooldown: a duration needs a unit: write 10s, not 10"
    ),
    "rules: [{id: a, measurement: latency.p95, above: .nan}]": "FILE:1: rules[0].above: should be a finite number",
    "rules: [{id: a, measurement: latency.p95, above: yes}]": "FILE:1: rules[0].above: should be a number",
    "rules: [{id: a, measurement: latency.p95, above: 1, feature: f1}]": (
        "FILE:1: rules[0].feature: latency.p95 is not per feature, so this rule would never fire"
    ),
    "rules:\n- {id: a, measurement: latency.p95, above: 1}\n- {id: a, measurement: latency.p50, above: 1}": (
        "FILE:3: rules[1].id: a is the id of an earlier rule: each needs its own"
    ),
    "windows: [1m, 1h]\nrules:\n- {id: a, measurement: latency.p95, above: 1}": (
        "FILE:3: rules[0]: needs a window, one of 1m, 1h"
    ),
    "windows: [0s]\nrules:\n- {id: a, measurement: latency.p95, above: 1}": (
        "FILE:1: windows[0]: a window should be longer than 0s"
    ),
    "rules:\n- id: a\n  measurement: latency.p95\n  above: 1\n  window: 5m": (
        "FILE:5: rules[0].window: should be one of windows (1m), or be added there"
    ),
    "rules: [{id: a, measurement: latency.p95, above: 1, min_samples: -1}]": (
        "FILE:1: rules[0].min_samples: should be at least 0"
    ),
    "windows: [1m, {window: 1h, model: 'fraud-*'}]\nrules:\n- id: a\n  measurement: latency.p95\n  above: 1\n"
    "  window: 1h\n  model: credit-eu": (
        "FILE:6: rules[0].window: 1h is for none of the series that this rule is for, so it would never fire"
    ),
    "rules:\n- id: a\n  measurement: latency.p95\n  above: 1\n  lane: '[*]'": (
        "FILE:5: rules[0].lane: [*] means a roll-up that is not made: add lanes to rollups"
    ),
    "delivery:\n  session_timeout: 12s": (
        "FILE:1: delivery.transaction_timeout: should be shorter than session_timeout (12s)"
    ),
    "delivery:\n  min_commit_interval: 2s": (
        "FILE:2: delivery.min_commit_interval: should be no longer than commit_interval (1s)"
    ),
    "delivery: {commit_interval: 0s}": "FILE:1: delivery.commit_interval: should be longer than 0s",
    "delivery: {transaction_timeout: 10ms}": "FILE:1: delivery.transaction_timeout: should be at least 1s, ",
    "device: gpu": "FILE:1: device: should be 'auto', 'cpu' or 'cuda'",
    "- 1": "FILE:1: should be a mapping, one `key: value` per line",
}


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_name_line_key_and_way_out(text: str, write: Write) -> None:
    said = refusal(write(text))
    assert said.startswith(REFUSALS[text])
    assert "\n" not in said


def test_every_problem_gets_its_line(write: Write) -> None:
    said = refusal(write("grup: x\nwindows: [1x]\nlog:\n  level: 3")).splitlines()
    assert sorted(line.split(": ")[0] for line in said) == ["FILE:1", "FILE:2", "FILE:4"]


def test_a_raw_input_has_one_schema(write: Write, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_text("{}")
    said = refusal(write("input:\n  framing: raw\n  schemas: [a, b]"))
    assert said.startswith("FILE:3: input.schemas: raw records do not say their schema: name one")


def test_ids_belong_to_confluent_framing(write: Write, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{}")
    said = refusal(write("input:\n  schemas: {'17': a}"))
    assert said.startswith("FILE:2: input.schemas: single_object records name no ids: list the files, or use framing ")
    said = refusal(write("input:\n  framing: confluent\n  schemas: [a]"))
    assert said.startswith(
        "FILE:3: input.schemas: confluent records name their schema by its id: map ids to files, as "
    )


def test_a_variable_is_named_by_its_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("delivery: {max_batch: 5}")
    for name, value, said in [
        ("STREAMMON_DELIVERY__MAX_BATCH", "x", "delivery.max_batch: should be a whole number"),
        ("STREAMMON_DELIVERY__MAXBATCH", "x", "delivery.maxbatch: unknown key; did you mean max_batch?"),
        ("STREAMMON_GRUP", "x", "grup: unknown key; did you mean group?"),
        ("STREAMMON_KAFKA__GROUP_ID", "x", "kafka.group.id: is reserved: it names the group"),
        ("STREAMMON_RULES", "[{id: a}]", "rules[0].measurement: is required, and missing"),
        ("STREAMMON_TOPICS", "7", "topics: should be a mapping, one `key: value` per line"),
    ]:
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert refusal(path).startswith(f"environment variable {name}: {said}")


def test_a_variable_that_is_no_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMON_WINDOWS", "[1m")
    assert refusal(None).startswith("environment variable STREAMMON_WINDOWS:1: expected ',' or ']'")


def test_the_command_line_is_named(write: Write) -> None:
    assert refusal(write("group: a"), {"topics": {"evnts": "x"}}) == (
        "command line: topics.evnts: unknown key; did you mean events?"
    )


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml").startswith("FILE: cannot be read (No such file or directory): ")
    assert refusal(tmp_path).startswith("FILE: cannot be read (Is a directory): ")
    (tmp_path / "latin").write_bytes(b"group: \xe9")
    assert refusal(tmp_path / "latin") == "FILE:1: is not UTF-8: save it as UTF-8"


KEYS = [*Settings.model_fields, "match", "features", "classes", "embedding", "id", "measurement", "above", "window"]
KEYS += [
    "model",
    "version",
    "lane",
    "framing",
    "schemas",
    "mapping",
    "ts",
    "sasl.password",
    "sasl.password_file",
    "ssl.ca.location",
    "group.id",
]
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates()
VALUES |= st.sampled_from(
    ["1m", "1m every 1s", "1d offset -2h", "[*]", "lanes", "latency.p95", "~nobody/x", "feature.psi", "raw", "*", b"x"]
)
ANYTHING = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
)


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4))
def test_anything_is_settings_or_a_refusal(data: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "streammon.yaml")
        path.write_text(yaml.safe_dump(data))
        for arguments in ((path,), (None, data)):
            with suppress(UsageError):
                assert dump(load(*arguments))
