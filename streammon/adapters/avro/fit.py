"""Whether a type has, at the end of a path, what a column takes; if not, why: the words of the refusal."""

from __future__ import annotations

from typing import NamedTuple

from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.paths import EACH, index, joined
from streammon.adapters.avro.schema import Type
from streammon.adapters.avro.wants import Kind, Target, Want

NUMBERS = ("boolean", "int", "long", "float", "double")
TAKES = {Kind.WHOLE: ("boolean", "int", "long"), Kind.TEXT: ("string", "bytes", "fixed", "enum")}
TEXT_LOGICAL = {("string", "uuid")}  # what is text; a decimal is not, nor the 16 bytes of a uuid
TIME_FACTORS = {  # to microseconds, by logical type; minus: to be divided
    None: 1,
    "timestamp-micros": 1,
    "timestamp-millis": 1000,
    "timestamp-nanos": -1000,
}


class Misfit(NamedTuple):
    """Why a want cannot be had."""

    lacks: bool  # there is no such field; otherwise there is one of another type
    path: str  # where it was noticed
    why: str  # what follows "PATH of schema NAME "


def misfit(type_: Type, want: Want, columns: ColumnSet, path: str = "", gathering: bool = False) -> Misfit | None:
    """Why the type does not have what is wanted, None where it does. One branch of a union that does is enough.

    path: of the type itself. gathering: whether it is (part of) an item of an array whose every item is wanted.
    """
    if type_.kind == "union" and (branches := [part for part in type_.parts if part.kind != "null"]):
        found = [misfit(part, want, columns, path, gathering) for part in branches]
        return None if None in found else min((one for one in found if one), key=lambda one: one.lacks)
    if not want.steps:
        why = _leaf(type_, want.target, columns)
        return Misfit(False, path, why) if why else None
    step, target = want.steps[0], want.target
    below = joined(path, step)
    absent = Misfit(True, below, f"does not exist: {path} is {type_}")
    if type_.kind == "record":
        if step not in type_.names:
            return Misfit(True, below, "does not exist") if not step.startswith("[") else absent
        return misfit(type_.parts[type_.names.index(step)], want.next, columns, below, gathering)
    if type_.kind == "array":
        if step == EACH:
            return misfit(type_.parts[0], want.next, columns, below, True)
        if index(step) is not None:
            return misfit(type_.parts[0], want.next, columns, below, gathering)
        rest = "" if step.startswith("[") else f".{step}"
        every = f" (or {path}[]{rest} for every item)" if target.in_list else ""
        return absent._replace(why=f"{absent.why}: write {path}[0]{rest}{every}")
    if type_.kind == "map" and step != EACH:
        if gathering and want.next.gathers:
            return Misfit(False, below, "is a list in a map in a list: gather it with [0] or without the map")
        return misfit(type_.parts[0], want.next, columns, below, gathering)
    if step != EACH:
        return absent
    if type_.kind == "null":
        return None
    hint = f": name a key, as in {path}[key]" if type_.kind == "map" else ""
    return Misfit(False, path, f"is {type_}, not {target.kind.value}{hint}")


def time_factor(type_: Type) -> int | None:
    """What a time is multiplied with to be microseconds, minus: divided by; None where the type is no moment."""
    return TIME_FACTORS.get(type_.logical) if type_.kind == "long" else None


def _leaf(type_: Type, target: Target, columns: ColumnSet) -> str | None:
    kind = target.kind.item
    if type_.kind == "null":
        return None
    if kind is Kind.REAL:
        fits = type_.kind in NUMBERS or type_.logical == "decimal"
        hint = f": write {target.path}[]" if type_.kind == "array" and target.in_list else ""
        return None if fits else f"is {type_}, not {kind.value}{hint}"
    if kind is Kind.TEXT:
        if type_.kind not in TAKES[kind]:
            return f"is {type_}, not {kind.value}"
        return None if type_.logical is None or (type_.kind, type_.logical) in TEXT_LOGICAL else f"is {type_}, not text"
    if target.name in columns.times:
        if (type_.logical or "").startswith("local-timestamp"):
            return f"is {type_}, a clock without a zone and so no moment: have the producer write timestamp-micros"
        moments = "a long that is a timestamp in milliseconds, microseconds or nanoseconds"
        return None if time_factor(type_) else f"is {type_}, not {moments}"
    if type_.kind not in TAKES[kind]:
        return f"is {type_}, not {kind.value}"
    flag = target.name in columns.flags
    return None if flag == (type_.kind == "boolean") else f"is {type_}, not {'boolean' if flag else 'int or long'}"
