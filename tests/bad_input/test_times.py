"""Times that are wrong, or right but unusual: on an edge, before the epoch, a year ahead. A timeline in each test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streammon.adapters.envelopes import CREATE_TIME
from streammon.core.journal import JournalEntry, Kind
from tests.adapters.avro_cases import encode, record, timestamp
from tests.bad_input.line import MINUTE, START, TOPIC, Line, Stream, event, frame
from tests.oracle import files

SECOND = 1_000_000
YEAR = 365 * 24 * 60 * MINUTE
SKEW = 5 * MINUTE
WINDOWS = list[tuple[int, int, int]]  # start, n, n_late


def windows(metrics: list[dict[str, Any]], model_id: str = "fraud") -> WINDOWS:
    """As they closed."""
    ours = [metric for metric in metrics if metric["model_id"] == model_id]
    return [(metric["window"]["start"], metric["n"], metric["n_late"]) for metric in ours]


@pytest.mark.parametrize("who", [{}, {"lane": "canary"}, {"model_id": "nobody"}], ids=["live", "silent", "new"])
def test_one_event_a_year_ahead_closes_nothing(line: Line, who: dict[str, str]) -> None:
    """Not for its own series, not for one that is silent and follows the partition, and it takes no place:

    12:00             12:01             12:02
    │ prod prod prod  │ prod prod prod  │ prod ...
    │ canary          │ year ahead!     │                 canary's minute closes when prod has gone on for
                                                          idle_grace, as it does without the event a year ahead
    """
    stream = Stream()
    stream.good(lane="canary")
    stream.good(70)
    offset = stream.add(files.encode(event(ts=stream.now + YEAR) | who))
    stream.close()
    settings: dict[str, Any] = {"idle_grace": "30s", "limits": {"series_per_partition": 2}}
    outcome = line.run(stream.envelopes, **settings)
    clean = line.run([e for e in stream.envelopes if e.offset != offset], **settings)
    assert outcome.summary["dead_letters"] == {"FUTURE": 1}
    assert outcome.summary["late"] == 0
    assert outcome.metrics == clean.metrics
    assert {metric["lane"] for metric in outcome.metrics} == {"prod", "canary"}


def test_one_event_a_year_ahead_whose_record_timestamp_is_too(line: Line) -> None:
    """On a topic with the producers' timestamps the guard sees nothing; the live worker's clock did, and journalled it:

    record timestamp   12:00:00  12:00:01 ... 12:01:10   a year later   12:01:12 ...
    ts                 12:00:00  12:00:01 ... 12:01:10   a year later   12:01:12 ...
    journal                                              VERDICT FUTURE
    """
    stream = Stream()
    stream.good(70)
    offset = stream.add(files.encode(event(ts=stream.now + YEAR)))
    stream.close()
    ahead = stream.envelopes[offset]._replace(timestamp=stream.envelopes[offset].timestamp + YEAR // 1000)
    stream.envelopes[offset] = ahead
    envelopes = [envelope._replace(timestamp_type=CREATE_TIME) for envelope in stream.envelopes]
    verdict = JournalEntry(TOPIC, 0, offset, 0, Kind.VERDICT, json.dumps({"code": "FUTURE"}))
    outcome = line.run(envelopes, journal=[verdict])
    clean = line.run([e for e in envelopes if e.offset != offset], journal=[])
    assert outcome.summary["dead_letters"] == {"FUTURE": 1}
    assert outcome.summary["late"] == 0
    assert outcome.metrics == clean.metrics != []
    (letter,) = outcome.letters
    assert letter.said["field"] == "ts"
    assert "365.0 days" not in letter.said["message"]  # it is not ahead of its record's timestamp
    assert "ahead of the worker's clock" in letter.said["message"]


@pytest.mark.parametrize("beyond, refused", [(0, False), (1, True)])
def test_the_future_begins_a_microsecond_beyond_the_skew(line: Line, beyond: int, refused: bool) -> None:
    """
    record timestamp t          t + 5 min
        │───── max_future_skew ─────│ this one still counts
                                     │ + 1 us: FUTURE
    """
    stream = Stream()
    stream.good(2)
    stream.add(files.encode(event(ts=stream.now + SKEW + beyond)))
    outcome = line.run(stream.envelopes)
    assert outcome.summary["dead_letters"] == ({"FUTURE": 1} if refused else {})
    assert outcome.summary["events"] == 3 - refused


@pytest.mark.parametrize("unit, per_second", [("micros", SECOND), ("millis", 1_000)])
def test_times_before_the_epoch_and_on_the_edges_of_windows(line: Line, unit: str, per_second: int) -> None:
    """A window holds its start and not its end, on either side of 1970, in either unit (u: the least of it):

    -2 min            -1 min              0                1 min
       │                 │                 │                 │
       a b             c d                e f               g h        a, c, e, g: one unit before the edge
    ──┤├───────────────┤├─────────────────┤├────────────────┤├──       b, d, f, h: exactly on it
    j (-2 min) and k (-u) come behind h: their windows have closed, they are late; l (1 min) is in time
    """
    fields: dict[str, Any] = {"ts": timestamp(unit), "model_id": "string", "model_version": "string", "lane": "string"}
    schema = record(fields)
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema), encoding="utf-8")
    minute = 60 * per_second
    edges = (-2 * minute, -minute, 0, minute)
    in_time = [ts for edge in edges for ts in (edge - 1, edge)]
    stream = Stream()
    for ts in (*in_time, -2 * minute, -1, minute):
        datum = {"ts": ts, "model_id": "fraud", "model_version": "1", "lane": "prod"}
        stream.add(frame(schema) + encode(schema, datum))
    outcome = line.run(stream.envelopes, input={"schemas": str(path)})
    assert (outcome.summary["events"], outcome.summary["late"]) == (9, 2)
    closed = [(-3 * MINUTE, 1, 0), (-2 * MINUTE, 2, 0), (-MINUTE, 2, 0), (0, 2, 0)]  # [1 min, 2 min) is still open
    assert windows(outcome.metrics) == closed
    assert [metric["closing_position"] for metric in outcome.metrics] == [2, 4, 6, 8]  # behind b, d, f, h


def test_an_old_batch_beside_live_traffic_may_lie_before_the_epoch(line: Line) -> None:
    """A backfill of 1969 in the partition of live traffic keeps its own time, and gets all its windows:

    live      12:00:00    12:00:01    12:00:02 ...
    backfill  -2:00       -1:59       -1:58    ...  0:00 closes [-1 min, 0)
    """
    stream = Stream(step=500_000)
    for second in range(121):
        stream.good()
        stream.good(model_id="backfill", ts=-2 * MINUTE + second * SECOND)
    outcome = line.run(stream.envelopes)
    assert (outcome.summary["late"], outcome.summary["dead_letters"]) == (0, {})
    assert windows(outcome.metrics, "backfill") == [(-2 * MINUTE, 60, 0), (-MINUTE, 60, 0)]
    assert windows(outcome.metrics) == [(START, 60, 0), (START + MINUTE, 60, 0)]


@pytest.mark.parametrize("ts, refused", [(-(2**60) + 1, False), (-(2**60), True), (-(2**63) + 1, True)])
def test_a_time_is_less_than_2_60_microseconds_from_the_epoch(line: Line, ts: int, refused: bool) -> None:
    """Sums of two such times fit 64 bits. What lies so far ahead is FUTURE before that:

    -2^63        -2^60  +1                 1970          now       2^60
      RANGE ──────┤├─── a time, of a new series: in time ─┤── FUTURE ──
    """
    stream = Stream()
    stream.good(3)
    stream.add(files.encode(event(ts=ts, model_id="stone-age")))
    stream.add(files.encode(event(ts=2**60, model_id="space-age")))
    stream.close()
    outcome = line.run(stream.envelopes)
    assert outcome.summary["dead_letters"] == {"FUTURE": 1} | ({"RANGE": 1} if refused else {})
    assert outcome.summary["late"] == 0
    assert windows(outcome.metrics) == windows(
        line.run([e for e in stream.envelopes if e.offset not in (3, 4)]).metrics
    )


def test_a_far_past_event_of_a_live_series_is_late_wherever_its_pane_would_lie(line: Line) -> None:
    """In the minute that has just closed, a year ago, before the epoch: late in the series that it belongs to alone.

    12:00              12:01              12:02        prod, lateness 0: 12:00 is sealed at 12:01:00
    │ prod ... prod    │ prod             │
    │ canary           │   └ behind it: prod 12:00:59 (late), canary 12:00:59 (in time: its own clock),
                                        prod a year ago (late), prod -1 us (late)
    """
    stream = Stream()
    stream.good(lane="canary")
    stream.good(60)
    last = START + MINUTE - SECOND
    for ts, lane in ((last, "prod"), (last, "canary"), (START - YEAR, "prod"), (-1, "prod")):
        stream.add(files.encode(event(ts=ts, lane=lane)))
    stream.close()
    outcome = line.run(stream.envelopes, topics={"late": "late-events"})
    assert outcome.summary["late"] == 3
    assert outcome.summary["dead_letters"] == {}
    late = {(metric["lane"], metric["window"]["start"]): metric["n_late"] for metric in outcome.metrics}
    assert {key: n for key, n in late.items() if n} == {("prod", START + MINUTE): 3}
    assert (line.out / "late.avro").is_file()
