"""Keys of records beside the model_id of their events. The field wins; a key that differs is counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro.blocks import frozen
from streammon.core.compiled import kernel, same_bytes
from streammon.core.errors import Code
from streammon.core.events import KEY_DIFFERS, KEY_FITS, KEY_NULL, MODEL_ID
from streammon.core.ports import Slices

OK = int(Code.OK)


def compared(
    keys: Slices | None,
    buffer: NDArray[np.uint8],
    string_start: NDArray[np.int64],
    string_length: NDArray[np.int32],
    code: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """[n] the column `key` of events. A source without keys, and rows that are no events: KEY_FITS."""
    out = np.full(len(code), KEY_FITS, np.uint8)
    if keys is not None:
        ours = frozen(keys.buffer), frozen(keys.start), frozen(keys.end)
        _compare(*ours, frozen(buffer), string_start, string_length, code, out)
    return out


@kernel
def _compare(keys, start, end, buffer, string_start, string_length, code, out):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    for row in range(len(code)):
        if code[row] != OK:
            continue
        if start[row] < 0:
            out[row] = KEY_NULL
            continue
        length = string_length[row, MODEL_ID]
        if end[row] - start[row] != length or not same_bytes(
            keys, start[row], buffer, string_start[row, MODEL_ID], length
        ):
            out[row] = KEY_DIFFERS
