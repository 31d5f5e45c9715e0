"""What can go wrong, in two kinds that never mix.

A **bad record** is data: it gets a `Code` in its row of the batch, becomes a dead letter and is counted; nothing is
raised. A **refusal** is for a person: an exception that says what happened, where, and what to do, with the exit code
of the command.
"""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Verdict on one record. OK rows are events; every other code but TOMBSTONE makes a dead letter."""

    OK = 0
    FRAMING = 1  # empty, too short, wrong magic: no datum was found
    TRUNCATED = 2  # the datum ends behind the record's last byte
    TRAILING = 3  # bytes follow the datum
    RANGE = 4  # union or enum index, boolean, int or array count out of range; a reserved `*` in a series key
    ENCODING = 5  # a string is not UTF-8
    SCHEMA = 6  # the writer's schema is not known
    MISSING = 7  # ts or model_id is null
    DIMENSION = 8  # features, probs or embedding of another length than the baseline or the settings say
    FUTURE = 9  # ts beyond the record timestamp + max_future_skew
    TOMBSTONE = 10  # null value: counted, no dead letter
    OVERSIZED = 11  # larger than the configured cap


class Refusal(Exception):
    """A problem that the user can resolve. `str()` is the whole message: what, where, what to do."""

    exit_code = 2


class CheckFailed(Refusal):
    """A gate or a comparison failed."""

    exit_code = 1


class UsageError(Refusal):
    """A wrong argument, configuration, file or topic."""

    exit_code = 2


class Unreachable(Refusal):
    """The broker does not answer."""

    exit_code = 3


class Fenced(Refusal):
    """Another worker has taken over."""

    exit_code = 4
