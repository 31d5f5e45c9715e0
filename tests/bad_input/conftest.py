"""The line that the rows of the matrix go through."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input.line import Line


@pytest.fixture
def line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Line:
    return Line(tmp_path, capsys)
