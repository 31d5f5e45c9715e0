"""Three layers, one over the other; and what `load` gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from streammon.settings import Settings, dump, load
from tests.settings.helpers import ROOT, Write, refusal


def test_nothing_given_is_the_defaults() -> None:
    settings = load()
    assert settings == Settings()
    assert settings.group == "streammon"
    assert settings.topics.events == "inference-events"
    assert settings.kafka == {"bootstrap.servers": "localhost:9092"}
    assert [keys.window.text for keys in settings.windows] == ["60000000/60000000/0"]
    assert settings.delivery.commit_interval == timedelta(seconds=1)


def test_file_then_environment_then_command_line(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("group: file\ninstance: file\ntopics: {events: file, metrics: file-m, alerts: file-a}\nwindows: [1h]")
    monkeypatch.setenv("STREAMMON_INSTANCE", "env")
    monkeypatch.setenv("STREAMMON_TOPICS__EVENTS", "env")
    monkeypatch.setenv("STREAMMON_TOPICS__METRICS", "env-m")
    settings = load(path, {"topics": {"events": "line"}, "device": "cpu"})
    assert (settings.group, settings.instance) == ("file", "env")
    topics = settings.topics
    assert (topics.events, topics.metrics, topics.alerts) == ("line", "env-m", "file-a")
    assert topics.journal == "streammon-journal"
    assert settings.device == "cpu"


def test_none_on_the_command_line_is_not_given(write: Write) -> None:
    settings = load(write("group: file"), {"group": None, "topics": {"events": None}})
    assert settings.group == "file"


def test_a_list_replaces_a_list(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMON_WINDOWS", "[5m]")
    assert [keys.window.size for keys in load(write("windows: [1m, 1h]")).windows] == [300_000_000]


@pytest.mark.parametrize(
    "name, value, read",
    [
        ("STREAMMON_WINDOWS", "2m", lambda s: [keys.window.size for keys in s.windows] == [120_000_000]),
        ("STREAMMON_WINDOWS", '["1m", "1h"]', lambda s: len(s.windows) == 2),
        ("STREAMMON_INSECURE", "true", lambda s: s.insecure is True),
        ("STREAMMON_DELIVERY__MAX_BATCH", "17", lambda s: s.delivery.max_batch == 17),
        ("STREAMMON_DELIVERY", '{"max_batch": 18}', lambda s: s.delivery.max_batch == 18),
        ("STREAMMON_INPUT__MAPPING__FEATURES", "[age, income]", lambda s: len(s.input.mapping["features"]) == 2),
        ("STREAMMON_INPUT__DEFAULTS__LANE", "prod", lambda s: s.input.defaults == {"lane": "prod"}),
        ("STREAMMON_INPUT__DEFAULTS", "{weight: 2}", lambda s: s.input.defaults == {"weight": 2.0}),
        ("STREAMMON_INPUT__MAPPING__TS", "at", lambda s: s.input.mapping == {"ts": "at"}),
        ("STREAMMON_RULES", "[{id: a, measurement: traffic.qps, below: 1}]", lambda s: s.rules[0].below == 1),
        ("STREAMMON_KAFKA__FETCH_MAX_BYTES", "1000", lambda s: s.kafka["fetch.max.bytes"] == "1000"),
        ("STREAMMON_KAFKA__FETCH.MAX.BYTES", "1000", lambda s: s.kafka["fetch.max.bytes"] == "1000"),
        ("STREAMMON_GROUP", "0123", lambda s: s.group == "0123"),
        ("STREAMMON_GROUP", "", lambda s: s.group == "streammon"),
        ("streammon_group", "small", lambda s: s.group == "small"),
    ],
)
def test_variables(name: str, value: str, read: Callable[[Settings], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert read(load())


@pytest.mark.parametrize(
    "name",
    ["STREAMMON_SERVICE_HOST", "STREAMMON_PORT", "STREAMMON_PORT_80_TCP_ADDR", "STREAMMON_WEB_SERVICE_PORT_HTTP"],
)
def test_variables_that_kubernetes_makes_for_a_service_are_ignored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "10.0.0.1")
    assert load() == Settings()


def test_only_load_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMON_GROUP", "other")
    assert Settings().group == "streammon"


def test_relative_paths_are_relative_to_the_file(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.avsc").write_text("{}")
    path = write(
        "baselines: [b, /c]\ninput: {schemas: a.avsc}\nkafka: {ssl.ca.location: ca.pem, https.ca.location: probe}"
    )
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("STREAMMON_KAFKA__SSL_KEY_LOCATION", "key")
    settings = load(path)
    assert settings.baselines == (tmp_path / "b", Path("/c"))
    assert settings.input.schemas == (tmp_path / "a.avsc",)
    assert settings.kafka["ssl.ca.location"] == str(tmp_path / "ca.pem")
    assert settings.kafka["https.ca.location"] == "probe"
    assert settings.kafka["ssl.key.location"] == str(ROOT / "key")


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.group = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        settings.topics.events = "other"  # type: ignore[misc]


def test_overrides_are_not_changed(tmp_path: Path) -> None:
    overrides = {"baselines": ["b"], "kafka": {"sasl.password_file": "p"}}
    refusal(None, overrides)
    assert overrides == {"baselines": ["b"], "kafka": {"sasl.password_file": "p"}}


def test_a_section_with_all_lines_commented_out_is_the_default(write: Write) -> None:
    assert load(write("kafka:\n  # a: b\ndelivery:\ninstance: null\nrules:\n")) == Settings()
    assert load(write("# nothing\n")) == Settings()


def keys(model: type[BaseModel], data: Any, place: str = "") -> set[str]:
    """Keys of the model that a file does not mention."""
    missing = set()
    for name, field in model.model_fields.items():
        if name not in data:
            missing.add(place + name)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            missing |= keys(field.annotation, data[name], f"{place}{name}.")
    return missing


def test_the_example_loads_and_shows_every_key() -> None:
    path = ROOT / "streammon.example.yaml"
    example = load(path)
    data = yaml.safe_load(path.read_text())
    commented = {"instance", "topics.late", "input.schemas", "input.mapping", "input.defaults", "telemetry.token"}
    assert keys(Settings, data) == commented
    assert all(f"# {key.split('.')[-1]}:" in path.read_text() for key in commented)
    assert example.model_copy(update={"models": (), "rules": ()}) == Settings()


def test_dump_is_read_back(write: Write) -> None:
    example = load(ROOT / "streammon.example.yaml", {"allowed_lateness": "90s"})
    assert load(write(dump(example))) == example
    assert "allowed_lateness: 90s" in dump(example)
    assert "cooldown: 15m" in dump(example)
    more = load(write("windows: [1m, 1h]\nrules: [{id: a, measurement: traffic.qps, below: 1, window: 60m}]"))
    assert load(write(dump(more))) == more


def test_settings_are_light_to_import() -> None:
    """`streammon --help` and `check` wait for it."""
    code = "import sys, streammon.settings; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "numba", "confluent_kafka", "fastavro"} & set(loaded)
