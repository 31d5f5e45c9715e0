"""What the documentation says of the code is what the code says."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from streammon import incidents
from streammon.commands import COMMANDS
from streammon.core.drift import TESTS
from streammon.core.errors import Code
from streammon.settings import load
from streammon.settings.measurements import MEASUREMENTS
from streammon.settings.model import Settings
from tests.docs import settings_tables
from tests.docs.generate import PARTS, PLACE, filled
from tests.docs.pages import PAGES, Block, blocks, read

YAML = [block for page in PAGES for block in blocks(page, "yaml")]
OURS = [block for block in YAML if set(yaml.safe_load(block.text)) <= set(Settings.model_fields)]


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_as_make_docs_writes_them(page: str) -> None:
    text = read(page)
    assert filled(text) == text, "run `make docs`"


def test_each_table_stands_in_one_place() -> None:
    assert Counter(place["part"] for page in PAGES for place in PLACE.finditer(read(page))) == dict.fromkeys(PARTS, 1)


def test_no_cell_is_empty() -> None:
    """Every setting, option and field says what it means: help texts, docs of schemas, comments of the example."""
    for name, part in PARTS.items():
        for line in part().splitlines():
            cells = re.split(r"(?<!\\)\|", line)[1:-1] if line.startswith("|") else []
            assert all(cell.strip() for cell in cells), f"{name}: {line}"


def test_the_example_has_no_key_that_is_no_setting() -> None:
    """What a user could copy from a comment is accepted."""
    free = {("kafka",), ("input", "mapping"), ("input", "defaults")}
    for place in settings_tables.meanings():
        assert place[0] in Settings.model_fields
        assert len(place) <= 2 or place[:2] in free, place


def test_a_key_in_a_comment_and_one_in_a_list_are_found() -> None:
    text = "# About a.\na:\n  b: 1 # first\n  # c: 2 # second\n  #   d: 3\nlist:\n  - e: 4 # third\n    f: 5\n"
    assert list(settings_tables.keys(text)) == [
        (("a",), "About a."),
        (("a", "b"), "first"),
        (("a", "c"), "second"),
        (("a", "c", "d"), ""),
        (("list",), ""),
        (("list", "e"), "third"),
        (("list", "f"), ""),
    ]


def test_every_statistic_of_a_drift_test_is_described() -> None:
    """In the list of measurements, and with its formula."""
    statistics = [name for test in TESTS for name in test.statistics]
    names = list(MEASUREMENTS)
    first = names.index("feature.ks")
    assert names[first : first + len(statistics)] == [f"feature.{name}" for name in statistics]
    formulas = read("docs/measurements.md").split("\n## Drift\n")[1]
    assert re.findall(r"^\| `\.(\w+)` \|", formulas, re.MULTILINE) == statistics


def test_every_reason_for_a_dead_letter_is_explained() -> None:
    section = read("docs/operating.md").split("\n## Dead letters\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    named = {name for row in rows for name in re.findall("`([A-Z]+)`", row)}
    assert named == {code.name for code in Code} - {"OK", "TOMBSTONE"}


def test_every_command_is_in_the_reference() -> None:
    """Found by another way than the generator's: by the names of the files."""
    for module in COMMANDS:
        assert f"### `streammon {module.__name__.rpartition('.')[2].replace('_', '-')}" in read("docs/reference.md")


@pytest.mark.parametrize("block", OURS, ids=lambda block: block.place)
def test_examples_of_settings_are_accepted(block: Block, tmp_path: Path) -> None:
    """Their secrets and schemas lie beside the file."""
    text = block.text.replace("/run/secrets/", "")
    for name in re.findall(r"[\w-]+\.avsc|(?<=_file: )[\w-]+", text):
        (tmp_path / name).write_text("secret", encoding="utf-8")
    path = tmp_path / "streammon.yaml"
    path.write_text(text, encoding="utf-8")
    load(path)


def test_examples_of_settings_are_found() -> None:
    assert {block.page for block in OURS} >= {"docs/own-schema.md", "docs/production.md"}


def test_the_example_of_incidents_is_accepted(tmp_path: Path) -> None:
    (block,) = [block for block in blocks("docs/replay.md", "json") if "incidents" in block.text]
    (tmp_path / "incidents.json").write_text(block.text, encoding="utf-8")
    (incident,) = incidents.read(tmp_path / "incidents.json")
    assert (incident.model, incident.lane, incident.end) == ("digits-0", "canary", None)
