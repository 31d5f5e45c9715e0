"""Avro datums to columns: one compiled interpreter for the programs of all schemas (their words: avro_ops.py).

Compiling every schema to code of its own would be a little faster, and seconds late for every new schema.

numba's cache notices changes only of the file that a compiled function stands in: after changing avro_wire.py or
avro_ops.py, touch this file, or delete `__pycache__/*.nb?`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from streammon.adapters.avro_ops import (
    BLOCK,
    BOOLEAN,
    DOUBLE,
    END,
    ENUM,
    FAILED_AT,
    FAILED_OP,
    FILL_ITEMS,
    FILL_VALUES,
    FIXED_ARRAY,
    FLOAT,
    FLOATS,
    INDEX,
    INT,
    ITEMS,
    ITEMS_END,
    JUMP,
    LIST,
    LIST_END,
    LONG,
    MARK,
    MAX_LOOPS,
    MAX_SCALED,
    NEED_INT,
    NEED_STRING,
    NEXT,
    NOWHERE,
    NULL_INT,
    NULL_ITEM,
    NULL_VALUE,
    REWIND,
    SKIP,
    SLOT,
    SLOTS,
    STRINGS,
    TEXT,
    UNION,
    VALUES,
)
from streammon.adapters.avro_wire import (
    ENCODING,
    RANGE,
    TRUNCATED,
    is_ascii,
    is_utf8,
    load_f32,
    load_f64,
    load_u8,
    read_block,
    read_boolean,
    read_index,
    read_int,
    read_length,
    read_long,
    store_f64,
)
from streammon.core.errors import Code

STAR = ord("*")
OK, TRAILING, MISSING = int(Code.OK), -int(Code.TRAILING), -int(Code.MISSING)


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
def read_number(op, pos, end):  # type: ignore[no-untyped-def]
    """(as integer, as float, pos)."""
    if op == LONG:
        whole, pos = read_long(pos, end)
        return whole, float(whole), pos
    if op == INT:
        whole, pos = read_int(pos, end)
        return whole, float(whole), pos
    if op == BOOLEAN:
        whole, pos = read_boolean(pos, end)
        return whole, float(whole), pos
    size = 4 if op == FLOAT else 8
    if end - pos < size:
        return np.int64(0), 0.0, np.int64(TRUNCATED)
    return np.int64(0), load_f32(pos) if op == FLOAT else load_f64(pos), pos + size


@njit(cache=True, nogil=True)
def read_fixed_array(pos, end, size, place):  # type: ignore[no-untyped-def]
    """(pos, items) of an array of items of `size` bytes, which go as doubles to the address `place` unless it is 0."""
    items = np.int64(0)
    while True:
        count, block_end, pos = read_block(pos, end, size)
        if pos < 0 or count == 0:
            return pos, items
        if place != 0 and size == 4:
            for i in range(count):
                store_f64(place + 8 * (items + i), load_f32(pos + 4 * i))
        elif place != 0:
            for i in range(count):
                store_f64(place + 8 * (items + i), load_f64(pos + 8 * i))
        items += count
        pos += count * size
        if block_end >= 0 and pos != block_end:
            return np.int64(RANGE), items


@njit(cache=True, nogil=True)
def check_text(pos, end, utf8, reserved):  # type: ignore[no-untyped-def]
    """The position behind the string, or why it is refused."""
    if utf8 and not is_ascii(pos, end) and not is_utf8(pos, end):
        return np.int64(ENCODING)
    if reserved and end - pos == 1 and load_u8(pos) == STAR:
        return np.int64(RANGE)
    return end


@njit(cache=True, nogil=True)
def decode(p, entry, schema, buffer, constants, start, end, chained, code, c):  # type: ignore[no-untyped-def]
    """Decode buffer[start[i]:end[i]] into row i where code[i] is OK, and set other codes. The position behind the last.

    p: programs; that of row i begins at p[entry[schema[i]]]. constants: where in the buffer the enums' symbols begin.
    chained: each datum begins where the one before it ended (start and end of row 0 bound them all), and the first bad
    one ends the work; otherwise a datum must end at end[i]. c: all rows null, as ColumnSet.allocate makes them.
    """
    base = np.int64(buffer.ctypes.data)
    pos = base
    values = np.int64(c.values.ctypes.data)
    loops = np.empty((MAX_LOOPS, 2), np.int64)  # of the blocks that are open: items left, end or -1
    for row in range(len(code)):
        if code[row] != OK:
            continue
        if row == 0 or not chained:
            pos, stop = base + start[row], base + end[row]
        pc = entry[schema[row]]
        fill, items = c.state[FILL_VALUES], c.state[FILL_ITEMS]
        depth, mark = -1, pos
        while True:
            op, at = p[pc], pos
            step = 2  # words to the next operation
            if op <= DOUBLE:
                whole, real, pos = read_number(op, pos, stop)
                place, column, detail = p[pc + 1], p[pc + 2], p[pc + 3]
                step = 4
                if pos < 0 or place == NOWHERE:
                    pass
                elif place == FLOATS:
                    c.floats[row, column] = real
                elif place == VALUES:
                    c.values[fill] = real
                    fill += 1
                elif place == SLOT:
                    c.values[c.list_start[row, column] + detail] = real
                elif detail != 1 and (whole > MAX_SCALED or whole < -MAX_SCALED):
                    pos = np.int64(RANGE)
                else:
                    c.ints[row, column] = whole * detail
            elif op == TEXT:
                length, pos = read_length(pos, stop)
                first = pos
                if pos >= 0:
                    pos = check_text(pos, pos + length, p[pc + 3], p[pc + 4])
                place, column = p[pc + 1], p[pc + 2]
                step = 5
                if pos < 0 or place == NOWHERE:
                    pass
                elif place == STRINGS:
                    c.string_start[row, column] = first - base
                    c.string_length[row, column] = length
                else:
                    c.item_start[items] = first - base
                    c.item_length[items] = length
                    items += 1
            elif op == UNION:
                index, pos = read_index(pos, stop, p[pc + 1])
                if pos >= 0:
                    step = p[pc + 2 + index]
            elif op == JUMP:
                step = p[pc + 1]
            elif op == FIXED_ARRAY:
                size, column = p[pc + 1], p[pc + 2]
                step = 3
                pos, count = read_fixed_array(pos, stop, size, values + 8 * fill if column >= 0 else 0)
                if pos >= 0 and column >= 0:
                    c.list_start[row, column] = fill
                    c.list_length[row, column] = count
                    fill += count
            elif op == SKIP:
                pos = pos + p[pc + 1] if p[pc + 1] <= stop - pos else np.int64(TRUNCATED)
            elif op == INDEX:
                index, pos = read_index(pos, stop, p[pc + 1])
            elif op == BLOCK:
                count, block_end, pos = read_block(pos, stop, p[pc + 1])
                step = 3
                if count == 0:
                    step = p[pc + 2]
                else:
                    depth += 1
                    loops[depth, 0], loops[depth, 1] = count, block_end
            elif op == NEXT:
                loops[depth, 0] -= 1
                step = p[pc + 1]
                if loops[depth, 0] == 0:
                    if loops[depth, 1] >= 0 and pos != loops[depth, 1]:
                        pos = np.int64(RANGE)
                    depth -= 1
                    step -= 3  # from behind BLOCK to BLOCK
            elif op == LIST:
                c.list_start[row, p[pc + 1]] = fill
            elif op == LIST_END:
                c.list_length[row, p[pc + 1]] = fill - c.list_start[row, p[pc + 1]]
            elif op == ITEMS:
                c.items_start[row, p[pc + 1]] = items
            elif op == ITEMS_END:
                c.items_length[row, p[pc + 1]] = items - c.items_start[row, p[pc + 1]]
            elif op == ENUM:
                index, pos = read_index(pos, stop, p[pc + 3])
                symbol = pc + 5 + 2 * index
                step = p[pc + 4]
                if pos >= 0 and p[pc + 1] == STRINGS:
                    c.string_start[row, p[pc + 2]] = constants + p[symbol]
                    c.string_length[row, p[pc + 2]] = p[symbol + 1]
                elif pos >= 0:
                    c.item_start[items] = constants + p[symbol]
                    c.item_length[items] = p[symbol + 1]
                    items += 1
            elif op == NULL_VALUE:
                c.values[fill] = np.nan
                fill += 1
                step = 1
            elif op == NULL_ITEM:
                c.item_start[items] = 0
                c.item_length[items] = 0
                items += 1
                step = 1
            elif op == SLOTS:
                c.list_start[row, p[pc + 1]] = fill
                c.list_length[row, p[pc + 1]] = p[pc + 2]
                c.values[fill : fill + p[pc + 2]] = np.nan
                fill += p[pc + 2]
                step = 3
            elif op == MARK:
                mark = pos
                step = 1
            elif op == REWIND:
                pos = mark
                step = 1
            elif op == END:
                if not chained and pos != stop:
                    pos = np.int64(TRAILING)
                step = 1
            elif op == NEED_INT:
                pos = pos if c.ints[row, p[pc + 1]] != NULL_INT else np.int64(MISSING)
            elif op == NEED_STRING:
                pos = pos if c.string_length[row, p[pc + 1]] >= 0 else np.int64(MISSING)
            else:
                c.state[FILL_VALUES], c.state[FILL_ITEMS] = fill, items
                break
            if pos < 0:
                c.state[FAILED_OP], c.state[FAILED_AT] = pc, at - base
                clear_row(c, row)
                code[row] = -pos
                break
            pc += step
        if chained and pos < 0:
            break
    return pos - base
