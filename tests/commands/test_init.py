"""`streammon init`: settings to start from, and a mapping proposed for a schema of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from streammon.adapters.avro.schema import load_schema
from streammon.proposal import propose
from streammon.settings import Settings, load
from tests.commands.conftest import ROOT, Command
from tests.commands.test_wrong_use import assert_refused


def record(**fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in fields.items()]}


def inner(name: str, /, **fields: Any) -> dict[str, Any]:
    return {**record(**fields), "name": name}


MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
SHOP = record(
    header=inner("Header", createdAt=MILLIS, requestId="string"),
    model=inner("Model", name="string", version="string"),
    user=inner("User", id="string", created_at=MILLIS),
    variant={"type": "enum", "name": "Variant", "symbols": ["prod", "canary"]},
    features=inner("Features", age=["null", "double"], income="float", city="string"),
    score="string",
    duration_ms=["null", "int"],
    http_status="int",
    vectors={"type": "array", "items": "float"},
)
FOUND = {
    "ts": "header.createdAt",
    "req_id": "header.requestId",
    "model_id": "model.name",
    "model_version": "model.version",
    "lane": "variant",
    "latency_ms": "duration_ms",
    "features": ["features.age", "features.income"],
    "score": None,  # the field of this name is text
}


@pytest.fixture
def schema(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    path = tmp_path / "schemas" / "shop.avsc"
    path.write_text(json.dumps(SHOP), encoding="utf-8")
    return path


def leaves(data: Any, path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
    """Keys that hold no mapping."""
    if not isinstance(data, dict) or not data:
        return {path}
    return {leaf for key, value in data.items() for leaf in leaves(value, (*path, key))}


def test_it_runs_as_it_is_and_says_nothing_but_defaults(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "streammon.yaml"
    result = command("init", path)
    assert (result.code, result.err) == (0, "")
    assert load(path) == Settings()
    checked = command("check", "--config", path)
    assert (checked.code, checked.err) == (0, "")


def test_every_key_of_the_settings_is_there(command: Command, tmp_path: Path) -> None:
    """As a value or as a comment, so that nobody has to look elsewhere for what there is."""
    path = tmp_path / "streammon.yaml"
    command("init", path)
    written = {line.lstrip(" #-").partition(":")[0] for line in path.read_text(encoding="utf-8").splitlines()}
    keys = {leaf[-1] for leaf in leaves(Settings().model_dump(mode="json"))} | set(Settings.model_fields)
    keys |= {name for item in load(ROOT / "streammon.example.yaml").models for name in type(item).model_fields}
    assert keys <= written


def test_a_file_that_is_there_stays(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "streammon.yaml"
    path.write_text("group: mine\n", encoding="utf-8")
    assert_refused(command("init", path), "streammon.yaml exists: choose another name, or --force")
    assert path.read_text(encoding="utf-8") == "group: mine\n"
    assert command("init", path, "--force").code == 0
    assert load(path) == Settings()


def test_a_mapping_is_proposed(command: Command, schema: Path, tmp_path: Path) -> None:
    """Fields by likeness of name and fit of type; the others as comments, with what they could be."""
    path = tmp_path / "streammon.yaml"
    result = command("init", path, "--schema", schema, "--topic", "on")  # a word that YAML would take for true
    assert (result.code, result.err) == (0, "")
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert data["topics"]["events"] == "on"
    assert data["input"]["schemas"] == ["schemas/shop.avsc"]  # relative to the file
    assert data["input"]["mapping"] == FOUND
    assert data["models"] == [{"match": "*", "features": ["age", "income"]}]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "    # embedding: # could be vectors" in lines
    assert "    # timed_out: # no field has its type" in lines
    (hash_line,) = [line for line in lines if line.startswith("    # user_id_hash:")]
    assert "user.id" in hash_line  # only ever as a proposal: it may be the id itself
    checked = json.loads(command("check", "--config", path, "--json").out)
    (filled,) = [each["filled"] for each in checked["schemas"]]
    assert filled == {
        **{name: ", ".join(where) if isinstance(where, list) else where for name, where in FOUND.items() if where},
        "http_status": "http_status",
    }
    assert checked["problems"] == []


def test_our_own_schema_needs_no_mapping() -> None:
    schema = load_schema((ROOT / "schemas" / "inference_event.avsc").read_text(encoding="utf-8"))
    found = propose(schema)
    assert (found.mapping, found.open, found.null) == ({}, {}, [])
    assert {"ts", "model_id", "features", "categories"} <= set(found.same)


@pytest.mark.parametrize(
    "schema, name, path",
    [
        (record(id="string"), "req_id", "id"),
        (record(user=inner("U", id="string")), "req_id", None),  # somebody else's id
        (record(payload=inner("P", id="string")), "req_id", "payload.id"),  # only a wrapping
        (record(modelName="string"), "model_id", "modelName"),
        (record(timestamp="string"), "ts", None),  # a text is no time
        (record(timestamp="long", time=MILLIS), "ts", "timestamp"),
        (record(user_id="string"), "user_id_hash", None),  # never an id as it is
        (record(deep=inner("D", score="float")), "score", "deep.score"),
        (record(inputs={"type": "array", "items": "double"}), "features", "inputs"),
        (record(inputs={"type": "map", "values": "double"}), "features", None),
        (record(event=["null", inner("E", ts=MILLIS)]), "ts", "event.ts"),
    ],
)
def test_what_is_meant(schema: dict[str, Any], name: str, path: str | None) -> None:
    assert propose(load_schema(schema)).mapping.get(name) == path


def test_a_schema_without_a_time(command: Command, tmp_path: Path) -> None:
    """It is said at once, and check refuses until it is mapped."""
    (tmp_path / "s.avsc").write_text(json.dumps(record(model="string", x="int")), encoding="utf-8")
    result = command("init", tmp_path / "s.yaml", "--schema", tmp_path / "s.avsc")
    assert result.code == 0
    assert "ts               is needed, and no field was found" in result.out
    checked = command("check", "--config", tmp_path / "s.yaml")
    assert checked.code == 1
    assert checked.err.startswith("streammon: schema R: ts comes from nowhere")


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "not a valid Avro schema"),
        ('"string"', "is string; events are records"),
        ('{"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}', "recursive schemas are not read"),
    ],
)
def test_a_schema_that_cannot_be_read(command: Command, tmp_path: Path, text: str, said: str) -> None:
    """Nothing is written."""
    (tmp_path / "s.avsc").write_text(text, encoding="utf-8")
    assert_refused(command("init", tmp_path / "s.yaml", "--schema", tmp_path / "s.avsc"), "s.avsc", said)
    assert not (tmp_path / "s.yaml").exists()


def test_other_wrong_use(command: Command, tmp_path: Path) -> None:
    assert_refused(command("init", tmp_path / "s.yaml", "--schema", tmp_path / "none.avsc"), "cannot be read")
    assert_refused(command("init", tmp_path / "s.yaml", "--topic", "a b"), "topics.events: should be a topic's name")
    assert_refused(command("init", tmp_path / "no" / "s.yaml"), "there is no directory")
    assert not list(tmp_path.iterdir())
