"""The settings as tables: keys, types and defaults from the model, meanings from the comments of the example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from streammon.core.outputs import Rollup
from streammon.core.rules import RULES, base
from streammon.settings import kinds
from streammon.settings.input import Columns, Constants, Schemas
from streammon.settings.kafka import RESERVED
from streammon.settings.model import Settings
from streammon.settings.rules import SPELLINGS, section
from streammon.settings.windows import WindowKeys
from tests.docs.pages import ROOT
from tests.docs.tables import table

EXAMPLE = ROOT / "streammon.example.yaml"

_KEY = re.compile(r"(?P<indent> *)(?:# (?P<out> *))?(?P<item>- )?(?P<key>[\w.]+):(?= |$)(?P<rest>.*)")
_TYPES: tuple[tuple[Any, str], ...] = (  # how a type of the settings is called; first match, by identity
    (str, "text"),
    (kinds.Text, "text"),
    (kinds.Pattern, "text"),
    (kinds.ModelPattern, "text"),
    (kinds.Topic, "topic"),
    (kinds.Count, "whole number, 1 or more"),
    (kinds.Natural, "whole number, 0 or more"),
    (kinds.Dimension, "whole number"),
    (kinds.Whole, "whole number"),
    (kinds.Number, "number"),
    (kinds.Duration, "duration"),
    (kinds.Positive, "duration, more than 0s"),
    (kinds.Window, "window"),
    (WindowKeys, "window, or mapping"),
    (Rollup, "`lanes`, `versions`, `model`"),
    (kinds.Measurement, "measurement"),
    (kinds.Features, "number, or list of names"),
    (kinds.Names, "list of names"),
    (SPELLINGS[base.Microseconds], "duration"),
    (SPELLINGS[base.WindowText], "window"),
    (kinds.Port, "port or `auto`"),
    (kinds.Token, "secret"),
    (Schemas, "file, list of files, or mapping of ids to files"),
    (Columns, "mapping of fields to paths"),
    (Constants, "mapping of fields to constants"),
    (Path, "directory"),
    (bool, "`true` or `false`"),
)


Row = tuple[str, str, str, str]
HEADS = ("key", "type", "default", "meaning")
WORDS = ("needed", "the only one")  # defaults that are no values


class Key(NamedTuple):
    """One line of the example: its key, whether commented out or not, and the comment behind it."""

    place: tuple[str, ...]
    comment: str


def keys(text: str) -> Iterator[Key]:
    """The keys of the example in order. The meaning of a section is the comment above it."""
    above: list[str] = []
    places: list[tuple[int, str]] = []
    for line in text.splitlines():
        found = _KEY.fullmatch(line)
        if found is None:
            above = [*above, line.removeprefix("# ")] if line.startswith("# ") else []
            continue
        depth = sum(len(found[part] or "") for part in ("indent", "out", "item"))
        places = [*((at, key) for at, key in places if at < depth), (depth, found["key"])]
        _, _, comment = found["rest"].partition(" # ")
        yield Key(tuple(key for _, key in places), comment.strip() or " ".join(above))
        above = []


def meanings() -> dict[tuple[str, ...], str]:
    """By place; where a key comes several times (the example has several rules), the first that says something."""
    said: dict[tuple[str, ...], str] = {}
    for place, comment in keys(EXAMPLE.read_text(encoding="utf-8")):
        said[place] = said.get(place) or comment
    return said


def sections() -> str:
    """Every key of the settings but those of rules, a table per section."""
    said = meanings()
    defaults = Settings().model_dump(mode="json")
    top, tables = [], []
    for name, hint in get_type_hints(Settings, include_extras=True).items():
        if name not in Settings.model_fields or name == "rules":
            continue
        model = _section(hint)
        if name != "kafka" and (model is None or get_origin(hint) is Annotated):  # a text may stand for it
            top.append(_row(name, hint, defaults[name], said[name,]))
        if model is not None or name == "kafka":
            rows = _rows(model, name, defaults[name], said) if model else _kafka(defaults[name], said)
            many = "" if model in (None, hint) else "[]"
            tables.append(f"### `{name}{many}`\n\n{_sentence(said[name,])}\n\n{table(HEADS, rows)}")
    return "\n\n".join([table(HEADS, top), *tables])


def rules() -> str:
    """The keys of a rule, a table per kind."""
    said = meanings()
    tables = []
    for kind, rule in RULES.items():
        model = section(rule)
        hints = get_type_hints(model, include_extras=True)
        defaults = model.model_construct().model_dump(mode="json", exclude={"window"})
        rows = []
        for name, field in model.model_fields.items():
            default = "needed" if field.is_required() else "the only one" if name == "window" else defaults[name]
            rows.append(_row(name, hints[name], default, said["rules", name]))
        tables.append(f"### `rules[]` of kind `{kind}`\n\n{_sentence(said['rules',])}\n\n{table(HEADS, rows)}")
    return "\n\n".join(tables)


def reserved() -> str:
    """Options of the Kafka client that are not the user's to set, by reason."""
    reasons: dict[str, list[str]] = {}
    for option, reason in RESERVED.items():
        reasons.setdefault(reason, []).append(f"`{option}`")
    return table(("option", "why it is refused"), ((", ".join(options), reason) for reason, options in reasons.items()))


def _rows(model: type[BaseModel], name: str, defaults: Any, said: dict[tuple[str, ...], str]) -> Iterator[Row]:
    for key, hint in get_type_hints(model, include_extras=True).items():
        if key in model.model_fields:
            field = model.model_fields[key]
            known = defaults if isinstance(defaults, dict) else {}
            default = "needed" if field.is_required() else known.get(key, field.default)
            yield _row(key, hint, default, said[name, key])


def _kafka(defaults: dict[str, Any], said: dict[tuple[str, ...], str]) -> Iterator[Row]:
    for option, default in defaults.items():
        yield _row(option, str, default, said["kafka", option])
    yield "any other", "as librdkafka has it", "its own", "`NAME_file: path` reads option NAME from a file"


def _row(name: str, hint: Any, default: Any, meaning: str) -> Row:
    shown = "-" if default in (None, "", [], {}, ()) else default if default in WORDS else f"`{_value(default)}`"
    return f"`{name}`", type_text(hint), shown, linked(meaning)


def linked(text: str) -> str:
    """Names of pages as links, as a page beside them writes it."""
    text = text.replace("the README", "the [README](../README.md)")
    return re.sub(r"docs/([\w-]+)\.md(#[\w-]+)?", lambda page: f"[{page[1]}]({page[1]}.md{page[2] or ''})", text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return str(value)


def _sentence(text: str) -> str:
    return linked(text[0].upper() + text[1:].rstrip(".") + ".")


def _section(hint: Any) -> type[BaseModel] | None:
    """The model of a mapping, or of a list of mappings."""
    while get_origin(hint) in (Annotated, tuple):
        hint = get_args(hint)[0]
    return hint if isinstance(hint, type) and issubclass(hint, BaseModel) else None


def type_text(hint: Any) -> str:
    """How a reader calls a type of the settings. KeyError for one that has no name yet: give it one in `_TYPES`."""
    for known, text in _TYPES:
        if hint is known:
            return text
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(type_text(one) for one in get_args(hint) if one is not NoneType)
    if get_origin(hint) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(hint))
    arguments = get_args(hint)
    if arguments and get_origin(arguments[0]) is tuple:  # Annotated: one may be written without brackets
        return f"{type_text(get_args(arguments[0])[0])}, or list"
    raise KeyError(f"no name for {hint}")
