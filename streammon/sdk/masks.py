"""What never leaves the process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from streammon.core.errors import UsageError
from streammon.text import shown

WHOLE = (
    *("data_hash", "git_commit", "user_id", "feature_hash", "latency_ms", "http_status", "score", "prediction"),
    *("prediction_value", "probs", "features", "categories", "embedding", "gauges"),
)  # the other fields make the event what it is

_ONE = re.compile(r"(features|categories)\[(.+)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Masks:
    """Whole fields by name; single features and categories by number, counted from 0."""

    whole: frozenset[str]
    features: tuple[int, ...]
    categories: tuple[int, ...]


def masks(names: Sequence[str], feature_names: Sequence[str] | None) -> Masks:
    """Raises UsageError for a name that names nothing.

    >>> masks(["embedding", "features[0]", "features[age]"], ["sex", "age", "income"])
    Masks(whole=frozenset({'embedding'}), features=(0, 1), categories=())
    """
    if isinstance(names, str):  # is a sequence of texts too
        raise UsageError("mask: a sequence of names is needed, not one text; write mask=(name,)")
    whole: set[str] = set()
    one: dict[str, set[int]] = {"features": set(), "categories": set()}
    for name in names:
        if name in WHOLE:
            whole.add(name)
            continue
        part = _ONE.fullmatch(str(name))
        if part is None:
            raise UsageError(
                f"mask: {shown(str(name))} names nothing; a mask is one of {', '.join(WHOLE)}, "
                "or features[NUMBER], features[NAME], categories[NUMBER]"
            )
        one[part[1]].add(_number(part[1], part[2], feature_names))
    return Masks(frozenset(whole), tuple(sorted(one["features"])), tuple(sorted(one["categories"])))


def _number(field: str, which: str, feature_names: Sequence[str] | None) -> int:
    if field == "features" and feature_names is not None and which in feature_names:
        return list(feature_names).index(which)
    if which.isascii() and which.isdecimal():
        number = int(which)
        if field == "categories" or feature_names is None or number < len(feature_names):
            return number
        raise UsageError(f"mask: {field}[{number}] names nothing: there are {len(feature_names)} feature_names")
    hint = "it is none of feature_names" if feature_names else "features have names where feature_names gives them"
    raise UsageError(f"mask: {field}[{shown(which)}] names nothing: {hint if field == 'features' else 'give a number'}")
