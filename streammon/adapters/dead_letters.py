"""Dead letters as Kafka records: the bytes as they were read, and in headers why they could not be counted."""

from __future__ import annotations

from streammon.adapters.marked import MARKED_BYTES, MESSAGE_CHARACTERS, Marked, marked
from streammon.core.ports import DeadLetter

PREFIX = "__streammon.errors."


def dead_record(letter: DeadLetter, topic: str, limit: int = MARKED_BYTES, framed: bool = True) -> Marked:
    """The record for a dead letter that was read from `topic`; see `marked` for what is cut and said of any record."""
    said = {"code": letter.code.name, "field": letter.field, "message": letter.message[:MESSAGE_CHARACTERS]}
    return marked(letter, topic, PREFIX, said, limit, framed)
