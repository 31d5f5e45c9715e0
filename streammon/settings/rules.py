"""Rules as people write them. The keys of a rule are the fields of its kind, by their names and declared types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, replace
from datetime import timedelta
from functools import cache, reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, PlainSerializer, PlainValidator, ValidationError, create_model

from streammon.core.outputs import OTHER, Rollup, WindowSpec
from streammon.core.rules import RULES, Rule, Threshold, base
from streammon.settings import kinds
from streammon.settings.durations import duration_text, microseconds, parse_duration, parse_window, window_text
from streammon.settings.measurements import has_feature
from streammon.settings.problems import Place, Problems, found, unknown
from streammon.settings.section import Section
from streammon.settings.windows import WindowKeys, covers, not_rolled_up, specs

THE_ONLY_WINDOW = ""  # of a rule that names none, until `fit` knows it


def _micros(value: Any) -> int:
    return microseconds(parse_duration(value))


def _micros_text(micros: int) -> str:
    return duration_text(timedelta(microseconds=micros))


def _window(value: Any) -> str:
    return parse_window(value).text


def _window_text(text: str) -> str:
    return window_text(WindowSpec(*map(int, text.split("/"))))


SPELLINGS: Mapping[Any, Any] = {  # type of a rule's field: how it is written
    base.Microseconds: Annotated[int, BeforeValidator(_micros), PlainSerializer(_micros_text)],
    base.WindowText: Annotated[str, BeforeValidator(_window), PlainSerializer(_window_text)],
    base.Name: kinds.Measurement,
    base.Count: kinds.Count,
    base.Natural: kinds.Natural,
    str: kinds.Text,
    bool: bool,
    int: kinds.Whole,
    float: kinds.Number,
    type(None): None,
}
PATTERNS = {"model": kinds.ModelPattern, "version": kinds.Pattern, "lane": kinds.Pattern, "feature": kinds.Pattern}


def spelling(hint: Any) -> Any:
    """What pydantic reads for a field of this type.

    >>> spelling(float | None) == (kinds.Number | None)
    True
    """
    if hint in SPELLINGS:
        return SPELLINGS[hint]
    if get_origin(hint) in (Union, UnionType):
        return reduce(or_, map(spelling, get_args(hint)))
    if get_origin(hint) is Literal:
        return hint
    raise TypeError(f"settings cannot read a rule's field of type {hint}: see streammon/core/rules/base.py")


@cache
def section(kind: type[Rule]) -> type[BaseModel]:
    """The keys of a rule of this kind."""
    hints = get_type_hints(kind, include_extras=True)
    keys: dict[str, Any] = {"kind": (str, kind.kind)}
    for field in fields(kind):
        default = THE_ONLY_WINDOW if field.name == "window" else ... if field.default is MISSING else field.default
        keys[field.name] = (PATTERNS.get(field.name) or spelling(hints[field.name]), default)
    return create_model(kind.__name__, __base__=Section, **keys)


def read(value: Any) -> Rule:
    """A rule from its keys."""
    if isinstance(value, Rule):
        return value
    kind = _kind(value)
    keys = section(kind)
    try:
        given = keys.model_validate(value)
    except ValidationError as error:
        raise Problems(*found(error, keys)) from None
    rule = kind(**{field.name: getattr(given, field.name) for field in fields(kind)})
    if rule.feature != "*" and not has_feature(rule.measurement):
        raise Problems((("feature",), f"{rule.measurement} is not per feature, so this rule would never fire"))
    return rule


def write(rule: Rule) -> dict[str, Any]:
    """The keys that `read` takes."""
    keys = section(type(rule)).model_construct(**asdict(rule))
    return keys.model_dump(mode="json", exclude_none=True)


def fit(
    rules: tuple[Rule, ...], windows: tuple[WindowKeys, ...] | None, rollups: tuple[Rollup, ...] | None
) -> tuple[Rule, ...]:
    """Rules that agree with each other, and with the windows and roll-ups, where those are known."""
    names = {spec.text: window_text(spec) for spec in specs(windows or ())}
    problems: list[tuple[Place, str]] = []
    fitting: list[Rule] = []
    for index, rule in enumerate(rules):
        if rule.id in {earlier.id for earlier in fitting}:
            problems.append(((index, "id"), f"{rule.id} is the id of an earlier rule: each needs its own"))
        if windows is not None and rule.window == THE_ONLY_WINDOW and len(names) > 1:
            problems.append(((index,), f"needs a window, one of {', '.join(names.values())}"))
        elif windows is not None and rule.window not in (THE_ONLY_WINDOW, *names):
            said = f"should be one of windows ({', '.join(names.values())}), or be added there"
            problems.append(((index, "window"), said))
        fitted = replace(rule, window=rule.window or next(iter(names), THE_ONLY_WINDOW))
        if windows is not None and fitted.window in names and not covers(windows, fitted):
            said = f"{names[fitted.window]} is for none of the series that this rule is for, so it would never fire"
            problems.append(((index, "window"), said))
        if rollups is not None:
            problems += [((index, *place), said) for place, said in not_rolled_up(rule.version, rule.lane, rollups)]
        fitting.append(fitted)
    if problems:
        raise Problems(*problems)
    return tuple(fitting)


def series_cap(window: WindowSpec) -> Rule:
    """The rule that every policy has, unless limits.series_alert is false or the user has one of this id."""
    return Threshold(
        id="series-cap",
        measurement="traffic.count",
        window=window.text,
        above=0.0,
        model=OTHER.model_id,
        cooldown=microseconds(timedelta(hours=1)),
        severity="P2",
    )


def _kind(value: Any) -> type[Rule]:
    name = value.get("kind") if isinstance(value, Mapping) else None
    if name is None:
        return RULES["threshold"]
    if not isinstance(name, str):
        raise Problems((("kind",), "should be text: put it in quotes"))
    if name not in RULES:
        raise Problems((("kind",), unknown(name, RULES, "kind")))
    return RULES[name]


RuleKeys = Annotated[Rule, PlainValidator(read), PlainSerializer(write)]
