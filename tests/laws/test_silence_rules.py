"""Rules about silence: windows without events, and what they do to `consecutive`.

    minutes            0   1   2   3   4   5   6   7   8   9
    fraud 1 prod       6   6   .   .   .   .   .   .   6   6     events; of those in 0, 1, 8 every status is 500
    its windows        6   6   0   0   0   -   -   -   6         3 empty ones are published, then none
    fraud 2 prod       6   6   6   6   6   6   6   6   6   6     in the same partition, or not there at all

With fraud 2 beside it, fraud 1 follows the partition's progress after `idle_grace`; alone, it falls silent with its
partition, which the journal says: an idle advance.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from streammon.core.journal import JournalEntry, Kind
from tests.laws.harness import Line
from tests.oracle.streams import MINUTE, SECOND, START, Item, Stream

WINDOW = f"{MINUTE}/{MINUTE}/0"
TOPIC = "t"
SILENT = (2, 3, 4, 5, 6, 7)  # minutes
EVERY = 10 * SECOND
RULES: list[dict[str, Any]] = [
    {"id": "silent", "measurement": "traffic.count", "below": 1, "min_samples": 0, "consecutive": 2},
    {"id": "slow", "measurement": "traffic.qps", "below": 0.05, "min_samples": 0, "consecutive": 3},
    {"id": "too-long", "measurement": "traffic.count", "below": 1, "min_samples": 0, "consecutive": 4},
    {"id": "samples", "measurement": "traffic.count", "below": 1},
    {"id": "errors", "measurement": "traffic.rate_5xx", "above": 0.5, "min_samples": 0},
    {"id": "three-bad", "measurement": "traffic.rate_5xx", "above": 0.5, "min_samples": 0, "consecutive": 3},
]
EXPECTED = [  # of fraud 1: rule, state, minute of the window, consecutive
    ("errors", "FIRING", 0, 1),
    ("silent", "FIRING", 3, 2),  # the second window without events
    ("slow", "FIRING", 4, 3),
    ("errors", "ONGOING", 8, 1),  # open all the while: a window without events says nothing about rates
    ("silent", "RESOLVED", 8, 0),
    ("slow", "RESOLVED", 8, 0),
]  # never: too-long (an empty window too few), samples (none is sufficient), three-bad (0, 1 and 8 are not in a row)


def item(version: str, ts: int, status: int) -> Item:
    event: dict[str, Any] = {
        "ts": ts,
        "req_id": str(ts),
        "model_id": "fraud",
        "model_version": version,
        "lane": "prod",
        "http_status": status,
        "timed_out": False,
        "probs": [],
        "features": [],
        "categories": [],
    }
    return Item(ts, "fraud", b"fraud", event)


def stream(with_company: bool) -> Stream:
    items = []
    for ts in range(START, START + 10 * MINUTE, EVERY):
        minute = (ts - START) // MINUTE
        if minute not in SILENT:
            items.append(item("1", ts, 500 if minute < 9 else 200))
        if with_company:
            items.append(item("2", ts, 200))
    rules = [rule | {"window": WINDOW, "version": "1", "cooldown": 5 * MINUTE} for rule in RULES]
    config = {
        "windows": [(MINUTE, MINUTE, 0)],
        "allowed_lateness": 0,
        "idle_grace": MINUTE,
        "max_future_skew": 0,
        "empty_windows": 3,
        "models": [],
        "rules": rules,
    }
    return Stream(TOPIC, {0: items}, config)


def said(line: Line) -> list[tuple[str, str, int, int]]:
    """In the order of windows."""
    found = [
        (alert["rule_id"], alert["state"], (alert["window"]["start"] - START) // MINUTE, alert["consecutive"])
        for alert in line.alerts
    ]
    return sorted(found, key=lambda alert: (alert[2], alert[0]))


def windows(line: Line) -> list[tuple[int, int]]:
    """Of fraud 1: minute and n."""
    return [
        ((metric["window"]["start"] - START) // MINUTE, metric["n"])
        for metric in line.metrics
        if metric["model_version"] == "1"
    ]


PUBLISHED = [(0, 6), (1, 6), (2, 0), (3, 0), (4, 0), (8, 6)]


@pytest.mark.parametrize("crumbs", [False, True])
def test_a_rule_fires_when_a_series_falls_silent_and_resolves_when_it_returns(crumbs: bool) -> None:
    """Beside live traffic, however the log is split."""
    line = Line(stream(with_company=True)).run([(0, 1)] * 200 if crumbs else [])
    assert windows(line) == PUBLISHED
    assert said(line) == EXPECTED


def test_a_rule_fires_when_the_partition_falls_silent() -> None:
    """By an idle advance of the journal, which closes what became due where it stands."""
    whole = stream(with_company=False)
    position = len([item for item in whole.partitions[0] if item.timestamp < START + 2 * MINUTE])
    line = Line(whole, decides=False)
    policy = {"policy_hash": line.plan.policy.hash, "rules": line.plan.policy.records}
    line.broker.journal += [
        JournalEntry(TOPIC, 0, 0, 0, Kind.POLICY, json.dumps(policy)),
        JournalEntry(TOPIC, 0, position, 1, Kind.IDLE, json.dumps({"advance": 5 * MINUTE})),
    ]
    line.run([(0, 5)] * 20)
    assert windows(line) == PUBLISHED
    assert said(line) == EXPECTED
    closed_there = [metric["window"]["start"] for metric in line.metrics if metric["closing_position"] == position]
    assert closed_there == [START + minute * MINUTE for minute in (1, 2, 3, 4)]
