"""Several observers as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streammon.core.ports import Observer

HOOKS = tuple(name for name, member in vars(Observer).items() if not name.startswith("_") and callable(member))


class Observers(Observer):
    """Passes everything on, in order. Made from the hooks that there are, so that no new one is forgotten."""

    def __init__(self, *observers: Observer) -> None:
        for name in HOOKS:
            setattr(self, name, _each([getattr(observer, name) for observer in observers]))


def _each(hooks: list[Callable[..., None]]) -> Callable[..., None]:
    def tell(*arguments: Any, **named: Any) -> None:
        for hook in hooks:
            hook(*arguments, **named)

    return tell
