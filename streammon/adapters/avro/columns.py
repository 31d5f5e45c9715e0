"""Which columns a decoder fills, what is special about some of them, and what they hold by default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from streammon.adapters.avro.ops import NULL_INT, RESERVED_TEXTS, Columns
from streammon.core import events

Constant = bool | int | float | str
Defaults = Mapping[str, Constant]
"""Column to what it holds where the writer's schema lacks its field."""


@dataclass(frozen=True)
class ColumnSet:
    """Names of the columns by kind, in the order of their numbers, and what is special about some of them."""

    ints: tuple[str, ...] = ()
    floats: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()  # of numbers
    string_lists: tuple[str, ...] = ()
    times: frozenset[str] = frozenset()  # ints that are long: microseconds, or as their type says
    flags: frozenset[str] = frozenset()  # ints that are boolean
    binary: frozenset[str] = frozenset()  # strings that are bytes and need not be UTF-8
    required: frozenset[str] = frozenset()  # ints and strings whose null is MISSING
    reserved: Mapping[str, int] = field(default_factory=dict)  # strings to how many of RESERVED_TEXTS are RANGE in them

    def allocate(self, rows: int, values: int, items: int, joined: tuple[int, int] = (0, 0)) -> Columns:
        """Columns with room for so many list values and strings of lists. Room that is not touched costs no memory.

        joined: how many more lists, and lists of strings, the parts of others take.
        """
        ints = np.zeros((rows, len(self.ints)), np.int64)
        null_int = np.array([NULL_INT if name in self.required else 0 for name in self.ints], np.int64)
        ints[:, null_int != 0] = NULL_INT
        lists, string_lists = len(self.lists) + joined[0], len(self.string_lists) + joined[1]
        return Columns(
            null_int,
            ints,
            np.full((rows, len(self.floats)), np.nan),
            np.zeros((rows, len(self.strings)), np.int64),
            np.full((rows, len(self.strings)), -1, np.int32),
            np.zeros((rows, lists), np.int64),
            np.zeros((rows, lists), np.int32),
            np.empty(values, np.float64),
            np.zeros((rows, string_lists), np.int64),
            np.zeros((rows, string_lists), np.int32),
            np.empty(items, np.int64),
            np.empty(items, np.int32),
            np.array([0, 0, -1, 0], np.int64),
        )

    def constant_problem(self, name: str, value: Constant) -> str | None:
        """Why `value` cannot stand in a column, as "should be ...", or None where it can."""
        if name in self.times:
            return "takes no default: a constant is not the time of an event"
        if name in self.flags:
            return None if isinstance(value, bool) else "should be true or false"
        if name in self.ints:
            whole = isinstance(value, int) and not isinstance(value, bool) and -(2**31) <= value < 2**31
            return None if whole else "should be a whole number of 32 bits"
        if name in self.floats:
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            return None if number else "should be a finite number"
        if name not in self.strings:
            return "takes no default: only single numbers, flags and strings do"
        if not isinstance(value, str):
            return "should be text: put it in quotes"
        taken = value in RESERVED_TEXTS[: self.reserved.get(name, 0)]
        return "is reserved: write another name" if taken else None


EVENT_COLUMNS = ColumnSet(
    events.INTS,
    events.FLOATS,
    events.STRINGS,
    events.LISTS,
    events.STRING_LISTS,
    times=frozenset({"ts"}),
    flags=frozenset({"timed_out"}),
    required=frozenset({"ts", "model_id"}),
    reserved={"model_id": 2, "model_version": 1, "lane": 1},
)
