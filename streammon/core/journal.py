"""The journal: every decision that the log alone does not determine.

Outputs are a pure function of (input log, journal). An entry at position q takes effect before the record with offset
q; entries at one position in sequence order. Sequence numbers count per partition from 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    BASELINE = "baseline"  # a baseline becomes active
    POLICY = "policy"  # a policy (set of rules) becomes active
    IDLE = "idle"  # the clocks of a silent partition advance
    VERDICT = "verdict"  # the record at this position is judged by wall time


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One decision about one input partition.

    `value` is JSON text. BASELINE: {"baseline_id", "model_id", "model_version", "content_hash", "effective_from"},
    the last in microseconds or null for "from the beginning". POLICY: {"policy_hash", "rules"}. IDLE: {"advance"},
    the silence in microseconds. VERDICT: {"code"}, the name of an errors.Code.
    """

    topic: str
    partition: int
    position: int
    sequence: int
    kind: Kind
    value: str
