"""A pytest plugin for runs on broken code: the first counterexample will do, and it is the same one every time."""

from __future__ import annotations

from hypothesis import Phase, settings


def pytest_configure() -> None:
    """After tests/conftest.py has loaded its profile, before any test is collected."""
    phases = (Phase.explicit, Phase.generate)  # no shrinking
    settings.register_profile("mutants", settings.get_profile("streammon"), phases=phases, derandomize=True)
    settings.load_profile("mutants")
