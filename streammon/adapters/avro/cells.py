"""Where the interpreter (kernel.py) puts what it has read, but for the places that every event has: those it fills
itself, because handing columns to a function costs more than filling one.

numba's cache does not notice changes of this file: see kernel.py.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from streammon.adapters.avro.ops import (
    FLOATS,
    INTS,
    ITEM,
    ITEM_SLOT,
    LAST,
    LAST_ITEM,
    NOWHERE,
    RESERVED_TEXTS,
    SLOT,
    STRINGS,
    VALUES,
)
from streammon.adapters.avro.wire import ENCODING, RANGE, is_ascii, is_utf8, load_u8

STAR = ord(RESERVED_TEXTS[0])
OTHER = np.frombuffer(RESERVED_TEXTS[1].encode(), np.uint8)


@njit(cache=True, nogil=True)
def clear_row(c, row):  # type: ignore[no-untyped-def]
    """All null."""
    for column in range(c.ints.shape[1]):
        c.ints[row, column] = c.null_int[column]
    for column in range(c.floats.shape[1]):
        c.floats[row, column] = np.nan
    for column in range(c.string_start.shape[1]):
        c.string_start[row, column] = 0
        c.string_length[row, column] = -1
    for column in range(c.list_start.shape[1]):
        c.list_start[row, column] = 0
        c.list_length[row, column] = 0
    for column in range(c.items_start.shape[1]):
        c.items_start[row, column] = 0
        c.items_length[row, column] = 0


@njit(cache=True, nogil=True)
def check_text(pos, end, utf8, reserved):  # type: ignore[no-untyped-def]
    """The position behind the string, or why it is refused."""
    if utf8 and not is_ascii(pos, end) and not is_utf8(pos, end):
        return np.int64(ENCODING)
    if reserved and end - pos == 1 and load_u8(pos) == STAR:
        return np.int64(RANGE)
    if reserved > 1 and end - pos == len(OTHER):
        same = True
        for i in range(len(OTHER)):
            same = same and load_u8(pos + i) == OTHER[i]
        if same:
            return np.int64(RANGE)
    return end


@njit(cache=True, nogil=True)
def put_number(c, row, place, column, slot, real, fill):  # type: ignore[no-untyped-def]
    """Where the list of values ends afterwards."""
    if place == FLOATS:
        c.floats[row, column] = real
    elif place == SLOT:
        c.values[c.list_start[row, column] + slot] = real
    elif place == LAST:
        c.values[fill - 1] = real
    elif place == VALUES:
        c.values[fill] = real
        fill += 1
    return fill


@njit(cache=True, nogil=True)
def put_text(c, row, place, column, slot, start, length, items):  # type: ignore[no-untyped-def]
    """Where the list of strings ends afterwards."""
    if place == STRINGS:
        c.string_start[row, column] = start
        c.string_length[row, column] = length
    elif place != NOWHERE:
        at = c.items_start[row, column] + slot if place == ITEM_SLOT else items - 1 if place == LAST_ITEM else items
        c.item_start[at] = start
        c.item_length[at] = length
        items += place == ITEM
    return items


@njit(cache=True, nogil=True)
def null_number(c, row, place, column, slot, fill):  # type: ignore[no-untyped-def]
    """What the place held before anything was read."""
    if place == INTS:
        c.ints[row, column] = c.null_int[column]
    else:
        put_number(c, row, place, column, slot, np.nan, fill)


@njit(cache=True, nogil=True)
def find_key(p, table, count, pos, length, literals):  # type: ignore[no-untyped-def]
    """Which of `count` entries (start in the literals, length, a word) is the key at pos; -1: none.

    Entries ascend by length, then by bytes.
    """
    low, high = np.int64(0), count
    while low < high:
        middle = (low + high) // 2
        entry = table + 3 * middle
        order = length - p[entry + 1]
        i = np.int64(0)
        while order == 0 and i < length:
            order = load_u8(pos + i) - load_u8(literals + p[entry] + i)
            i += 1
        if order == 0:
            return middle
        if order < 0:
            high = middle
        else:
            low = middle + 1
    return np.int64(-1)


@njit(cache=True, nogil=True)
def joined(starts, lengths, row, column, first, count, source, other, fill):  # type: ignore[no-untyped-def]
    """Copy the lists of columns `first` on to the end of `source` and `other`, as the list of `column`; the new end."""
    begin = fill
    for part in range(first, first + count):
        at = starts[row, part]
        for i in range(at, at + lengths[row, part]):
            source[fill] = source[i]
            other[fill] = other[i]
            fill += 1
    starts[row, column] = begin
    lengths[row, column] = fill - begin
    return fill
