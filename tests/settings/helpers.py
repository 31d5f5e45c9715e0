"""What the tests of the settings share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streammon.core.errors import UsageError
from streammon.settings import load

ROOT = Path(__file__).parents[2]
Write = Callable[[str], Path]


def refusal(path: Path | None, overrides: dict[str, Any] | None = None) -> str:
    """What `load` says, with the file's path as FILE."""
    with pytest.raises(UsageError) as caught:
        load(path, overrides or {})
    assert isinstance(caught.value.__context__, OSError | None), "an exception that holds the values is chained"
    return str(caught.value).replace(str(path), "FILE")
