"""Rules: policies over measurements. To add a kind: one file like `threshold.py`, one line in RULES.

Settings, journal and judge take it at once, and tests/laws/test_rule_laws.py holds it to the laws of all rules.
"""

from streammon.core.rules.base import Rule
from streammon.core.rules.threshold import Threshold

RULES: dict[str, type[Rule]] = {
    "threshold": Threshold,
}
"""By what settings and journal call them."""

__all__ = ["RULES", "Rule", "Threshold"]
