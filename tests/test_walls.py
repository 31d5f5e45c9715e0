"""Walls that import-linter cannot see: who reads the environment and who reads a clock."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "streammon"
ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "putenv"})
CLOCK_MODULES = frozenset({"time", "logging", "threading"})
CLOCK_CALLS = frozenset({"now", "utcnow", "today"})


def imports(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, module, name) of every import, at any depth; the name is empty for `import module`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)


def attributes(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """(line, owner, name) of every `owner.name`, where owner is the last word before the dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            if isinstance(owner, ast.Name):
                yield node.lineno, owner.id, node.attr
            elif isinstance(owner, ast.Attribute):
                yield node.lineno, owner.attr, node.attr


def environment_reads(source: str) -> list[int]:
    """Lines that read the process environment, whatever name `os` was imported under."""
    tree = ast.parse(source)
    by_attribute = {line for line, _, name in attributes(tree) if name in ENVIRONMENT}
    by_import = {line for line, module, name in imports(tree) if module == "os" and name in ENVIRONMENT}
    return sorted(by_attribute | by_import)


def clock_reads(source: str) -> list[int]:
    """Lines that import a module with a clock, or ask `datetime` or `date` what time it is."""
    tree = ast.parse(source)
    by_import = {line for line, module, _ in imports(tree) if module.split(".")[0] in CLOCK_MODULES}
    by_call = {line for line, owner, name in attributes(tree) if owner in {"datetime", "date"} and name in CLOCK_CALLS}
    return sorted(by_import | by_call)


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def test_only_settings_reads_the_environment() -> None:
    """No module but streammon.settings mentions os.environ or os.getenv."""
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in modules(PACKAGE)
        if path.relative_to(PACKAGE).parts[0] not in {"settings.py", "settings"}
        and (lines := environment_reads(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_the_core_has_no_clock() -> None:
    """Nothing in streammon/core knows wall time: time enters as an argument."""
    core = modules(PACKAGE / "core")
    assert core, "streammon/core has no modules: this test looks in the wrong place"
    found = {
        str(path.relative_to(PACKAGE)): lines
        for path in core
        if (lines := clock_reads(path.read_text(encoding="utf-8")))
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A']",
        "import os as system\nsystem.getenv('A')",
        "from os import environ",
        "def f():\n    from os import getenv as g",
    ],
)
def test_every_way_to_read_the_environment_is_seen(source: str) -> None:
    assert environment_reads(source)


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "def f():\n    import logging.handlers",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import datetime\ndatetime.utcnow()",
        "from datetime import date\ndate.today()",
    ],
)
def test_every_way_to_read_a_clock_is_seen(source: str) -> None:
    assert clock_reads(source)


def test_arithmetic_on_times_is_allowed() -> None:
    assert not clock_reads("from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)")
    assert not environment_reads("import os\nos.fspath('a')")
