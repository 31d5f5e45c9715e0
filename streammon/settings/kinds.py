"""Kinds of values that the settings are made of: what each accepts, and what it says of anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from streammon.core import events
from streammon.core.outputs import WindowSpec
from streammon.settings.durations import duration_text, parse_duration, parse_window, window_text
from streammon.settings.measurements import MEASUREMENTS
from streammon.settings.problems import Place, Problems, unknown

MAX_DIMENSION = 100_000


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("should hold no control characters: it is shown in terminals and logs")
    return text


def _topic(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,249}", name) is None or name in (".", ".."):
        raise ValueError("should be a topic's name: letters, digits, dot, underscore, minus, at most 249")
    return name


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):  # pydantic would take true for 1
        raise ValueError("should be a number")
    return value


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("should be longer than 0s")
    return duration


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str | WindowSpec) else value


def _names(value: Any) -> Any:
    """A number n of features means f0, f1, ..., f{n-1}."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MAX_DIMENSION:
            raise ValueError(f"should be 1 to {MAX_DIMENSION}, or a list of names")
        return tuple(f"f{number}" for number in range(value))
    if not isinstance(value, list | tuple):
        raise ValueError("should be the number of features, or a list of their names")
    return value


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Problems(((index,), "is named twice: keep one"))
    return names


def _columns(value: Any) -> Any:
    """A mapping of canonical fields to paths in the writer's schema."""
    if not isinstance(value, Mapping):
        raise ValueError("should be a mapping of fields to paths, one `field: path` per line")
    lists = (*events.LISTS, *events.STRING_LISTS)
    known = (*events.INTS, *events.FLOATS, *events.STRINGS, *lists)
    found: list[tuple[Place, str]] = []
    for field, path in value.items():
        many = isinstance(path, list | tuple)
        if field not in known:
            found.append(((field,), unknown(field, known, "field")))
        elif many and field not in lists:
            found.append(((field,), "takes one path: only " + ", ".join(lists) + " may be put together from several"))
        elif not (path and all(isinstance(part, str) and part for part in (path if many else [path]))):
            found.append(((field,), "should be a path such as request.age, or a list of them"))
    if found:
        raise Problems(*found)
    return {field: tuple(path) if isinstance(path, list) else path for field, path in value.items()}


def _schema(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


def _measurement(name: str) -> str:
    if name not in MEASUREMENTS:
        raise ValueError(unknown(name, MEASUREMENTS, "measurement"))
    return name


OneOrMany = BeforeValidator(_one_or_many)  # a lone value for a list of one
Text = Annotated[str, Field(min_length=1), AfterValidator(_printable)]
Names = Annotated[tuple[Text, ...], AfterValidator(_distinct)]
Features = Annotated[Names, BeforeValidator(_names)]
Topic = Annotated[str, AfterValidator(_topic)]
Number = Annotated[float, BeforeValidator(_no_bool), Field(allow_inf_nan=False)]
Dimension = Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=MAX_DIMENSION)]
Whole = Annotated[int, BeforeValidator(_no_bool), Field(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=1, le=2**31 - 1)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(duration_text)]
Positive = Annotated[Duration, AfterValidator(_positive)]
Window = Annotated[WindowSpec, BeforeValidator(parse_window), PlainSerializer(window_text)]
SchemaFile = Annotated[Path, AfterValidator(_schema)]
Columns = Annotated[dict[str, str | tuple[str, ...]], BeforeValidator(_columns)]
Measurement = Annotated[str, AfterValidator(_measurement)]
