"""Tables of the documentation other than settings: what events hold, names of telemetry, commands, exit codes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from streammon import cli
from streammon.adapters.schema_files import load_schema
from streammon.core import errors
from streammon.settings.measurements import MEASUREMENTS
from streammon.telemetry import Event, Metric


def measurements() -> str:
    rows = ((f"`{name}`", meaning.value, meaning.n) for name, meaning in MEASUREMENTS.items())
    return table(("name", "value", "n"), rows)


def log_events() -> str:
    return table(("event", "meaning"), ((f"`{event.value}`", event.meaning) for event in Event))


def telemetry() -> str:
    rows = (
        (f"`{one.name}`", one.kind.value, one.unit, ", ".join(one.labels) or "-", one.meaning)
        for one in (metric.value for metric in Metric)
    )
    return table(("name", "type", "unit", "labels", "meaning"), rows)


def record(name: str, shown: tuple[str, ...] = ()) -> str:
    """The fields of a schema: a table for it, then one for each record within that is not `shown` elsewhere."""
    return "\n\n".join(_records(load_schema(name).definition, set(shown)))


def _records(definition: dict[str, Any], seen: set[str], heading: str = "") -> Iterator[str]:
    seen.add(definition["name"])
    rows = ((f"`{field['name']}`", _avro(field["type"]), field["doc"]) for field in definition["fields"])
    yield f"{heading}{definition['doc']}\n\n{table(('field', 'type', 'meaning'), rows)}"
    for inner in chain.from_iterable(_inner(field["type"]) for field in definition["fields"]):
        if inner["name"] not in seen:
            yield from _records(inner, seen, f"**{inner['name']}.** ")


def _inner(kind: Any) -> Iterator[dict[str, Any]]:
    """The records that are defined within a type."""
    if isinstance(kind, list):
        yield from chain.from_iterable(map(_inner, kind))
    elif isinstance(kind, dict) and kind["type"] == "record":
        yield kind
    elif isinstance(kind, dict):
        yield from chain.from_iterable(_inner(kind[key]) for key in ("items", "values") if key in kind)


def _avro(kind: Any) -> str:
    """An Avro type in words."""
    if isinstance(kind, list):
        return " or ".join(_avro(one) for one in sorted(kind, key=lambda one: one == "null"))
    if isinstance(kind, str):
        return kind
    if "logicalType" in kind:
        return str(kind["logicalType"])
    if kind["type"] in ("array", "map"):
        return f"{kind['type']} of {_avro(kind.get('items', kind.get('values')))}"
    return str(kind["name"])


def exit_codes() -> str:
    rows = [(0, "Fine. `run`: it was told to stop, and did so in order.")]
    rows += [(kind.exit_code, kind.__doc__ or "") for kind in errors.Refusal.__subclasses__()]
    rows += [(cli.INTERRUPTED, "Ended by Ctrl-C."), (cli.TERMINATED, "Ended by SIGTERM.")]
    return table(("code", "meaning"), ((str(code), text) for code, text in rows))


def commands() -> str:
    """Every command with its arguments, from the parser itself."""
    return "\n\n".join(_commands(cli._parser()))


def _commands(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                if not any(isinstance(inner, argparse._SubParsersAction) for inner in sub._actions):
                    yield _command(sub)
                yield from _commands(sub)


def _command(parser: argparse.ArgumentParser) -> str:
    rows = [
        (f"`{_spelling(action)}`", _help(action))
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
    ]
    example = (parser.epilog or "").removeprefix("example:\n").strip()
    shown = f"\n\n    {example}" if example else ""
    return f"### `{parser.prog}`\n\n{parser.description}{shown}\n\n{table(('argument', 'meaning'), rows)}"


def _spelling(action: argparse.Action) -> str:
    """As a user writes it."""
    choices = "|".join(map(str, action.choices)) if action.choices else ""
    value = action.metavar or choices or action.dest.upper()
    if not action.option_strings:
        return str(value)
    return action.option_strings[-1] + ("" if action.nargs == 0 else f" {value}")


def _help(action: argparse.Action) -> str:
    """Empty where nothing explains it, which a test finds."""
    needed = "; needed" if action.required and action.option_strings else ""
    return f"{action.help}{needed}" if action.help else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])


def _cell(text: str) -> str:
    """The text as a cell: `|` is escaped, within code too, as GitHub wants it, and `*` outside of code."""
    parts = re.split(r"(`[^`]*`)", text.replace("|", "\\|"))
    return "".join(part if part.startswith("`") else part.replace("*", "\\*") for part in parts)
