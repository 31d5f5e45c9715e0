"""Late events as Kafka records: the bytes as they were read, and in headers which pane they missed."""

from __future__ import annotations

import numpy as np

from streammon.adapters.marked import MARKED_BYTES, MESSAGE_CHARACTERS, Marked, marked
from streammon.core.ports import LateRecord

PREFIX = "__streammon.late."
CODE = "LATE"


def late_record(late: LateRecord, topic: str, limit: int = MARKED_BYTES, framed: bool = True) -> Marked:
    """The record for a late event that was read from `topic`; see `marked` for what is cut and said of any record.

    Headers say the series, as `model_id`, `model_version` and `lane`, and the bounds of the sealed pane, `pane_start`
    and `pane_end`, in microseconds like all event times; `message` says the same to people.
    """
    pane = f"{_time(late.pane_start)} to {_time(late.pane_end)}"
    said = {
        "code": CODE,
        "message": f"the pane {pane} of {' '.join(late.series)} was sealed"[:MESSAGE_CHARACTERS],
        **late.series._asdict(),
        "pane_start": late.pane_start,
        "pane_end": late.pane_end,
    }
    return marked(late, topic, PREFIX, said, limit, framed)


def _time(microseconds: int) -> str:
    """ISO 8601 in UTC, of any year.

    >>> _time(0), _time(-1_500_000)
    ('1970-01-01T00:00:00Z', '1969-12-31T23:59:58.500000Z')
    """
    text = str(np.datetime64(microseconds, "us"))
    return text.removesuffix(".000000") + "Z"
