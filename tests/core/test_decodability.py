"""When a partition counts as undecodable, against a rule that looks at every record in turn."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streammon.core.decodability import Decodability
from streammon.core.errors import Code

UNREADABLE = ("FRAMING", "TRUNCATED", "TRAILING", "RANGE", "ENCODING", "SCHEMA", "MISSING", "OVERSIZED")

# Long runs of good and bad records, so that windows of 1,000 fill up and empty again.
RUNS = st.lists(st.tuples(st.sampled_from(list(Code)), st.integers(1, 600)), max_size=12)


def codes(runs: list[tuple[Code, int]]) -> NDArray[np.uint8]:
    return np.array([code for code, count in runs for _ in range(count)], np.uint8)


def tripped_at(log: NDArray[np.uint8]) -> int | None:
    """The first record with which more than half of the last 1,000 cannot be decoded."""
    last: deque[bool] = deque(maxlen=1_000)
    for number, code in enumerate(log.tolist()):
        last.append(Code(code).name in UNREADABLE)
        if last[-1] and sum(last) > 500:
            return number
    return None


@given(runs=RUNS, cuts=st.lists(st.integers(0, 5_000), max_size=8))
def test_it_fails_at_the_same_record_however_the_log_is_split(runs: list[tuple[Code, int]], cuts: list[int]) -> None:
    log = codes(runs)
    partition, taken = Decodability(), 0
    for piece in np.split(log, sorted(min(cut, len(log)) for cut in cuts)):
        count = partition.take(piece)
        taken += count
        assert count == len(piece) or partition.failed
    at = tripped_at(log)
    assert partition.failed == (at is not None)
    assert taken == (len(log) if at is None else at + 1)


@pytest.mark.parametrize("code", list(Code))
def test_only_what_the_decoder_refuses_counts(code: Code) -> None:
    """Not what was decoded and refused for what it says, and no tombstone."""
    partition = Decodability()
    assert partition.take(codes([(code, 2_000)])) == (501 if code.name in UNREADABLE else 2_000)


def test_half_is_not_most() -> None:
    partition = Decodability()
    assert partition.take(codes([(Code.OK, 1), (Code.SCHEMA, 1)] * 5_000)) == 10_000
    assert partition.take(codes([(Code.SCHEMA, 1)])) == 1
    assert partition.failed
    assert partition.finding == "501 of the last 1,000 records cannot be decoded (501 SCHEMA)"


def test_nothing_more_is_taken() -> None:
    partition = Decodability()
    partition.take(codes([(Code.FRAMING, 501)]))
    assert partition.take(codes([(Code.OK, 5_000)])) == 0
