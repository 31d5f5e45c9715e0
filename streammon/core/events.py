"""Events as columns: what every floor above decoding works on.

Columns of one kind share a matrix with one row per event, so that a slice of a batch is a view, and a compiled kernel
takes a handful of arrays. Column numbers are the module constants below (`INTS.index("ts")` is `TS`).

Units: times are microseconds since the epoch (UTC), latencies milliseconds. Null is NaN in floats, 0 in `http_status`
and `timed_out`, length -1 in strings, length 0 in lists (an empty list means: not recorded).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INTS = ("ts", "http_status", "timed_out")
FLOATS = ("latency_ms", "score", "prediction_value", "weight")
STRINGS = (
    "req_id",
    "model_id",
    "model_version",
    "lane",
    "data_hash",
    "git_commit",
    "user_id_hash",
    "feature_hash",
    "prediction",
)
LISTS = ("features", "probs", "embedding")  # of numbers, into `values`
STRING_LISTS = ("categories",)  # of strings, into `item_start`, `item_length`

TS, HTTP_STATUS, TIMED_OUT = range(len(INTS))
LATENCY_MS, SCORE, PREDICTION_VALUE, WEIGHT = range(len(FLOATS))
REQ_ID, MODEL_ID, MODEL_VERSION, LANE, DATA_HASH, GIT_COMMIT, USER_ID_HASH, FEATURE_HASH, PREDICTION = range(
    len(STRINGS)
)
FEATURES, PROBS, EMBEDDING = range(len(LISTS))

KEY_FITS, KEY_NULL, KEY_DIFFERS = range(3)  # the record's key beside model_id; a source without keys: KEY_FITS


@dataclass(frozen=True, slots=True)
class EventBatch:
    """n events (rows), in the order of their offsets, of one partition or of several runs of partitions."""

    buffer: NDArray[np.uint8]  # the bytes that strings point into
    offset: NDArray[np.int64]  # [n]
    timestamp: NDArray[np.int64]  # [n] record timestamp, microseconds
    code: NDArray[np.uint8]  # [n] errors.Code; the other columns of a row that is not OK are undefined
    key: NDArray[np.uint8]  # [n] KEY_FITS, KEY_NULL or KEY_DIFFERS
    ints: NDArray[np.int64]  # [n, len(INTS)]
    floats: NDArray[np.float64]  # [n, len(FLOATS)]
    string_start: NDArray[np.int64]  # [n, len(STRINGS)]
    string_length: NDArray[np.int32]  # [n, len(STRINGS)]
    list_start: NDArray[np.int64]  # [n, len(LISTS)]
    list_length: NDArray[np.int32]  # [n, len(LISTS)]
    values: NDArray[np.float64]  # numbers of all lists; missing is NaN
    string_list_start: NDArray[np.int64]  # [n, len(STRING_LISTS)]
    string_list_length: NDArray[np.int32]  # [n, len(STRING_LISTS)]
    item_start: NDArray[np.int64]  # strings of all string lists
    item_length: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.offset)

    def rows(self, low: int, high: int) -> EventBatch:
        """Rows low to high - 1, as views."""
        cut = slice(low, high)
        return EventBatch(
            self.buffer,
            self.offset[cut],
            self.timestamp[cut],
            self.code[cut],
            self.key[cut],
            self.ints[cut],
            self.floats[cut],
            self.string_start[cut],
            self.string_length[cut],
            self.list_start[cut],
            self.list_length[cut],
            self.values,
            self.string_list_start[cut],
            self.string_list_length[cut],
            self.item_start,
            self.item_length,
        )

    def text(self, row: int, column: int) -> str | None:
        """The string in one cell (column number as in STRINGS), None where null. For single rows, not for hot loops."""
        length = int(self.string_length[row, column])
        if length < 0:
            return None
        start = int(self.string_start[row, column])
        return bytes(self.buffer[start : start + length]).decode()

    def numbers(self, row: int, column: int) -> NDArray[np.float64]:
        """The list in one cell (column number as in LISTS), a view of `values`."""
        start = int(self.list_start[row, column])
        return self.values[start : start + int(self.list_length[row, column])]
