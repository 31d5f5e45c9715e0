"""Several observers as one."""

from __future__ import annotations

import inspect

from streammon.core.ports import Observer
from streammon.telemetry import Observers
from streammon.telemetry.observers import HOOKS


class Heard(Observer):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, tuple[object, ...]]] = []
        for name in hooks():
            setattr(self, name, lambda *arguments, name=name: self.said.append((name, arguments)))


def hooks() -> dict[str, int]:
    """The hooks that the loop knows, with the number of their arguments."""
    found = inspect.getmembers(Observer, inspect.isfunction)
    return {name: len(inspect.signature(hook).parameters) - 1 for name, hook in found if not name.startswith("_")}


def test_every_hook_reaches_every_observer_with_its_arguments() -> None:
    first, second = Heard(), Heard()
    several = Observers(first, second)
    for name, count in hooks().items():
        getattr(several, name)(*range(count))
    expected = [(name, tuple(range(count))) for name, count in hooks().items()]
    assert first.said == second.said == expected
    assert {"turned", "fed", "paused", "alert"} <= set(HOOKS) == set(hooks())
