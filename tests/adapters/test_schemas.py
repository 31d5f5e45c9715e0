"""The schema files: documented, nullable where they should be, and true to the dataclasses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from streammon.adapters import schema_files
from streammon.adapters.schema_files import load_schema
from streammon.core.errors import UsageError
from streammon.core.events import FLOATS, INTS, LISTS, STRING_LISTS, STRINGS
from streammon.core.journal import JournalEntry
from streammon.core.outputs import AlertEvent, Distribution, Measurement, MetricEvent, Series, WindowSpec
from streammon.core.state import ActiveBaseline, ClockState, HeaderState, PaneState, RuleState
from tests.golden import oracle

NAMES = sorted(path.stem for path in oracle.SCHEMAS.glob("*.avsc"))
TIMES = {"ts", "start", "end", "opened_at", "own", "clock", "p0", "progress", "effective_from"}


def records(schema: Any) -> Iterator[dict[str, Any]]:
    """The record itself and every record inside it."""
    if isinstance(schema, list):
        for branch in schema:
            yield from records(branch)
    elif isinstance(schema, dict):
        if schema["type"] == "record":
            yield schema
            for field in schema["fields"]:
                yield from records(field["type"])
        for part in ("items", "values"):
            yield from records(schema.get(part))


def field_names(schema: dict[str, Any]) -> list[str]:
    return [field["name"] for field in schema["fields"]]


def inner(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return next(record for record in records(schema) if record["name"] == name)


@pytest.mark.parametrize("name", NAMES)
def test_every_record_and_field_is_documented(name: str) -> None:
    """A doc is a sentence: it starts as one and ends as one. Times say that they are microseconds or milliseconds."""
    for record in records(oracle.schema(name)):
        for item in [record, *record["fields"]]:
            assert item["doc"].endswith("."), item["name"]
            if "logicalType" in json.dumps(item["type"]) and item["name"] != "window" and "fields" not in item:
                assert "seconds since the epoch, UTC" in json.dumps(item), item["name"]


@pytest.mark.parametrize("name", NAMES)
def test_times_have_a_logical_type(name: str) -> None:
    """Every instant is timestamp-micros (Kafka's own: timestamp-millis), so that other tools show a date."""
    for record in records(oracle.schema(name)):
        for field in record["fields"]:
            if field["name"] in TIMES or field["name"].startswith("last_") or field["name"] == "alert_start":
                assert '"timestamp-micros"' in json.dumps(field["type"]), field["name"]
            if field["name"] == "timestamp":
                assert '"timestamp-millis"' in json.dumps(field["type"])


@pytest.mark.parametrize("name", NAMES)
def test_what_may_be_null_has_null_first_and_as_default(name: str) -> None:
    """A union is null and one other type. Only contents of a record (key, value of an envelope) have no default."""
    for record in records(oracle.schema(name)):
        for field in record["fields"]:
            if isinstance(field["type"], list):
                assert field["type"][0] == "null"
                assert len(field["type"]) == 2
                assert field["name"] in ("key", "value") or field["default"] is None, field["name"]


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_is_that_of_the_specification(name: str) -> None:
    """An independent canonical form and CRC-64-AVRO, little-endian, give what stands in front of our values."""
    crc = oracle.crc64(oracle.canonical(oracle.schema(name)).encode())
    assert load_schema(name).identity == crc.to_bytes(8, "little")


@pytest.mark.parametrize(
    "name, kind",
    [("metric_event", MetricEvent), ("alert_event", AlertEvent), ("journal_entry", JournalEntry)],
)
def test_outputs_have_the_names_of_the_dataclass(name: str, kind: type) -> None:
    """In the same order; a series is three fields, spec and start are the window."""
    expected: list[str] = []
    for field in fields(kind):
        if field.name == "series":
            expected += Series._fields
        elif field.name == "spec":
            expected.append("window")
        elif field.name != "start":
            expected.append(field.name)
    assert field_names(oracle.schema(name)) == expected


@pytest.mark.parametrize("name", ["metric_event", "alert_event"])
def test_measurement_and_window_are_the_same_everywhere(name: str) -> None:
    """One definition, written out in both files: the names of outputs.py, in order."""
    schema = oracle.schema(name)
    assert field_names(inner(schema, "Measurement")) == list(Measurement._fields)
    assert field_names(inner(schema, "Window")) == [*WindowSpec._fields, "start", "end"]
    for record in ("Measurement", "Window"):
        assert inner(schema, record) == inner(oracle.schema("metric_event"), record)


def test_the_distribution_of_an_alert_has_the_names_of_the_tuple() -> None:
    assert field_names(inner(oracle.schema("alert_event"), "Distribution")) == list(Distribution._fields)


@pytest.mark.parametrize("name, kind", [("clock", ClockState), ("rule", RuleState), ("header", HeaderState)])
def test_the_changelog_has_the_names_of_the_states(name: str, kind: type) -> None:
    """In the same order; a pane has its chunks besides."""
    names = [field.name for field in fields(kind)]
    expected = [*Series._fields, *names[1:]] if names[0] == "series" else names
    assert field_names(oracle.schema(f"changelog_{name}")) == expected


def test_the_changelog_pane_has_the_names_of_the_state() -> None:
    names = [field.name for field in fields(PaneState)]
    expected = [*Series._fields, *names[1:-1], "chunk", "chunks", "fields", "data"]
    assert field_names(oracle.schema("changelog_pane")) == expected


def test_a_baseline_in_the_header_has_the_names_of_the_tuple() -> None:
    assert field_names(inner(oracle.schema("changelog_header"), "ActiveBaseline")) == list(ActiveBaseline._fields)


def test_inference_events_have_every_column() -> None:
    """Every canonical column is a field; gauges wait for their aggregate."""
    columns = {*INTS, *FLOATS, *STRINGS, *LISTS, *STRING_LISTS}
    assert set(field_names(oracle.schema("inference_event"))) == columns | {"gauges"}


def test_only_the_essential_fields_of_an_inference_event_are_required() -> None:
    """A producer that knows the series and the time can write an event."""
    required = [field["name"] for field in oracle.schema("inference_event")["fields"] if "default" not in field]
    assert required == ["ts", "req_id", "model_id", "model_version", "lane"]


def test_schemas_inside_the_package_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel has them inside, a checkout beside; neither is an installation that lost them."""
    package = tmp_path / "streammon"
    monkeypatch.setattr(schema_files, "_PACKAGE", package)
    with pytest.raises(UsageError, match="install streammon again"):
        schema_files.schema_directory()
    (tmp_path / "schemas").mkdir()
    assert schema_files.schema_directory() == tmp_path / "schemas"
    (package / "schemas").mkdir(parents=True)
    assert schema_files.schema_directory() == package / "schemas"


def test_an_unknown_schema_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no schema nonsense in .*alert_event.*metric_event"):
        load_schema("nonsense")
