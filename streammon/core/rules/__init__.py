"""Rules: policies over measurements. To add a kind: one file like `threshold.py`, one entry in RULES.

A rule kind is a frozen dataclass with the selection and lifecycle settings of `Threshold`, a `kind`, and `violates`.
"""

from streammon.core.rules.threshold import Threshold

RULES = {Threshold.kind: Threshold}
Rule = Threshold  # the union of all kinds

__all__ = ["RULES", "Rule", "Threshold"]
