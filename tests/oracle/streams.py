"""Small random streams of events, for property tests: out of order, late, silent, from the future, bad.

A stream is a list of records in the order of their offsets. Whatever the seed, its last records make sure of three
things in every partition: at least three panes are sealed, an event is late, and one event closes windows of two series
(so a silent series is moved by the partition).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from tests.oracle.clock import Series
from tests.oracle.files import FINGERPRINT, MARKER, Event, Record, encode, encode_datum

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_700_000_040 * SECOND  # on the edge of a minute

FEATURES = ("age", "income", "tenure")
CLASSES = ("cat", "dog")
EMBEDDING = 2
SHAPE = {"match": "*", "features": list(FEATURES), "classes": list(CLASSES), "embedding": EMBEDDING}
RULES: list[dict[str, Any]] = [
    {"id": "errors", "measurement": "traffic.rate_5xx", "window": f"{MINUTE}/{MINUTE}/0", "above": 0.2},
    {
        "id": "shift",
        "measurement": "feature.mean",
        "window": f"{MINUTE}/{MINUTE}/0",
        "below": 0.0,
        "feature": "[ai]*",
        "min_samples": 2,
        "consecutive": 2,
        "cooldown": 3 * MINUTE,
        "severity": "P2",
        "action": "page",
    },
    # Of what is compared with a baseline, where there is one: alerts that hold a distribution.
    {"id": "moved", "measurement": "feature.psi", "window": f"{MINUTE}/{MINUTE}/0", "above": 1.0},
    {"id": "scores", "measurement": "prediction.score_ks", "window": f"{5 * MINUTE}/{5 * MINUTE}/0", "above": 0.3},
    {"id": "classes", "measurement": "prediction.class_js", "window": f"{MINUTE}/{MINUTE}/0", "above": 0.02},
]
CONFIG: dict[str, Any] = {
    "windows": [(MINUTE, MINUTE, 0), (5 * MINUTE, 5 * MINUTE, 0)],
    "allowed_lateness": 10 * SECOND,
    "idle_grace": 2 * MINUTE,
    "max_future_skew": 5 * MINUTE,
    "models": [SHAPE],
    "rules": RULES,
}

OVERFLOW: dict[str, Any] = {  # of streams with a limit on series that they reach
    "id": "too-many-series",
    "measurement": "traffic.count",
    "window": f"{MINUTE}/{MINUTE}/0",
    "above": 1,
    "model": "__other__",
}
TIMES: dict[str, Any] = {  # what a stream may have besides: overlapping windows, roll-ups, windows without events
    "windows": [*CONFIG["windows"], (4 * MINUTE, 2 * MINUTE, -MINUTE)],
    "scopes": [{"window": (4 * MINUTE, 2 * MINUTE, -MINUTE), "model": "[fn]*", "lane": lane} for lane in ("?*", "[*]")],
    "rollups": ["lanes", "versions"],
    "empty_windows": 1,
    "expire_after": 30 * MINUTE,
    "rules": [
        *RULES,
        {"id": "silent", "measurement": "traffic.count", "window": RULES[0]["window"], "below": 1.0, "min_samples": 0},
        {
            **RULES[0],
            "id": "errors of all lanes",
            "window": f"{5 * MINUTE}/{MINUTE}/0",
            "lane": "[*]",
            "consecutive": 2,
        },
        {**RULES[2], "id": "moved in all lanes", "lane": "[*]"},
    ],
}
NO_LIMIT: st.SearchStrategy[int | None] = st.none()


class Item(NamedTuple):
    """One record: an event, or, where there is none, the bytes of a bad record (None: a tombstone)."""

    timestamp: int  # of the record, microseconds, a multiple of 1000
    model_id: str
    key: bytes | None
    event: Event | None
    raw: bytes | None = None

    @property
    def value(self) -> bytes | None:
        return self.raw if self.event is None else encode(self.event)


@dataclass(frozen=True)
class Stream:
    topic: str
    partitions: dict[int, list[Item]]
    config: dict[str, Any] = field(default_factory=lambda: dict(CONFIG))

    def records(self) -> dict[int, list[Record]]:
        """For the oracle."""
        return {
            partition: [Record(offset, item.timestamp, item.key, item.value) for offset, item in enumerate(items)]
            for partition, items in self.partitions.items()
        }

    def envelopes(self) -> list[dict[str, Any]]:
        """Rows of a recorded file (schemas/recorded_envelope.avsc), partition by partition, time in milliseconds."""
        return [
            {
                "topic": self.topic,
                "partition": partition,
                "offset": offset,
                "timestamp": item.timestamp // 1000,
                "timestamp_type": "LogAppendTime",
                "key": item.key,
                "value": item.value,
                "headers": [],
            }
            for partition, items in self.partitions.items()
            for offset, item in enumerate(items)
        ]


def streams(
    partitions: int = 2, max_events: int = 150, max_series: st.SearchStrategy[int | None] = NO_LIMIT
) -> st.SearchStrategy[Stream]:
    """Streams whose timeline (what kind of event, of which series, when) is drawn, so that it shrinks."""
    step = st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 3), st.integers(0, 40), st.integers(0, 2**16))
    steps = st.lists(step, max_size=max_events)
    return st.builds(_stream, st.lists(steps, min_size=partitions, max_size=partitions), max_series)


def random_stream(seed: int, events: int = 300, partitions: int = 2, max_series: int | None = None) -> Stream:
    """The same stream for the same arguments. A partition has five series; `max_series`, if given, is the limit."""
    rng = np.random.default_rng(seed)
    names = list(KINDS)
    weights = np.array([WEIGHTS.get(name, 1.0) for name in names])
    drawn = []
    for _ in range(partitions):
        kinds = rng.choice(len(names), size=events, p=weights / weights.sum())
        numbers = rng.integers(0, (4, 41, 2**16), size=(events, 3))
        drawn.append([(names[kind], *map(int, row)) for kind, row in zip(kinds, numbers, strict=True)])
    return _stream(drawn, max_series)


# --- how a step becomes a record --------------------------------------------------------------------------------------


class _Partition:
    """Where a partition's stream has got to: `now` is the time of its next record."""

    def __init__(self, number: int) -> None:
        self.now = START
        self.greatest = START  # ts so far
        first, second = f"fraud{number}", f"ranker{number}"
        self.series = (
            Series(first, "1", "prod"),
            Series(first, "1", "canary"),
            Series(first, "2", "prod"),
            Series(second, "1", "prod"),
        )
        self.nightly = Series(f"nightly{number}", "7", "prod")
        self.items: list[Item] = []

    def add(self, series: Series, ts: int, rng: np.random.Generator, **values: Any) -> Event:
        event = _event(series, ts, len(self.items), rng) | values
        model = series.model_id
        key = _pick(rng, (model.encode(),) * 8 + (None, b"", b"somebody", model.encode() + b" "))
        self.items.append(Item(self.now // 1000 * 1000, model, key, event))
        self.greatest = max(self.greatest, ts)
        return event

    def add_raw(self, raw: bytes | None) -> None:
        model = self.series[0].model_id
        self.items.append(Item(self.now // 1000 * 1000, model, model.encode(), None, raw))


Kind = Callable[[_Partition, Series, int, np.random.Generator], None]


def _live(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    p.now += number * SECOND // 4
    p.add(series, p.now, rng)


def _out_of_order(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    p.add(series, p.now - number * SECOND, rng)


def _late(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    p.add(series, p.now - 2 * MINUTE - number * MINUTE // 4, rng)


def _edge(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    """On the edge of a pane, where it is sealed, and one microsecond to either side of both."""
    edge = p.now // MINUTE * MINUTE + (number % 2) * 10 * SECOND
    p.add(series, edge + number // 2 % 3 - 1, rng)


def _jump(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    """Everybody is silent, then one series comes back."""
    p.now += number * MINUTE // 8
    p.add(series, p.now, rng)


def _batch(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    """A nightly job, 20 h behind the live traffic."""
    p.add(p.nightly, p.now - 20 * 60 * MINUTE + number * SECOND, rng)


def _future(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    p.add(series, p.now // 1000 * 1000 + 5 * MINUTE + 1 + number * number * SECOND, rng)


def _ahead(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    """Ahead of the record's timestamp, one time in 41 by all of the skew that is allowed."""
    p.add(series, p.now // 1000 * 1000 + (5 * MINUTE if number == 40 else number * SECOND // 2), rng)


def _dimension(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    name = ("features", "probs", "embedding")[number % 3]
    p.add(series, p.now, rng, **{name: [0.5] * 7})


def _reserved(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    """A key that stands for something else, or is too long by one byte, or not quite."""
    name = ("model_id", "model_version", "lane", "data_hash", "git_commit")[number % 5]
    if number % 5 < 3:
        text = ("*", "*", "é" * 8_192 + "x")[number // 5 % 3]
    else:
        text = "h" * (1_024 + number // 5 % 2)
    p.add(series, p.now, rng, **({"model_id": "__other__"} if number == 40 else {name: text}))


def _tombstone(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    p.add_raw(None)


def _broken(p: _Partition, series: Series, number: int, rng: np.random.Generator) -> None:
    """No framing, a datum cut off, bytes behind a datum, text that is not UTF-8, a union index out of range."""
    event = _event(series, p.now, len(p.items), rng)
    good = encode(event)
    broken = (
        b"",
        b'{"ts": 1, "model_id": "fraud"}',
        b"\xc3",
        good[:9],
        good[: len(good) - 1 - number],
        good + b"\x00",
        MARKER + FINGERPRINT + encode_datum(event | {"req_id": "@@"}).replace(b"\x04@@", b"\x04\xff\xfe", 1),
        MARKER + FINGERPRINT + encode_datum(event | {"gauges": None})[:-1] + b"\x04",
    )
    p.add_raw(broken[number % len(broken)])


KINDS: dict[str, Kind] = {
    "live": _live,
    "out_of_order": _out_of_order,
    "late": _late,
    "edge": _edge,
    "jump": _jump,
    "batch": _batch,
    "future": _future,
    "ahead": _ahead,
    "dimension": _dimension,
    "reserved": _reserved,
    "tombstone": _tombstone,
    "broken": _broken,
}
WEIGHTS = {"live": 30.0, "out_of_order": 8.0, "late": 3.0, "edge": 4.0, "batch": 2.0, "jump": 2.0, "ahead": 0.3}


def _stream(drawn: list[list[tuple[str, int, int, int]]], max_series: int | None) -> Stream:
    partitions = {}
    for number, steps in enumerate(drawn):
        partition = _Partition(number)
        for kind, series, amount, seed in steps:
            KINDS[kind](partition, partition.series[series], amount, np.random.default_rng(seed))
        _ending(partition)
        partitions[number] = partition.items
    if max_series is None:
        return Stream("inference-events", partitions)
    return Stream("inference-events", partitions, CONFIG | {"max_series": max_series, "rules": [*RULES, OVERFLOW]})


def _ending(p: _Partition) -> None:
    """Three panes sealed, a late event, and one event that closes windows of two series.

    In order of arrival, in minutes: A 0, B 0, A 1, A 2 (seals A's pane 0), A 0 (late), A 9. The last one seals A's
    panes 1 and 2, and moves silent B, by 9 - idle_grace = 7, beyond its pane 0.
    """
    rng = np.random.default_rng(len(p.items))
    a, b = p.series[:2]
    t = (max(p.now, p.greatest) // MINUTE + 1) * MINUTE
    for series, minutes in ((a, 0), (b, 0), (a, 1), (a, 2), (a, 0), (a, 9)):
        p.now = max(p.now, t + minutes * MINUTE)
        p.add(series, t + minutes * MINUTE, rng)


# --- values -----------------------------------------------------------------------------------------------------------


def _event(series: Series, ts: int, number: int, rng: np.random.Generator) -> Event:
    """All fields of the event schema; features, probs and embedding are exact in float32."""
    dog = float(np.float32(rng.random()))
    return {
        "ts": ts,
        "req_id": _pick(rng, (f"r{number}",) * 4 + (f"request {number // 8 * 8:032x}", f"r{number // 3}", "again", "")),
        **series._asdict(),
        "data_hash": _pick(rng, ("d2" if ts // (90 * SECOND) % 4 == 0 else "d1", None)),  # changes inside a window
        "git_commit": _pick(rng, (None, None, None, "c1")),
        "user_id_hash": None,
        "feature_hash": None,
        "latency_ms": _pick(rng, (float(rng.lognormal(3, 1)),) * 9 + (0.0, 0.0004, -1.0, np.inf, np.nan, None)),
        "http_status": _pick(rng, (200,) * 6 + (204, 404, 500, 503, 99, 600, 0, None)),
        "timed_out": bool(rng.random() < 0.1),
        "score": _pick(rng, (float(rng.random()),) * 8 + (0.0, 1.0, 0.29, -0.1, 1.5, np.inf, np.nan, None)),
        "prediction": _pick(rng, ("cat", "dog", "cat", "dog", "bird", None)),
        "prediction_value": None,
        "weight": None,
        "probs": _pick(rng, ([1 - dog, dog],) * 6 + ([0.0, 1.0], [float("nan"), 1.0], [])),
        "features": _pick(rng, (_features(rng),) * 9 + ([],)),
        "categories": [],
        "embedding": _pick(rng, ([0.5, -0.25], [], None)),
        "gauges": _pick(rng, (None, {"gpu_utilisation": 0.5})),
    }


def _features(rng: np.random.Generator) -> list[float]:
    ordinary = np.array([0.3, 0.0, 50.0]) + rng.standard_normal(3) * np.array([1.0, 0.2, 10.0])
    special = _pick(rng, (None,) * 12 + (np.nan, np.nan, np.inf, -np.inf, 1000.0))
    if special is not None:
        ordinary[rng.integers(3)] = special
    return [float(np.float32(value)) for value in ordinary]


def _pick(rng: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    return choices[int(rng.integers(len(choices)))]
