"""What is wrong with the settings, as lines for a person: where, which key, what, and what to do.

Never the value itself: it may be a secret, or a secret that slipped one line down.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Place = tuple[str | int, ...]  # of a key: ("rules", 0, "above")


class Problems(ValueError):
    """Raised by a validator for keys below the one it validates."""

    def __init__(self, *found: tuple[Place, str]) -> None:
        super().__init__("; ".join(f"{key_text(path)}: {text}" for path, text in found))
        self.found = found


def key_text(path: Place) -> str:
    """The key as a person would say it.

    >>> key_text(("rules", 0, "above"))
    'rules[0].above'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{key_name(part)}"
    return text.removeprefix(".")


def key_name(key: str) -> str:
    """The part of a key that is safe to show: `password:hunter2`, a forgotten space, is one YAML key."""
    match = re.match(r"[\w.*-]{1,80}", key)
    return match[0] if match else "?"


def unknown(name: str, known: Iterable[str], kind: str = "key") -> str:
    """`name` is none of `known`: what was meant?"""
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"unknown {kind}; did you mean {close[0]}?" if close else f"unknown {kind}; known are {', '.join(names)}"


def describe(error: ValidationError, model: type[BaseModel], where: Callable[[Place], str]) -> str:
    """One line per problem. `where` tells the place of a key: file and line, variable, or command line."""
    return "\n".join(line(path, text, where) for path, text in found(error, model))


def found(error: ValidationError, model: type[BaseModel]) -> list[tuple[Place, str]]:
    return [problem for item in error.errors(include_url=False, include_input=False) for problem in _read(item, model)]


def line(path: Place, text: str, where: Callable[[Place], str]) -> str:
    return f"{where(path)}: {key_text(path)}: {text}" if path else f"{where(path)}: {text}"


def _read(item: Mapping[str, Any], model: type[BaseModel]) -> Iterator[tuple[Place, str]]:
    path: Place = item["loc"]
    context: Mapping[str, Any] = item.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Problems):
        yield from ((path + below, text) for below, text in cause.found)
    elif item["type"] == "extra_forbidden":
        yield path, unknown(str(path[-1]), _fields(model, path[:-1]))
    elif item["type"] == "value_error":
        yield path, str(cause)
    else:
        text = _TEXTS.get(item["type"])
        yield path, item["msg"] if text is None else text.format_map(context)


_TEXTS = {  # by pydantic's type of error
    "missing": "is required, and missing",
    "string_type": "should be text: put it in quotes",
    "string_too_short": "should not be empty",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_parsing_size": "should be a smaller number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "path_type": "should be a path",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "literal_error": "should be {expected}",
    "enum": "should be {expected}",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
    "tuple_type": "should be a list",
    "dict_type": "should be a mapping, one `key: value` per line",
    "model_type": "should be a mapping, one `key: value` per line",
    "model_attributes_type": "should be a mapping, one `key: value` per line",
}


def _fields(model: type[BaseModel], path: Place) -> list[str]:
    """Names of the keys that may stand below `path`."""
    for part in path:
        if isinstance(part, str):
            model = _section(model.model_fields[part].annotation)
    return list(model.model_fields)


def _section(annotation: Any) -> type[BaseModel]:
    """The model in an annotation: itself, or the items of a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return _section(get_args(annotation)[0])
