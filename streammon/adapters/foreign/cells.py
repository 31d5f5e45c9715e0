"""Cells to what columns of events hold. A cell is text (CSV), a value of JSON, or what Arrow makes of one for Python.

Every function takes None for null. A whole column goes the quick way first; where that fails, cell by cell, and the
cells at fault are told apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro.paths import EACH, Steps, index, joined, key
from streammon.core.errors import Code
from streammon.text import shown

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_UNITS: tuple[tuple[int, int, Callable[[Any], int]], ...] = (  # by the size of the number of a moment: 1973 to 5138
    (10**8, 10**11, lambda seconds: round(seconds * 1_000_000)),
    (10**11, 10**14, lambda milliseconds: round(milliseconds * 1_000)),
    (10**14, 10**17, int),
    (10**17, 10**20, lambda nanoseconds: int(nanoseconds) // 1_000),
)
_FLAGS = {"true": 1, "t": 1, "1": 1, "false": 0, "f": 0, "0": 0}
_INT_LIMIT = 2**31


class Problem(NamedTuple):
    """Why a row is no event."""

    code: Code
    field: str | None  # column of the file, or path in it
    why: str  # empty: what the code says


class BadCell(Exception):
    """Why a cell is refused: code, and what is wrong."""


Cells = Sequence[Any] | NDArray[np.float64]
Refused = Callable[[int, Code, str], None]  # number of the cell, code, why


def each(cells: Iterable[Any], one: Callable[[Any], T], null: T, refused: Refused) -> list[T]:
    """`one` of every cell, `null` in place of those that it refuses."""
    out = []
    for row, cell in enumerate(cells):
        try:
            out.append(one(cell))
        except BadCell as bad:
            refused(row, *bad.args)
            out.append(null)
    return out


def reals(cells: Cells, refused: Refused) -> NDArray[np.float64]:
    """Numbers; null is NaN."""
    try:
        found = np.array(cells, np.float64)
        if found.ndim == 1:
            return found
    except (TypeError, ValueError, OverflowError):
        pass
    return np.array(each(cells, _real, np.nan, refused), np.float64)


def wholes(cells: Sequence[Any], refused: Refused) -> NDArray[np.int64]:
    """Whole numbers of 32 bits, also where they are written with a point; null is 0."""
    found = reals(cells, refused)
    found[np.isnan(found)] = 0.0
    bad = (np.trunc(found) != found) | (np.abs(found) >= _INT_LIMIT)
    for row in np.flatnonzero(bad).tolist():
        refused(row, Code.RANGE, f"not a whole number of 32 bits: {_shown(cells[row])}")
    found[bad] = 0.0
    return found.astype(np.int64)


def flags(cells: Sequence[Any], refused: Refused) -> NDArray[np.int64]:
    """true or false; null is 0."""
    return np.array(each(cells, _flag, 0, refused), np.int64)


def moments(cells: Sequence[Any], null: int, refused: Refused) -> NDArray[np.int64]:
    """Times in microseconds since the epoch."""
    return np.array([null if each is None else each for each in each(cells, _moment, None, refused)], np.int64)


def texts(cells: Cells, refused: Refused) -> list[bytes | None]:
    """UTF-8."""
    try:
        return [None if cell is None else cell.encode() for cell in cells]
    except (AttributeError, UnicodeEncodeError):
        return each(cells, _text, None, refused)


def lists(cells: Sequence[Any], refused: Refused) -> list[Sequence[Any]]:
    """Arrays, also as JSON in text; null is empty."""
    return each(cells, _items, (), refused)


def follow(cell: Any, steps: Steps) -> Any:
    """What lies at the end of a path below a cell, None where there is nothing; a list where the path has `[]`.

    >>> follow({"items": [{"price": 1}, {}]}, ("items", "[]", "price"))
    [1, None]
    """
    value = _parsed(cell) if steps else cell
    for number, step in enumerate(steps):
        if value is None:
            return None
        if step == EACH:
            rest = steps[number + 1 :]
            found: list[Any] = []
            for item in _items(value):
                below = follow(item, rest)
                found += (below or ()) if EACH in rest else [below]
            return found
        value = _below(value, step)
    return value


def _below(value: Any, step: str) -> Any:
    if isinstance(value, dict):
        return value.get(key(step))
    number = index(step)
    if isinstance(value, list) and number is not None:
        return value[number] if number < len(value) else None
    raise BadCell(Code.RANGE, f"nothing that {joined('', step)} could name is below: {_shown(value)}")


def _real(cell: Any) -> float:
    try:
        return float(np.nan if cell is None else cell)
    except (TypeError, ValueError, OverflowError):
        raise BadCell(Code.RANGE, f"not a number: {_shown(cell)}") from None


def _flag(cell: Any) -> int:
    if cell is None or isinstance(cell, bool):
        return int(cell or False)
    found = _FLAGS.get(str(cell).lower())
    if found is None:
        raise BadCell(Code.RANGE, f"neither true nor false: {_shown(cell)}")
    return found


def _moment(cell: Any) -> int | None:
    if cell is None:
        return None
    time = cell if isinstance(cell, datetime) else _time(cell)
    if not isinstance(time, datetime):
        return time
    if time.tzinfo is None:
        raise BadCell(Code.RANGE, f"no moment without a time zone, as in 2026-01-31T12:00:00Z: {_shown(cell)}")
    return (time - _EPOCH) // _MICROSECOND


def _time(cell: Any) -> datetime | int:
    """A number in a unit that its size tells, or ISO 8601 (also with ` UTC` at the end, as BigQuery has it)."""
    number = cell
    if isinstance(cell, str):
        with suppress(ValueError):
            number = int(cell) if cell.isdecimal() else float(cell)
    with suppress(ValueError, TypeError, StopIteration):
        if isinstance(number, str):
            return datetime.fromisoformat(f"{number[:-4]}Z" if number.endswith(" UTC") else number)
        if not isinstance(number, bool):
            return next(convert(number) for least, below, convert in _UNITS if least <= number < below)
    raise BadCell(
        Code.RANGE,
        "not a time, which is ISO 8601 with a zone, or seconds, milliseconds, microseconds or nanoseconds since 1970, "
        f"of March 1973 or later: {_shown(cell)}",
    )


def _text(cell: Any) -> bytes | None:
    try:
        if cell is None:
            return None
        if isinstance(cell, bool):
            return b"true" if cell else b"false"
        if isinstance(cell, bytes):
            cell = cell.decode()
        if isinstance(cell, str | int | Decimal):
            return str(cell).encode()
    except UnicodeError:
        raise BadCell(Code.ENCODING, "the text is not UTF-8") from None
    raise BadCell(Code.RANGE, f"not text: {_shown(cell)}")


def _items(cell: Any) -> Sequence[Any]:
    value = _parsed(cell)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BadCell(Code.RANGE, f"not a list, which is a JSON array such as [0.5, null, 2]: {_shown(cell)}")
    return value


def _parsed(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise BadCell(Code.RANGE, f"not JSON: {_shown(cell)}") from None


def _shown(cell: Any) -> str:
    return shown(str(cell), 60)
