"""Known incidents in a file: they survive the way, and a mistake in a file is named by file, entry and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.core.errors import UsageError
from streammon.incidents import Incident, read, write

NOON = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z
name = st.text(st.characters(codec="utf-8"), min_size=1, max_size=9)
moment = st.integers(0, 4_000_000_000_000_000)
incidents = st.builds(
    lambda start, length, **names: Incident(start=start, end=length and start + length, **names),
    moment,
    st.none() | st.integers(1, 10**15),
    kind=name,
    model=name,
    lane=name,
    rule=st.none() | name,
)


def written(folder: Path, *entries: Any) -> Path:
    path = folder / "incidents.json"
    path.write_text(json.dumps({"incidents": entries}))
    return path


def entry(**changed: Any) -> dict[str, Any]:
    return {"kind": "latency", "model": "digits-0", "lane": "canary", "start": "2026-01-31T12:00:00Z", **changed}


@given(st.lists(incidents))
def test_incidents_survive_to_the_microsecond(tmp_path_factory: pytest.TempPathFactory, found: list[Incident]) -> None:
    path = tmp_path_factory.mktemp("incidents") / "incidents.json"
    write(path, found)
    assert read(path) == tuple(found)


def test_a_file_looks_as_documented(tmp_path: Path) -> None:
    """The format is a promise: other tools write it too."""
    path = tmp_path / "incidents.json"
    write(path, [Incident(kind="latency", model="größe", lane="*", start=NOON, end=NOON + 1_500_000)])
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "incidents": [
            {
                "kind": "latency",
                "model": "größe",
                "lane": "*",
                "start": "2026-01-31T12:00:00Z",
                "end": "2026-01-31T12:00:01.500000Z",
                "rule": None,
            }
        ]
    }


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31T13:00:00+01:00",
        "2026-01-31 12:00",
        "20260131T120000Z",
    ],
)
def test_a_time_may_be_written_in_any_zone(tmp_path: Path, text: str) -> None:
    """Without one it is UTC, as on the command line. `end` and `rule` may be left out."""
    assert read(written(tmp_path, entry(start=text))) == (
        Incident(kind="latency", model="digits-0", lane="canary", start=NOON),
    )


@pytest.mark.parametrize(
    "window, lane, touched",
    [
        ((0, 10), "canary", False),  # ends where the incident starts
        ((0, 11), "canary", True),
        ((19, 29), "canary", True),
        ((20, 30), "canary", False),
        ((12, 13), "prod", False),
        ((12, 13), "*", True),  # a roll-up over the lanes
    ],
)
def test_a_window_is_touched_where_the_two_overlap(window: tuple[int, int], lane: str, touched: bool) -> None:
    assert Incident(kind="k", model="m", lane="canary", start=10, end=20).touches("m", lane, *window) == touched


def test_an_incident_may_be_in_every_lane_and_last() -> None:
    lasting = Incident(kind="k", model="m", lane="*", start=10)
    assert lasting.touches("m", "prod", 10**15, 10**15 + 1)
    assert not lasting.touches("another", "prod", 10, 20)


def test_model_and_start_are_enough(tmp_path: Path) -> None:
    """Then it is in every lane, and lasts."""
    (found,) = read(written(tmp_path, {"model": "m", "start": "2026-01-31T12:00:00Z"}))
    assert found == Incident(kind="incident", model="m", lane="*", start=NOON)


@pytest.mark.parametrize(
    "wrong, message",
    [
        (entry(start="noon"), r"incident 2: start is 'noon'; write a time such as 2026-"),
        (entry(start="0001-01-01T00:00:00+23:59", end="soon"), r"incident 2: end is 'soon'"),
        (entry(start=12), r"incident 2: start is 12; it should be a text"),
        (entry(start=None), r"incident 2: start is null"),
        (entry(end="2026-01-31T12:00:00Z"), r"incident 2: end is not after start"),
        (entry(kind=""), r"incident 2: kind is empty"),
        (entry(rules="slow"), r"incident 2: there is no field 'rules'; there are kind, model, lane, start, end, rule"),
        ({"kind": "latency"}, r"incident 2: model is missing"),
        (["latency"], r"incident 2: not an object"),
    ],
)
def test_a_mistake_is_named_by_file_entry_and_field(tmp_path: Path, wrong: Any, message: str) -> None:
    with pytest.raises(UsageError, match=rf"incidents\.json: {message}"):
        read(written(tmp_path, entry(), wrong))


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("\udcff", "not JSON"),
        ("[]", "not a file of incidents"),
        ('{"incidents": {}}', "not a file of incidents"),
        ('{"incidents": [], "format": 2}', "not a file of incidents"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(UsageError, match=rf"other\.json: {message}"):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: cannot be read"):
        read(tmp_path / "none.json")
    with pytest.raises(UsageError, match="cannot be written"):
        write(tmp_path / "no" / "folder.json", [])
