"""Finding the datum in a record's value, and the schema that it was written with, in compiled code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from streammon.adapters.avro.wire import load_u8
from streammon.core.errors import Code

OK, FRAMING, SCHEMA = int(Code.OK), int(Code.FRAMING), int(Code.SCHEMA)
TOMBSTONE, OVERSIZED = int(Code.TOMBSTONE), int(Code.OVERSIZED)


@dataclass(frozen=True, slots=True)
class Framing:
    """Bytes in front of each datum: the magic, then the id of its schema."""

    magic: bytes
    id_bytes: int  # 0: no id, all data have the one configured schema
    big_endian: bool = False
    numbered: bool = False  # whether the ids are a registry's; otherwise they are the schemas' own fingerprints
    body: int = 0  # bytes of a datum, at least

    @property
    def least(self) -> int:
        """Bytes of a value, at least; a shorter one holds no datum."""
        return max(len(self.magic) + self.id_bytes + self.body, 1)


RAW = Framing(b"", 0)
SINGLE_OBJECT = Framing(b"\xc3\x01", 8)  # the id is the schema's CRC-64-AVRO fingerprint, little-endian
CONFLUENT = Framing(b"\x00", 4, big_endian=True, numbered=True, body=1)
FRAMINGS = {"raw": RAW, "single_object": SINGLE_OBJECT, "confluent": CONFLUENT}


@njit(cache=True, nogil=True)
def unframe(buffer, start, end, magic, id_bytes, big, least, ids, max_bytes, code, body, schema):  # type: ignore[no-untyped-def]
    """Verdict, start of the datum and number of its schema (as in `ids`, ascending) of every row.

    A null value has start -1.
    """
    base = np.int64(buffer.ctypes.data)
    header = len(magic) + id_bytes
    latest = 0  # records of one schema tend to follow each other
    for row in range(len(start)):
        first, size = start[row], end[row] - start[row]
        body[row], schema[row], code[row] = first + header, 0, OK
        if first < 0:
            code[row] = TOMBSTONE
        elif size > max_bytes:
            code[row] = OVERSIZED
        elif size < least:
            code[row] = FRAMING
        else:
            for i in range(len(magic)):
                if load_u8(base + first + i) != magic[i]:
                    code[row] = FRAMING
            if code[row] == OK and id_bytes:
                number = np.int64(0)
                for i in range(id_bytes):
                    shift = 8 * (id_bytes - 1 - i if big else i)
                    number |= load_u8(base + first + len(magic) + i) << shift
                if ids[latest] != number:
                    low, high = 0, len(ids) - 1
                    while low < high:
                        middle = (low + high) // 2
                        if ids[middle] < number:
                            low = middle + 1
                        else:
                            high = middle
                    latest = low
                if ids[latest] == number:
                    schema[row] = latest
                else:
                    code[row] = SCHEMA
