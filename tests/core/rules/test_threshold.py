"""The threshold rule: when it is violated, when a window decides nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streammon.core.outputs import Measurement
from streammon.core.rules import RULES, Threshold

ABOVE = Threshold(id="slow", measurement="latency.p95", window="60/60/0", above=250.0, min_samples=10)
BELOW = replace(ABOVE, above=None, below=250.0)


@pytest.mark.parametrize(
    "value,n,above,below",
    [
        (251.0, 10, True, False),
        (250.0, 10, False, False),  # the limit itself violates neither
        (249.0, 10, False, True),
        (-1e300, 10, False, True),
        (251.0, 9, None, None),  # fewer than min_samples
        (251.0, None, None, None),
        (None, 10, None, None),  # NaN, infinite, empty
    ],
)
def test_a_threshold(value: float | None, n: int | None, above: bool | None, below: bool | None) -> None:
    measurement = Measurement("latency.p95", value, n=n)
    assert ABOVE.violates(measurement) is above
    assert BELOW.violates(measurement) is below


def test_a_limit_of_zero_is_a_limit() -> None:
    assert replace(ABOVE, above=0.0).limit(7.0) == 0.0
    assert replace(BELOW, below=0.0).limit(7.0) == 0.0
    assert replace(ABOVE, above=0.0).violates(Measurement("latency.p95", 0.1, n=10)) is True
    assert replace(BELOW, below=0.0).violates(Measurement("latency.p95", -0.1, n=10)) is True


def test_the_summary_says_which_side() -> None:
    assert ABOVE.describe(300.5) == "300.5 > 250"
    assert BELOW.describe(1 / 3) == "0.333333 < 250"


def test_kinds_are_found_by_their_name() -> None:
    """A rule in the journal names its kind."""
    assert {kind.kind: kind for kind in RULES.values()} == RULES
