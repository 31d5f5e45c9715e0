"""What can be simulated, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from streammon.core.errors import UsageError
from streammon.simulate.config import MICROSECONDS, Simulation

END = 1_750_000_000 * MICROSECONDS


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"events": 0}, "events is 0"),
        ({"models": 0}, "models is 0"),
        ({"partitions": -1}, "partitions is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"lanes": ()}, "no name"),
        ({"lanes": ("prod", " ")}, "no name"),
        ({"lanes": ("prod", "prod")}, "twice in prod,prod"),
        ({"lanes": ("prod", "*")}, "roll-up"),
        ({"rate": 5.0, "span": 60.0}, "exclude each other"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"span": float("nan")}, "span is nan"),
        ({"end": 5 * MICROSECONDS}, "before 1970"),
        ({"drift": ("covariat",)}, "'covariat'; there are covariate, class_mix"),
        ({"drift": ("missing", "missing")}, "twice in missing,missing"),
        ({"drift_at": 1.0}, "drift_at is 1.0"),
        ({"drift": ("missing", "errors"), "drift_at": (0.5, -0.1)}, "drift_at is -0.1"),
        ({"drift": ("missing", "errors"), "drift_at": (0.5,)}, "1 shares for 2 kinds"),
        ({"only": ("fraud-*", "*")}, "the models are digits-0"),
        ({"only": ("digits-0", "shadow")}, "the lanes are prod, canary"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(wrong: dict[str, Any], says: str) -> None:
    """The message names the setting and its value."""
    with pytest.raises(UsageError) as refusal:
        Simulation(**{"events": 100, "end": END, **wrong})
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_without_rate_and_span_a_series_gets_a_thousand_events_a_minute() -> None:
    """Six series: 6,000 events make a minute."""
    config = Simulation(events=6_000, end=END, models=3)
    assert config.duration == 60 * MICROSECONDS
    assert config.start == END - 60 * MICROSECONDS
    assert config.onsets == {}


def test_kinds_of_drift_begin_together_or_each_at_its_own_time() -> None:
    """One share of the span for all of them, or one for each, in their order."""
    together = Simulation(events=6_000, end=END, span=100, drift=("latency", "covariate"), drift_at=0.75)
    assert together.onsets == {"latency": END - 25 * MICROSECONDS, "covariate": END - 25 * MICROSECONDS}
    apart = Simulation(events=6_000, end=END, span=100, drift=("latency", "covariate"), drift_at=(0.9, 0.5))
    assert apart.onsets == {"latency": END - 10 * MICROSECONDS, "covariate": END - 50 * MICROSECONDS}


def test_rate_or_span_decide_the_duration() -> None:
    """Events per second of event time, or seconds."""
    assert Simulation(events=500, end=END, rate=100).duration == 5 * MICROSECONDS
    assert Simulation(events=500, end=END, span=2.5).duration == 2.5 * MICROSECONDS


@pytest.mark.parametrize(
    "lanes, shares", [(("prod",), (1.0,)), (("prod", "canary"), (0.7, 0.3)), (("a", "b", "c"), (0.7, 0.15, 0.15))]
)
def test_the_first_lane_gets_most_of_the_traffic(lanes: tuple[str, ...], shares: tuple[float, ...]) -> None:
    """70 %, or everything where it is alone."""
    assert Simulation(events=1, end=END, lanes=lanes).lane_shares == pytest.approx(shares)


def test_a_configuration_is_checked_without_importing_torch() -> None:
    """`streammon simulate --help` and its refusals stay fast."""
    heavy = "('torch', 'sklearn', 'numba', 'confluent_kafka')"
    code = f"import sys, streammon.simulate.config; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
