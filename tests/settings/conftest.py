"""A file of settings, and an environment without ours."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.settings.helpers import Write


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("STREAMMON_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the file of settings."""

    def write_file(text: str) -> Path:
        path = tmp_path / "streammon.yaml"
        path.write_text(text)
        return path

    return write_file
