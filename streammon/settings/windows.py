"""Windows as people write them: a text, or a mapping that also says which series it is for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import astuple
from fnmatch import fnmatchcase
from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from streammon.core.errors import UsageError
from streammon.core.outputs import OTHER, Rollup, WindowSpec
from streammon.core.plan import Plan, Scope
from streammon.core.rules import Rule
from streammon.settings import kinds
from streammon.settings.durations import parse_window, window_text
from streammon.settings.problems import Place, Problems
from streammon.settings.section import Section

ROLLED_UP = "[*]"  # the pattern, and the only one, that a roll-up's version or lane matches

_SPEC = re.compile(r"\d+/\d+/\d+")  # WindowSpec.text
_SPECIAL = re.compile(r"[*?[]")


class WindowKeys(Section):
    """A window, and the series that it is for, by shell patterns."""

    window: kinds.Window
    model: kinds.ModelPattern = "*"
    version: kinds.Pattern = "*"
    lane: kinds.Pattern = "*"

    @model_validator(mode="before")
    @classmethod
    def _text_is_a_window(cls, value: Any) -> Any:
        return value if isinstance(value, Mapping | WindowKeys) else {"window": parse_window(value)}

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> Any:
        return serialize(self) if self.is_scoped else window_text(self.window)

    @property
    def is_scoped(self) -> bool:
        """Whether there are series that it is not for."""
        return (self.model, self.version, self.lane) != ("*", "*", "*")

    @property
    def scope(self) -> Scope:
        return Scope(self.window, self.model, self.version, self.lane)


def specs(windows: tuple[WindowKeys, ...]) -> tuple[WindowSpec, ...]:
    """Each window once, in order."""
    return tuple(sorted({keys.window for keys in windows}))


def scopes(windows: tuple[WindowKeys, ...]) -> tuple[Scope, ...]:
    """Of the windows that are not for every series, in order."""
    return tuple(sorted((keys.scope for keys in windows if keys.is_scoped), key=astuple))


def check_windows(windows: tuple[WindowKeys, ...], max_panes: int) -> None:
    """Raise ValueError where windows repeat each other, leave gaps, or have more than `max_panes` panes."""
    repeated = list(_repeated(windows))
    if repeated:
        raise Problems(*repeated)
    try:
        Plan(topic="", windows=specs(windows), allowed_lateness=0, max_panes=max_panes)
    except UsageError as error:
        text = str(error).removeprefix("windows: ")
    else:
        return
    about = _SPEC.search(text)
    if about is None:
        raise ValueError(text)
    index, spec = next((at, keys.window) for at, keys in enumerate(windows) if keys.window.text == about[0])
    raise Problems(((index,), text.replace(about[0], window_text(spec))))


def not_rolled_up(version: str, lane: str, rollups: tuple[Rollup, ...]) -> Iterator[tuple[Place, str]]:
    """What is wrong with patterns that mean a roll-up which is not made."""
    needed = {
        (False, True): Rollup.LANES,
        (True, False): Rollup.VERSIONS,
        (True, True): Rollup.MODEL,
    }.get((version == ROLLED_UP, lane == ROLLED_UP))
    if needed is not None and needed not in rollups:
        key, other = ("lane", "version") if lane == ROLLED_UP else ("version", "lane")
        way_out = f"add {needed} to rollups"
        if needed is not Rollup.MODEL and Rollup.MODEL in rollups:
            way_out += f', or write {other}: "{ROLLED_UP}" too'
        yield (key,), f"{ROLLED_UP} means a roll-up that is not made: {way_out}"


def covers(windows: tuple[WindowKeys, ...], rule: Rule) -> bool:
    """Whether there may be a series that both the rule and its window are for. True where patterns leave it open."""
    return any(keys.window.text == rule.window and _may_meet(keys, rule) for keys in windows)


def _repeated(windows: tuple[WindowKeys, ...]) -> Iterator[tuple[Place, str]]:
    everywhere = {keys.window for keys in windows if not keys.is_scoped}
    for index, keys in enumerate(windows):
        name = window_text(keys.window)
        if keys in windows[:index]:
            yield (index,), f"{name} is named twice: keep one"
        elif keys.is_scoped and keys.window in everywhere:
            yield (index,), f"{name} is for every series already: keep one of the two"


def _may_meet(keys: WindowKeys, rule: Rule) -> bool:
    if not keys.is_scoped:
        return True
    if OTHER.model_id in (keys.model, rule.model):
        return keys.model == rule.model
    pairs = ((keys.version, rule.version), (keys.lane, rule.lane))
    if any((one == ROLLED_UP) != (other == ROLLED_UP) for one, other in pairs):
        return False
    return all(_may_share(one, other) for one, other in ((keys.model, rule.model), *pairs))


def _may_share(one: str, other: str) -> bool:
    """Whether a text may match both shell patterns: exact where one is a plain text, else by what they begin with.

    >>> _may_share("fraud-*", "fraud-eu"), _may_share("fraud-*", "*-eu"), _may_share("fraud-*", "credit-*")
    (True, True, False)
    """
    if not _SPECIAL.search(one):
        return fnmatchcase(one, other)
    if not _SPECIAL.search(other):
        return fnmatchcase(other, one)
    first, second = (_SPECIAL.split(pattern, maxsplit=1)[0] for pattern in (one, other))
    return first.startswith(second) or second.startswith(first)
