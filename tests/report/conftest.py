"""A browser for the module's tests, started once: Debian's Chromium, or the one that STREAMMON_CHROMIUM names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, sync_playwright


@pytest.fixture(scope="module")  # no longer: it runs an event loop of its own, beside which asyncio.run refuses to
def browser() -> Iterator[Browser]:
    """Without a browser the test is skipped with the reason, or fails if STREAMMON_REQUIRE_BROWSER is 1."""
    path = os.environ.get("STREAMMON_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        _without("no chromium on the path: install Debian's package chromium, or name one in STREAMMON_CHROMIUM")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # tests may run as root
        except Error as error:
            _without(f"{path} does not start: {str(error).splitlines()[0]}")
        yield started
        started.close()


def _without(reason: str) -> None:
    if os.environ.get("STREAMMON_REQUIRE_BROWSER") == "1":
        pytest.fail(f"STREAMMON_REQUIRE_BROWSER=1, but {reason}", pytrace=False)
    pytest.skip(f"no browser: {reason}")
