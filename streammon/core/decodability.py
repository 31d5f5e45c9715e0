"""Whether a partition can be read at all. A bad record is a dead letter; most records bad is a wrong schema or framing.

The verdict falls at a record, not at a batch: any split of the log into batches gives the same.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from streammon.core.errors import Code

SPAN = 1_000  # records that are looked back on
MOST = SPAN // 2 + 1  # of them

_UNDECODABLE = np.zeros(256, bool)
_UNDECODABLE[
    [
        Code.FRAMING,
        Code.TRUNCATED,
        Code.TRAILING,
        Code.RANGE,
        Code.ENCODING,
        Code.SCHEMA,
        Code.MISSING,
        Code.OVERSIZED,
    ]
] = True
"""The decoder's codes. What is refused for its content (FUTURE, DIMENSION) was decoded."""


class Decodability:
    """Of one partition, from the record at which it went live on.

    >>> import numpy as np
    >>> partition = Decodability()
    >>> partition.take(np.full(2_000, Code.SCHEMA, np.uint8)), partition.failed
    (501, True)
    """

    def __init__(self) -> None:
        self._seen = 0  # records
        self._at = np.zeros(0, np.int64)  # numbers of the latest undecodable ones, MOST at most
        self._code = np.zeros(0, np.uint8)  # theirs
        self.failed = False

    def take(self, code: NDArray[np.uint8]) -> int:
        """How many of the next records, given by their codes, are to be taken: all, or up to and with the one that
        makes most of the last SPAN undecodable. After that one, none.
        """
        if self.failed:
            return 0
        taken = len(code)
        bad = np.flatnonzero(_UNDECODABLE[code])
        if len(bad):
            at = np.concatenate((self._at[1 - MOST :], self._seen + bad))
            codes = np.concatenate((self._code[1 - MOST :], code[bad]))
            crowded = np.flatnonzero(at[MOST - 1 :] - at[: 1 - MOST] < SPAN)
            end = len(at)
            if len(crowded):
                end = int(crowded[0]) + MOST
                taken = int(at[end - 1]) - self._seen + 1
                self.failed = True
            self._at, self._code = at[max(0, end - MOST) : end], codes[max(0, end - MOST) : end]
        self._seen += taken
        return taken

    @property
    def finding(self) -> str:
        """What was found when it failed.

        >>> import numpy as np
        >>> partition = Decodability()
        >>> partition.take(np.repeat(np.array([Code.OK, Code.FRAMING, Code.SCHEMA], np.uint8), [200, 400, 200]))
        701
        >>> partition.finding
        '501 of the last 701 records cannot be decoded (400 FRAMING, 101 SCHEMA)'
        """
        found = Counter(Code(code).name for code in self._code.tolist())
        codes = ", ".join(f"{count} {name}" for name, count in found.most_common())
        return f"{len(self._code)} of the last {min(self._seen, SPAN):,} records cannot be decoded ({codes})"
