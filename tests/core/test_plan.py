"""The plan: width of panes, what its hash covers, what it refuses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from hashlib import blake2b

import pytest

from streammon.core.baseline import Layout
from streammon.core.errors import UsageError
from streammon.core.outputs import OTHER, Rollup, Series, WindowSpec, matches
from streammon.core.plan import ModelShape, Plan, Policy, Scope
from streammon.core.rules import Threshold

MINUTE = WindowSpec(60_000_000, 60_000_000)
HOUR = WindowSpec(3_600_000_000, 3_600_000_000)
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
        {"windows": (WindowSpec(60_000_000, 60_000_000, 30_000_000),)},
        {"scopes": (Scope(MINUTE, lane="prod"),)},
        {"rollups": (Rollup.LANES,)},
        {"empty_windows": 1},
        {"expire_after": 1},
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
        "topic", "windows", "scopes", "rollups", "empty_windows", "allowed_lateness", "idle_grace", "max_future_skew",
        "expire_after", "models", "max_panes", "max_series", "decoding", "policy",
    }  # fmt: skip


def test_the_hash_does_not_change_between_versions() -> None:
    """State is refused under another hash, so a hash that moved would strand every worker."""
    assert PLAN.hash == "54134411c589738e277caf8ae7d96fcf"
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
    """1 m and 1 h with 10 s: open are 2; of the 59 other panes of the hour, 3 blocks of each size up to 16, 1 of 32.

    An hour that slides has more windows open at once, each with blocks of its own at its ends.
    """
    plan = Plan("t", (MINUTE, HOUR))
    assert (plan.open_panes, plan.live_panes) == (2, 2 + 3 + 3 + 3 + 3 + 3 + 1)
    assert (
        replace(plan, windows=(WindowSpec(HOUR.size, HOUR.size // 2), MINUTE)).live_panes == 2 + 5 + 5 + 5 + 5 + 3 + 1
    )
    assert replace(PLAN, allowed_lateness=0).live_panes == 1
    assert replace(PLAN, allowed_lateness=60_000_001).live_panes == 3


def test_a_window_of_too_many_panes_is_refused_by_name() -> None:
    """1 h and 7 s share panes of 1 s: 3600 in the long one."""
    hour, odd = WindowSpec(3_600_000_000, 3_600_000_000), WindowSpec(7_000_000, 7_000_000)
    assert Plan("t", (hour, odd), max_panes=3600).pane_width == 1_000_000
    with pytest.raises(UsageError, match=rf"{hour.text} would have 3600 panes of 1 s.*panes_per_window \(3599\)"):
        Plan("t", (hour, odd), max_panes=3599)


SCOPED = Plan(
    "t",
    (HOUR, MINUTE),
    scopes=(Scope(HOUR, "fraud-*", lane="prod"), Scope(HOUR, "fraud-*", lane="[*]"), Scope(HOUR, "__other__")),
    rollups=tuple(Rollup),
)


@pytest.mark.parametrize(
    "series, windows",
    [
        (("fraud-eu", "1", "prod"), (MINUTE, HOUR)),
        (("fraud-eu", "1", "canary"), (MINUTE,)),
        (("credit", "1", "prod"), (MINUTE,)),
        (("fraud-eu", "1", "*"), (MINUTE, HOUR)),  # its lanes, as the second scope says
        (("fraud-eu", "*", "prod"), (MINUTE,)),  # a version that is all versions has to be written [*]
        (("fraud-eu", "*", "*"), (MINUTE,)),
        (OTHER, (MINUTE, HOUR)),
    ],
)
def test_a_scoped_window_is_for_the_series_that_a_scope_names(
    series: tuple[str, str, str], windows: tuple[WindowSpec, ...]
) -> None:
    """A window without a scope is for every series, roll-ups and `__other__` included."""
    assert SCOPED.windows_of(Series(*series)) == windows


@pytest.mark.parametrize(
    "series, patterns, said",
    [
        (("m", "1", "a"), ("*", "*", "*"), True),
        (("m", "1", "a"), ("m", "[0-9]", "?"), True),
        (("m", "1", "a"), ("M", "*", "*"), False),
        (("m", "1", "a"), ("*", "*", "[*]"), False),
        (("m", "1", "*"), ("*", "*", "*"), False),
        (("m", "1", "*"), ("*", "*", "?"), False),
        (("m", "1", "*"), ("*", "*", "[*]"), True),
        (("m", "1", "*"), ("*", "2", "[*]"), False),
        (("m", "*", "*"), ("*", "*", "[*]"), False),
        (("m", "*", "*"), ("*", "[*]", "[*]"), True),
        (OTHER, ("*", "*", "*"), False),
        (OTHER, ("__other__", "x", "x"), True),
        (("m", "1", "a"), ("__other__", "*", "*"), False),
    ],
)
def test_patterns_name_roll_ups_and_other_only_by_their_own_names(
    series: tuple[str, str, str], patterns: tuple[str, str, str], said: bool
) -> None:
    assert matches(Series(*series), *patterns) == said


def test_the_first_shape_that_matches_counts() -> None:
    plan = Plan("t", (MINUTE,), models=(ModelShape("fraud*", Layout(("a",))), ModelShape("*", Layout(("b",)))))
    assert plan.layout(Series("fraud-eu", "1", "prod")) == Layout(("a",))
    assert plan.layout(Series("Fraud-eu", "1", "prod")) == Layout(("b",)), "upper and lower case differ"
    assert PLAN.layout(Series("fraud-eu", "1", "prod")) == Layout()
