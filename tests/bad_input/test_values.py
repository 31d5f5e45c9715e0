"""Good Avro with values that cannot be, or should not be. One test for each row of the matrix, named after it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.adapters.avro_cases import encode, record, timestamp
from tests.bad_input.line import MINUTE, START, Line, Outcome, Stream, event, frame
from tests.oracle import files

DAY = 24 * 60 * MINUTE
NAMES = [f"f{number}" for number in range(4)]


def minute_of(*changes: dict[str, Any], line: Line, key: bytes | None = b"fraud", **settings: Any) -> Outcome:
    """What a window says of ten good events and some with changes; nothing is refused."""
    stream = Stream()
    stream.good(10)
    for change in changes:
        stream.add(files.encode(event(ts=stream.now, req_id=f"c{stream.now}") | change), key)
    stream.close()
    outcome = line.run(stream.envelopes, **settings)
    assert (outcome.summary["dead_letters"], outcome.letters) == ({}, [])
    assert outcome.summary["events"] == len(stream.envelopes)
    return outcome


def test_nan_inf_1e300_in_features(line: Line) -> None:
    """Counted per feature; the finite values alone make the moments, and no other number becomes non-finite."""
    # The canonical schema has floats: 1e300 needs doubles.
    fields: dict[str, Any] = {"ts": timestamp("micros"), "model_id": "string", "model_version": "string"}
    schema = record(fields | {"lane": "string", "features": {"type": "array", "items": "double"}})
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema))
    stream, bad = Stream(), (math.nan, math.inf, -math.inf, 1e300)
    for number in range(8):
        values = [1.0, 2.0, 3.0, float(number)]
        if number < len(bad):
            values[0] = bad[number]
        datum = {"ts": stream.now, "model_id": "fraud", "model_version": "1", "lane": "prod", "features": values}
        stream.add(frame(schema) + encode(schema, datum))
    stream.close()
    outcome = line.run(stream.envelopes, input={"schemas": [str(path), str(line.canonical)]})
    total = len([e for e in stream.envelopes if e.timestamp * 1000 < START + MINUTE])
    assert outcome.value("traffic.count") == total
    assert outcome.value("feature.missing_rate", "f0") == 1 / total
    assert outcome.value("feature.non_finite_rate", "f0") == 3 / total
    assert (outcome.value("feature.mean", "f0"), outcome.value("feature.sd", "f0")) == (1.0, 0.0)
    for name in NAMES[1:]:
        assert outcome.value("feature.non_finite_rate", name) == 0
    for metric in outcome.metrics:
        for measurement in metric["measurements"]:
            assert measurement["value"] is None or math.isfinite(measurement["value"]), measurement


def test_negative_latency_score_outside_0_to_1_status_999(line: Line) -> None:
    """Each counted as what it is; the event counts as traffic; quantiles and rates are those of the good values."""
    changes: list[dict[str, Any]] = [
        {"latency_ms": -1.0},
        {"latency_ms": math.inf},
        {"score": 1.5},
        {"score": -0.1},
        {"http_status": 999},
    ]
    outcome = minute_of(*changes, {"http_status": 99}, {"http_status": 500}, line=line)
    total = 60
    assert outcome.value("traffic.count") == total
    assert outcome.value("latency.invalid") == 2
    assert outcome.value("prediction.score_invalid") == 2
    assert outcome.value("traffic.invalid_status") == 2
    assert outcome.value("traffic.rate_5xx") == 1 / (total - 2)
    assert (outcome.value("latency.max"), outcome.value("latency.mean")) == (5.0, 5.0)


@pytest.mark.parametrize(
    ("field", "values", "said"),
    [
        ("features", [1.0] * 5, "features has length 5; the baseline or the settings say 4"),
        ("features", [1.0], "features has length 1"),
        ("probs", [0.2] * 3, "probs has length 3; the baseline or the settings say 2"),
        ("embedding", [0.0] * 64, "embedding has length 64; the baseline or the settings say 3"),
    ],
)
def test_wrong_feature_or_embedding_dimension(line: Line, field: str, values: list[float], said: str) -> None:
    """DIMENSION: state is never resized, whether the record is the first of its series or not."""
    stream = Stream()
    stream.good(lane="canary")  # at offset 0, where a replay that can be compared begins
    first = stream.add(files.encode(event(ts=stream.now) | {field: values}))
    stream.good(5)
    later = stream.add(files.encode(event(ts=stream.now) | {field: values}))
    stream.close()
    outcome = line.run(stream.envelopes)
    clean = line.run([e for e in stream.envelopes if e.offset not in (first, later)])
    assert outcome.summary["dead_letters"] == {"DIMENSION": 2}
    assert outcome.metrics == clean.metrics != []
    for letter in outcome.letters:
        assert (letter.said["code"], letter.said["field"]) == ("DIMENSION", field)
        assert said in letter.said["message"]


def test_an_empty_list_was_not_recorded(line: Line) -> None:
    """No dimension is wrong that nobody sent."""
    minute_of({"features": [], "probs": [], "embedding": None}, line=line)


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        (10 * MINUTE, "600 s beyond the timestamp of the record: is the clock of the producer ahead?"),
        (365 * DAY, "365.0 days beyond"),
    ],
)
def test_ts_in_the_future_a_producer_whose_own_clock_is_a_year_ahead(line: Line, ahead: int, said: str) -> None:
    """FUTURE; the clock is untouched: the good events that follow are in time, and windows are what they would be."""
    stream = Stream()
    stream.good(5)
    offset = stream.add(files.encode(event(ts=stream.now + ahead)))
    stream.close()
    outcome = line.run(stream.envelopes)
    clean = line.run([e for e in stream.envelopes if e.offset != offset])
    assert (outcome.summary["dead_letters"], outcome.summary["late"]) == ({"FUTURE": 1}, 0)
    assert outcome.metrics == clean.metrics != []
    (letter,) = outcome.letters
    assert letter.said["field"] == "ts"
    assert said in letter.said["message"]
    assert "x1000" not in letter.said["message"]


@pytest.mark.parametrize(
    ("unit", "sent", "said"),
    [
        ("millis", START, "off by x1000, microseconds sent as milliseconds?"),
        ("micros", START * 1000, "off by x1000, nanoseconds sent as microseconds?"),
    ],
)
def test_microseconds_sent_as_milliseconds(line: Line, unit: str, sent: int, said: str) -> None:
    """FUTURE, with the hint that fits what the schema declares. The field is the writer's."""
    fields: dict[str, Any] = {"created": timestamp(unit), "model_id": "string", "model_version": "string"}
    schema = record(fields | {"lane": "string"})
    path = line.folder / "own.avsc"
    path.write_text(json.dumps(schema))
    stream = Stream()
    right = START // 1000 if unit == "millis" else START
    for created in (right, sent, right):
        row = {"created": created, "model_id": "fraud", "model_version": "1", "lane": "prod"}
        stream.add(frame(schema) + encode(schema, row))
    outcome = line.run(stream.envelopes, input={"schemas": str(path), "mapping": {"ts": "created"}})
    assert (outcome.summary["events"], outcome.summary["dead_letters"]) == (2, {"FUTURE": 1})
    (letter,) = outcome.letters
    assert letter.said["field"] == "created"
    assert said in letter.said["message"]


