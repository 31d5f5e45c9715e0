"""Paths of a mapping, from text to steps: `request.person.age`, `items[].price`, `items[0].price`, `inputs[age]`."""

from __future__ import annotations

import re

EACH = "[]"  # the step to every item of an array
MAX_INDEX = 9_999  # of one item; every index up to the greatest that is asked for has a place in the program

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[([^\[\]]*)\]")

Steps = tuple[str, ...]


def parse_path(text: str) -> Steps:
    """Its steps: a name (of a field, or a key of a map), `[]` (every item), `[3]` (an item, or a key), `[key]`.

    Raises ValueError where the text is no path; the message is what follows "PATH ".

    >>> parse_path("request.items[].price")
    ('request', 'items', '[]', 'price')
    >>> parse_path("inputs[a.b]")
    ('inputs', '[a.b]')
    """
    steps: list[str] = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None or (at == 0 and found[1] is None):
            raise ValueError("is not a path: write names with dots between, such as request.items[0].price")
        inner = found[2] or ""
        if inner[:1] in "'\"" and inner:
            raise ValueError("has quotes around a key: write it without")
        if inner.isdecimal() and int(inner) > MAX_INDEX:
            raise ValueError(f"picks an item beyond the first {MAX_INDEX + 1}: use [] for every item")
        steps.append(found[1] or found[0])
        at = found.end()
    if not steps:
        raise ValueError("is an empty path: name a field")
    return tuple(steps)


def index(step: str) -> int | None:
    """The number in `[3]`; None where the step is another."""
    inner = step[1:-1]
    return int(inner) if step.startswith("[") and inner.isdecimal() else None


def key(step: str) -> str:
    """The key of a map in `age` or `[age]`."""
    return step[1:-1] if step.startswith("[") else step


def joined(path: str, step: str) -> str:
    """The path one step further."""
    return path + step if step.startswith("[") or not path else f"{path}.{step}"
