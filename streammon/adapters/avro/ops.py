"""What a decoding program is made of, shared by the compiler (program.py) and the interpreter (kernel.py).

A program is an array of int64 words: an operation, then its operands. Jumps are relative to the operation that makes
them, so programs can be laid end to end and every row can have its own.

Numbers and strings go to a *place*: nowhere, a column, or the end of the list that is being read. Null is what a row
holds before it is decoded, so a null costs nothing but the index of its union's branch.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.core.outputs import OTHER

# Operations, with their operands
(
    BOOLEAN,  # place, column, detail: read a number. detail: for INTS the factor (minus: divisor), else the slot
    INT,  # the same
    LONG,  # the same
    FLOAT,  # the same
    DOUBLE,  # the same
    TEXT,  # place, column, slot, utf8, reserved: read a string. utf8 = 1: check it. reserved: see RESERVED_TEXTS
    UNION,  # count, then for each branch the words to jump
    JUMP,  # words
    FIXED_ARRAY,  # size, column: a whole array of float (4), double (8) or, with column -1, of any items of fixed size
    SKIP,  # bytes: read over a value of fixed size
    INDEX,  # count: read over an enum
    BLOCK,  # least, exit: read the start of a block of items of at least `least` bytes; none: jump `exit` words
    NEXT,  # words: the next item of the block (jump to behind BLOCK), or the next block (jump to BLOCK, -words away)
    LIST,  # column: a list begins at the end of the values
    LIST_END,  # column
    ITEMS,  # column: a list of strings begins
    ITEMS_END,  # column
    ENUM,  # place, column, slot, count, words to the next operation, for each symbol: start in the constants, length
    NULL_VALUE,  # append NaN to the list
    NULL_ITEM,  # append an empty string (missing) to the list of strings
    SLOTS,  # column, count: a list of `count` NaN, which numbers with place SLOT fill
    MARK,  # level: remember the position
    REWIND,  # level: go back to it, to read a value again for another column
    KEY,  # count, other, then of each wanted key, the shortest first: start in the literals, length, words: jump there
    PICK,  # count, other, then for each item of an array the words to jump; `other` for those behind
    COUNT,  # the next array is one for PICK: its items count from 0
    DECIMAL,  # place, column, slot, bytes (-1: their length comes first), precision, scale
    FIXED_TEXT,  # place, column, slot, utf8, reserved, bytes: a fixed as a string
    ITEM_SLOTS,  # column, count: a list of `count` empty strings, which strings with place ITEM_SLOT fill
    NULL_NUMBER,  # place, column, slot: null where a key of a map that comes again has filled it
    NULL_STRING,  # the same
    JOIN,  # column, first, count: a list of the `count` lists from column `first` on
    JOIN_ITEMS,  # the same, of strings
    CONSTANT,  # place, column, start, length: a default. -1: INTS get `start`, FLOATS what lies there in the literals
    END,  # the datum ends
    NEED_INT,  # column: null is MISSING
    NEED_STRING,  # column: null is MISSING
    STOP,
) = range(38)

# Places of numbers. LAST: the end of the list, which holds NaN for it already
NOWHERE, INTS, FLOATS, SLOT, VALUES, LAST = range(6)
# Places of strings (and NOWHERE)
STRINGS, ITEM, ITEM_SLOT, LAST_ITEM = 1, 2, 3, 4

RESERVED_TEXTS = ("*", OTHER.model_id)  # operand `reserved` is how many of them are out of range
NULL_INT = np.int64(-(2**63))  # stands for null while a row is decoded, in int columns that must not be null
MAX_SCALED = np.int64((2**63 - 1) // 1000)  # the largest number that a factor of 1000 leaves within 64 bits
MAX_LOOPS = 64  # loops in loops, values read again in values read again: no more than a schema's depth

FILL_VALUES, FILL_ITEMS, FAILED_OP, FAILED_AT = range(4)


class Columns(NamedTuple):
    """What the kernel writes: n rows, some columns of each kind. core.events explains the same columns."""

    null_int: NDArray[np.int64]  # [int columns] what null is
    ints: NDArray[np.int64]  # [n, int columns]
    floats: NDArray[np.float64]  # [n, float columns]
    string_start: NDArray[np.int64]  # [n, string columns]
    string_length: NDArray[np.int32]
    list_start: NDArray[np.int64]  # [n, list columns]
    list_length: NDArray[np.int32]
    values: NDArray[np.float64]  # [room] of all lists
    items_start: NDArray[np.int64]  # [n, string list columns]
    items_length: NDArray[np.int32]
    item_start: NDArray[np.int64]  # [room] of all string lists
    item_length: NDArray[np.int32]
    state: NDArray[np.int64]  # [4] values filled, items filled; operation (or -1) and position of the latest failure