def test_ts_far_in_the_past_milliseconds_sent_as_microseconds(line: Line) -> None:
    """Late: counted in no window, no dead letter, and the clock stays."""
    stream = Stream()
    stream.good(70)  # the first minute is sealed
    offsets = [
        stream.add(files.encode(event(ts=ts))) for ts in (stream.now // 1000, stream.now - 365 * DAY, 0, -5 * DAY)
    ]
    stream.close()
    outcome = line.run(stream.envelopes)
    clean = line.run([e for e in stream.envelopes if e.offset not in offsets])
    assert (outcome.summary["late"], outcome.summary["dead_letters"]) == (4, {})
    assert outcome.summary["events"] == len(stream.envelopes) - 4
    assert sum(metric["n_late"] for metric in outcome.metrics) == 4
    without = [{**metric, "n_late": 0} for metric in outcome.metrics]
    assert without == [{**metric, "n_late": 0} for metric in clean.metrics]


def test_ts_that_is_no_time(line: Line) -> None:
    """RANGE, not an overflow: a time so far back that arithmetic with it would wrap."""
    stream = Stream()
    stream.good(3)
    stream.add(files.encode(event(ts=-(2**62))))
    stream.close()
    outcome = line.run(stream.envelopes)
    assert outcome.summary["dead_letters"] == {"RANGE": 1}
    assert outcome.letters[0].said["field"] == "ts"


def test_null_value(line: Line) -> None:
    """A tombstone is counted, and is no dead letter."""
    stream = Stream()
    stream.good(5)
    stream.add(None)
    stream.close()
    outcome = line.run(stream.envelopes)
    assert (outcome.summary["tombstones"], outcome.summary["dead_letters"], outcome.letters) == (1, {}, [])
    assert outcome.value("traffic.count") == 59


def test_duplicate_req_id(line: Line) -> None:
    """The share of repeats is published; every event counts as traffic."""
    again = [{"req_id": "r3"}, {"req_id": "r3"}, {"req_id": "r4"}]
    outcome = minute_of(*again, line=line)
    assert outcome.value("traffic.count") == 60
    assert outcome.value("traffic.duplicate_rate") == pytest.approx(3 / 60)


def test_null_key(line: Line) -> None:
    """Counted; the event belongs to the model that its field names."""
    outcome = minute_of({}, {}, line=line, key=None)
    assert outcome.value("traffic.count", model_id="fraud") == 60
    assert outcome.value("traffic.key_null_rate") == 2 / 60
    assert outcome.value("traffic.key_mismatch_rate") == 0


def test_key_is_not_the_model_id(line: Line) -> None:
    """Counted, the field wins; a rule on it fires."""
    rule = {"id": "affinity", "measurement": "traffic.key_mismatch_rate", "above": 0}
    outcome = minute_of({}, {}, {}, line=line, key=b"fraud ", rules=[rule])
    assert {metric["model_id"] for metric in outcome.metrics} == {"fraud"}
    assert outcome.value("traffic.count") == 60
    assert outcome.value("traffic.key_mismatch_rate") == 3 / 60
    assert [(alert["rule_id"], alert["state"]) for alert in outcome.alerts] == [
        ("affinity", "FIRING"),
        ("affinity", "RESOLVED"),
    ]
