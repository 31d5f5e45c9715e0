"""Event batches from rows written out as dicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from streammon.core.events import FLOATS, INTS, LISTS, STRING_LISTS, STRINGS, EventBatch

Row = Mapping[str, Any]  # column name to value; what is not there is null; "code" and "key" are 0 if not there


def batch_of(rows: Sequence[Row]) -> EventBatch:
    """The batch whose events are `rows`. Rubbish before the data makes a forgotten start visible."""
    n = len(rows)
    data, values = bytearray(b"rubbish"), [-1.0]
    start, length = np.zeros((n, len(STRINGS)), np.int64), np.full((n, len(STRINGS)), -1, np.int32)
    list_start, list_length = np.zeros((n, len(LISTS)), np.int64), np.zeros((n, len(LISTS)), np.int32)
    for i, row in enumerate(rows):
        for c, name in enumerate(STRINGS):
            if row.get(name) is not None:
                text = row[name].encode()
                start[i, c], length[i, c] = len(data), len(text)
                data += text
        for c, name in enumerate(LISTS):
            list_start[i, c], list_length[i, c] = len(values), len(row.get(name, ()))
            values += row.get(name, ())
    return EventBatch(
        buffer=np.frombuffer(bytes(data), np.uint8),
        offset=np.arange(n),
        timestamp=np.zeros(n, np.int64),
        code=np.array([row.get("code", 0) for row in rows], np.uint8),
        key=np.array([row.get("key", 0) for row in rows], np.uint8),
        ints=np.array([[row.get(name, 0) for name in INTS] for row in rows], np.int64).reshape(n, len(INTS)),
        floats=np.array([[row.get(name, np.nan) for name in FLOATS] for row in rows]).reshape(n, len(FLOATS)),
        string_start=start,
        string_length=length,
        list_start=list_start,
        list_length=list_length,
        values=np.array(values),
        string_list_start=np.zeros((n, len(STRING_LISTS)), np.int64),
        string_list_length=np.zeros((n, len(STRING_LISTS)), np.int32),
        item_start=np.empty(0, np.int64),
        item_length=np.empty(0, np.int32),
    )
