"""The plan: width of panes, what its hash covers, what it refuses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import blake2b

import pytest

from streammon.core.baseline import Layout
from streammon.core.errors import UsageError
from streammon.core.outputs import Series, WindowSpec
from streammon.core.plan import ModelShape, Plan, Policy
from streammon.core.rules import Threshold

MINUTE = WindowSpec(60_000_000, 60_000_000)
PLAN = Plan("t", (MINUTE,))
RULE = Threshold(id="slow", measurement="latency.p95", window=MINUTE.text, above=250.0)


@pytest.mark.parametrize(
    "windows,width,origin",
    [
        ([(60, 60, 0)], 60, 0),
        ([(60, 60, 0), (300, 300, 0)], 60, 0),
        ([(60, 60, 0), (90, 90, 0)], 30, 0),
        ([(300, 60, 0)], 60, 0),
        ([(100, 30, 0)], 10, 0),
        ([(60, 60, 15)], 60, 15),
        ([(60, 60, 75)], 60, 15),
        ([(60, 60, -15)], 60, 45),
        ([(60, 60, 15), (120, 120, 15)], 60, 15),
        ([(60, 60, 15), (120, 120, 35)], 20, 15),
        ([(60, 60, 0), (60, 60, 1)], 1, 0),
    ],
)
def test_panes_are_as_wide_as_all_windows_allow(windows: list[tuple[int, int, int]], width: int, origin: int) -> None:
    """The greatest common divisor of sizes, slides and differences of offsets."""
    plan = Plan("t", tuple(WindowSpec(*window) for window in windows), allowed_lateness=0)
    assert (plan.pane_width, plan.pane_origin) == (width, origin)


def test_the_hash_is_of_all_settings_but_the_policy() -> None:
    settings = {name: value for name, value in asdict(PLAN).items() if name != "policy"}
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    assert PLAN.hash == blake2b(text.encode(), digest_size=16).hexdigest()
    assert replace(PLAN, policy=Policy((RULE,))).hash == PLAN.hash


@pytest.mark.parametrize(
    "change",
    [
        {"topic": "u"},
        {"windows": (WindowSpec(60_000_000, 30_000_000),)},
        {"allowed_lateness": 0},
        {"idle_grace": 0},
        {"max_future_skew": 0},
        {"models": (ModelShape("*", Layout(("a",))),)},
        {"max_panes": 9},
        {"max_series": 9},
        {"decoding": "{}"},
    ],
)
def test_whatever_else_changes_the_hash_changes(change: dict[str, object]) -> None:
    assert replace(PLAN, **change).hash != PLAN.hash  # type: ignore[arg-type]


def test_every_setting_is_hashed() -> None:
    """A new field of the plan gets a line in the test above."""
    assert set(asdict(PLAN)) == {
        "topic", "windows", "allowed_lateness", "idle_grace", "max_future_skew", "models", "max_panes", "max_series",
        "decoding", "policy",
    }  # fmt: skip


def test_the_hash_does_not_change_between_versions() -> None:
    """State is refused under another hash, so a hash that moved would strand every worker."""
    assert PLAN.hash == "c79e7ee0a0cc6292a177f2d0391dc710"
    assert Policy((RULE,)).hash == "22ea1959dbd4cda0ebeeee9771c429c0"


def test_a_policy_comes_back_from_the_journal() -> None:
    policy = Policy((RULE, replace(RULE, id="errors", above=None, below=-1.5, consecutive=3, severity="P1")))
    again = Policy.parse(json.loads(json.dumps(policy.records)))
    assert again == policy
    assert again.hash == policy.hash


def test_the_order_of_rules_is_part_of_a_policy() -> None:
    """Alerts of one window come in the order of the rules."""
    other = replace(RULE, id="other")
    assert Policy((RULE, other)).hash != Policy((other, RULE)).hash


def test_no_window_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one window"):
        Plan("t", ())


def test_a_window_named_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="twice"):
        Plan("t", (MINUTE, WindowSpec(1, 1), MINUTE))


def test_windows_with_gaps_between_them_are_refused() -> None:
    """A pane that lies in no window would never be let go."""
    with pytest.raises(UsageError, match="60/61/0 would leave times that no window covers"):
        Plan("t", (WindowSpec(60, 61),), allowed_lateness=0)


def test_panes_that_are_held() -> None:
    """1 m and 1 h with 10 s: open are 2, live 60 of the hour and the one that events ahead of its end are in."""
    plan = Plan("t", (MINUTE, WindowSpec(3_600_000_000, 3_600_000_000)))
    assert (plan.open_panes, plan.live_panes) == (2, 61)
    assert replace(PLAN, allowed_lateness=0).live_panes == 1
    assert replace(PLAN, allowed_lateness=60_000_001).live_panes == 3


def test_a_window_of_too_many_panes_is_refused_by_name() -> None:
    """1 h and 7 s share panes of 1 s: 3600 in the long one."""
    hour, odd = WindowSpec(3_600_000_000, 3_600_000_000), WindowSpec(7_000_000, 7_000_000)
    assert Plan("t", (hour, odd), max_panes=3600).pane_width == 1_000_000
    with pytest.raises(UsageError, match=rf"{hour.text} would have 3600 panes of 1 s.*panes_per_window \(3599\)"):
        Plan("t", (hour, odd), max_panes=3599)


def test_the_first_shape_that_matches_counts() -> None:
    plan = Plan("t", (MINUTE,), models=(ModelShape("fraud*", Layout(("a",))), ModelShape("*", Layout(("b",)))))
    assert plan.layout(Series("fraud-eu", "1", "prod")) == Layout(("a",))
    assert plan.layout(Series("Fraud-eu", "1", "prod")) == Layout(("b",)), "upper and lower case differ"
    assert PLAN.layout(Series("fraud-eu", "1", "prod")) == Layout()
