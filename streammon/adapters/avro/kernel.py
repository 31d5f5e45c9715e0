"""Avro datums to columns: one compiled interpreter for the programs of all schemas (their words: ops.py).

Compiling every schema to code of its own would be a little faster, and seconds late for every new schema.

numba's cache notices changes only of the file that a compiled function stands in: after changing wire.py or
ops.py, touch this file, or delete `__pycache__/*.nb?`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from streammon.adapters.avro import ops
from streammon.adapters.avro.cells import check_text, clear_row, find_key, joined, null_number, put_number, put_text
from streammon.adapters.avro.decimal import read_decimal
from streammon.adapters.avro.wire import (
    RANGE,
    TRUNCATED,
    load_f32,
    load_f64,
    read_block,
    read_boolean,
    read_index,
    read_int,
    read_length,
    read_long,
    store_f64,
)
from streammon.core.errors import Code

NULL_INT, MAX_SCALED, MAX_LOOPS = ops.NULL_INT, ops.MAX_SCALED, ops.MAX_LOOPS
OK, TRAILING, MISSING = int(Code.OK), -int(Code.TRAILING), -int(Code.MISSING)


@njit(cache=True, nogil=True)
def read_number(op, pos, end):  # type: ignore[no-untyped-def]
    """(as integer, as float, pos)."""
    if op == ops.LONG:
        whole, pos = read_long(pos, end)
        return whole, float(whole), pos
    if op == ops.INT:
        whole, pos = read_int(pos, end)
        return whole, float(whole), pos
    if op == ops.BOOLEAN:
        whole, pos = read_boolean(pos, end)
        return whole, float(whole), pos
    size = 4 if op == ops.FLOAT else 8
    if end - pos < size:
        return np.int64(0), 0.0, np.int64(TRUNCATED)
    return np.int64(0), load_f32(pos) if op == ops.FLOAT else load_f64(pos), pos + size


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
def decode(p, entry, schema, buffer, constants, literals, start, end, chained, code, c):  # type: ignore[no-untyped-def]
    """Decode buffer[start[i]:end[i]] into row i where code[i] is OK, and set other codes. The position behind the last.

    p: programs; that of row i begins at p[entry[schema[i]]]. constants: where in the buffer those strings begin that no
    datum holds. literals: what programs compare with. chained: each datum begins where the one before it ended (start
    and end of row 0 bound them all), and the first bad one ends the work; otherwise a datum must end at end[i]. c: all
    rows null, as ColumnSet.allocate makes them.
    """
    base, literal = np.int64(buffer.ctypes.data), np.int64(literals.ctypes.data)
    pos = base
    values = np.int64(c.values.ctypes.data)
    loops = np.empty((MAX_LOOPS, 3), np.int64)  # of the blocks that are open: items left, end or -1, items of an array
    marks = np.empty(MAX_LOOPS, np.int64)
    for row in range(len(code)):
        if code[row] != OK:
            continue
        if row == 0 or not chained:
            pos, stop = base + start[row], base + end[row]
        pc = entry[schema[row]]
        fill, items = c.state[ops.FILL_VALUES], c.state[ops.FILL_ITEMS]
        depth = -1
        while True:
            op, at = p[pc], pos
            step = 2  # words to the next operation
            if op <= ops.DOUBLE:
                whole, real, pos = read_number(op, pos, stop)
                place, column, detail = p[pc + 1], p[pc + 2], p[pc + 3]
                step = 4
                if pos < 0 or place == ops.NOWHERE:
                    pass
                elif place == ops.FLOATS:
                    c.floats[row, column] = real
                elif place == ops.VALUES:
                    c.values[fill] = real
                    fill += 1
                elif place == ops.SLOT:
                    c.values[c.list_start[row, column] + detail] = real
                elif place == ops.LAST:
                    c.values[fill - 1] = real
                elif detail < 0:
                    c.ints[row, column] = whole // -detail
                elif detail != 1 and (whole > MAX_SCALED or whole < -MAX_SCALED):
                    pos = np.int64(RANGE)
                else:
                    c.ints[row, column] = whole * detail
            elif op == ops.TEXT:
                length, pos = read_length(pos, stop)
                first = pos
                if pos >= 0:
                    pos = check_text(pos, pos + length, p[pc + 4], p[pc + 5])
                place, column = p[pc + 1], p[pc + 2]
                step = 6
                if pos < 0 or place == ops.NOWHERE:
                    pass
                elif place == ops.STRINGS:
                    c.string_start[row, column] = first - base
                    c.string_length[row, column] = length
                elif place in (ops.ITEM, ops.LAST_ITEM):
                    items += place == ops.ITEM
                    c.item_start[items - 1] = first - base
                    c.item_length[items - 1] = length
                else:
                    items = put_text(c, row, place, column, p[pc + 3], first - base, length, items)
            elif op == ops.UNION:
                index, pos = read_index(pos, stop, p[pc + 1])
                if pos >= 0:
                    step = p[pc + 2 + index]
            elif op == ops.JUMP:
                step = p[pc + 1]
            elif op == ops.FIXED_ARRAY:
                size, column = p[pc + 1], p[pc + 2]
                step = 3
                pos, count = read_fixed_array(pos, stop, size, values + 8 * fill if column >= 0 else 0)
                if pos >= 0 and column >= 0:
                    c.list_start[row, column] = fill
                    c.list_length[row, column] = count
                    fill += count
            elif op == ops.SKIP:
                pos = pos + p[pc + 1] if p[pc + 1] <= stop - pos else np.int64(TRUNCATED)
            elif op == ops.INDEX:
                index, pos = read_index(pos, stop, p[pc + 1])
            elif op == ops.BLOCK:
                count, block_end, pos = read_block(pos, stop, p[pc + 1])
                step = 3
                if count == 0:
                    step = p[pc + 2]
                else:
                    depth += 1
                    loops[depth, 0], loops[depth, 1] = count, block_end
            elif op == ops.NEXT:
                loops[depth, 0] -= 1
                step = p[pc + 1]
                if loops[depth, 0] == 0:
                    if loops[depth, 1] >= 0 and pos != loops[depth, 1]:
                        pos = np.int64(RANGE)
                    depth -= 1
                    step -= 3  # from behind BLOCK to BLOCK
            elif op == ops.LIST:
                c.list_start[row, p[pc + 1]] = fill
            elif op == ops.LIST_END:
                c.list_length[row, p[pc + 1]] = fill - c.list_start[row, p[pc + 1]]
            elif op == ops.ITEMS:
                c.items_start[row, p[pc + 1]] = items
            elif op == ops.ITEMS_END:
                c.items_length[row, p[pc + 1]] = items - c.items_start[row, p[pc + 1]]
            elif op == ops.ENUM:
                index, pos = read_index(pos, stop, p[pc + 4])
                symbol = pc + 6 + 2 * index
                step = p[pc + 5]
                if pos >= 0 and p[symbol + 1] < 0:
                    pos = np.int64(RANGE)
                elif pos >= 0 and p[pc + 1] == ops.STRINGS:
                    c.string_start[row, p[pc + 2]] = constants + p[symbol]
                    c.string_length[row, p[pc + 2]] = p[symbol + 1]
                elif pos >= 0:
                    first, length = constants + p[symbol], p[symbol + 1]
                    items = put_text(c, row, p[pc + 1], p[pc + 2], p[pc + 3], first, length, items)
            elif op == ops.NULL_VALUE:
                c.values[fill] = np.nan
                fill += 1
                step = 1
            elif op == ops.NULL_ITEM:
                c.item_start[items] = 0
                c.item_length[items] = 0
                items += 1
                step = 1
            elif op == ops.SLOTS:
                c.list_start[row, p[pc + 1]] = fill
                c.list_length[row, p[pc + 1]] = p[pc + 2]
                c.values[fill : fill + p[pc + 2]] = np.nan
                fill += p[pc + 2]
                step = 3
            elif op == ops.MARK:
                marks[p[pc + 1]] = pos
            elif op == ops.REWIND:
                pos = marks[p[pc + 1]]
            elif op == ops.KEY:
                length, pos = read_length(pos, stop)
                first = pos
                if pos >= 0:
                    pos = check_text(pos, pos + length, 1, 0)
                if pos >= 0:
                    found = find_key(p, pc + 3, p[pc + 1], first, length, literal)
                    step = p[pc + 3 + 3 * found + 2] if found >= 0 else p[pc + 2]
            elif op == ops.PICK:
                step = p[pc + 3 + loops[depth, 2]] if loops[depth, 2] < p[pc + 1] else p[pc + 2]
                loops[depth, 2] += 1
            elif op == ops.COUNT:
                loops[depth + 1, 2] = 0
                step = 1
            elif op == ops.DECIMAL:
                real, pos = read_decimal(pos, stop, p[pc + 4], p[pc + 5], p[pc + 6])
                step = 7
                if pos >= 0:
                    fill = put_number(c, row, p[pc + 1], p[pc + 2], p[pc + 3], real, fill)
            elif op == ops.FIXED_TEXT:
                first, length = pos, p[pc + 6]
                step = 7
                pos = np.int64(TRUNCATED)
                if length <= stop - first:
                    pos = check_text(first, first + length, p[pc + 4], p[pc + 5])
                if pos >= 0:
                    items = put_text(c, row, p[pc + 1], p[pc + 2], p[pc + 3], first - base, length, items)
            elif op == ops.ITEM_SLOTS:
                c.items_start[row, p[pc + 1]] = items
                c.items_length[row, p[pc + 1]] = p[pc + 2]
                c.item_start[items : items + p[pc + 2]] = 0
                c.item_length[items : items + p[pc + 2]] = 0
                items += p[pc + 2]
                step = 3
            elif op == ops.NULL_NUMBER:
                null_number(c, row, p[pc + 1], p[pc + 2], p[pc + 3], fill)
                step = 4
            elif op == ops.NULL_STRING:
                null = -1 if p[pc + 1] == ops.STRINGS else 0
                put_text(c, row, p[pc + 1], p[pc + 2], p[pc + 3], 0, null, items)
                step = 4
            elif op == ops.JOIN:
                parts = p[pc + 1], p[pc + 2], p[pc + 3]
                fill = joined(c.list_start, c.list_length, row, *parts, c.values, c.values, fill)
                step = 4
            elif op == ops.JOIN_ITEMS:
                parts = p[pc + 1], p[pc + 2], p[pc + 3]
                items = joined(c.items_start, c.items_length, row, *parts, c.item_start, c.item_length, items)
                step = 4
            elif op == ops.CONSTANT:
                place, column = p[pc + 1], p[pc + 2]
                step = 5
                if p[pc + 4] >= 0:
                    c.string_start[row, column] = constants + p[pc + 3]
                    c.string_length[row, column] = p[pc + 4]
                elif place == ops.INTS:
                    c.ints[row, column] = p[pc + 3]
                else:
                    c.floats[row, column] = load_f64(literal + p[pc + 3])
            elif op == ops.END:
                if not chained and pos != stop:
                    pos = np.int64(TRAILING)
                step = 1
            elif op == ops.NEED_INT:
                pos = pos if c.ints[row, p[pc + 1]] != NULL_INT else np.int64(MISSING)
            elif op == ops.NEED_STRING:
                pos = pos if c.string_length[row, p[pc + 1]] >= 0 else np.int64(MISSING)
            else:
                c.state[ops.FILL_VALUES], c.state[ops.FILL_ITEMS] = fill, items
                break
            if pos < 0:
                c.state[ops.FAILED_OP], c.state[ops.FAILED_AT] = pc, at - base
                clear_row(c, row)
                code[row] = -pos
                break
            pc += step
        if chained and pos < 0:
            break
    return pos - base
