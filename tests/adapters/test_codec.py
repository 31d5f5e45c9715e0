"""Outputs to bytes and back: the published bytes are golden, and every output survives the way."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.adapters.codec import from_bytes, from_record, schema_of, to_bytes, to_datum, to_record
from streammon.core.errors import UsageError
from streammon.core.journal import JournalEntry, Kind
from streammon.core.outputs import (
    AlertEvent,
    AlertState,
    BaselineState,
    Distribution,
    Measurement,
    MetricEvent,
    Series,
    WindowSpec,
)
from tests.golden import make

METRIC = MetricEvent(
    event_id="0a1b2c3d4e5f60718293a4b5c6d7e8f9",
    topic="inference-events",
    partition=3,
    series=Series("fraud", "2024-05", "prod"),
    spec=WindowSpec(60_000_000, 30_000_000, 15_000_000),
    start=1714564815000000,
    revision=0,
    n=1234,
    n_late=5,
    closing_position=9876543210,
    plan_hash="aaaa",
    policy_hash="bbbb",
    baseline_id="fraud-2024-05-a",
    baseline_state=BaselineState.OK,
    data_hash=None,
    git_commit="0123abc",
    mixed=True,
    measurements=(
        Measurement("latency.p95", 41.25, n=1230),
        Measurement(
            "feature.psi", 0.113403, "größe", 0.09, 1e-300, 1200, 800.5, 50000, 0.2, 0.01, "psi-10-groups", "low_n"
        ),
        Measurement("prediction.score_mean", None, n=0, flag="empty"),
    ),
)
ALERT = AlertEvent(
    alert_id="ffeeddccbbaa99887766554433221100",
    number=2,
    state=AlertState.ONGOING,
    rule_id="psi-high",
    severity="critical",
    measurement=Measurement("feature.psi", 0.31, "age", n=900, threshold=0.2),
    consecutive=4,
    opened_at=1714564695000000,
    topic="inference-events",
    partition=0,
    series=Series("fraud", "*", "*"),
    spec=WindowSpec(60_000_000, 60_000_000),
    start=1714564800000000,
    closing_position=77,
    plan_hash="aaaa",
    policy_hash="bbbb",
    baseline_id=None,
    data_hash="d1",
    git_commit=None,
    evidence=(Measurement("feature.psi", 0.25, "income", n=900),),
    action="page",
    summary="psi of age is .31 (limit .2) for 4 windows",
    distribution=Distribution("feature", (18.5, 40.0), (), (100, 300, 500), (1000, 1001, 999)),
)
ENTRY = JournalEntry("inference-events", 1, 0, 0, Kind.POLICY, '{"policy_hash":"bbbb","rules":[]}')
OUTPUTS = [METRIC, ALERT, ENTRY]


def tuples(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=4).map(tuple)


text = st.text(st.characters(codec="utf-8"), max_size=12)
long = st.integers(-(2**63), 2**63 - 1)
moment = st.integers(-(2**60), 2**60)
number = st.floats(allow_nan=False, allow_infinity=False)
optional_text, optional_number, optional_long = st.none() | text, st.none() | number, st.none() | long
measurement = st.builds(
    Measurement,
    name=text,
    value=optional_number,
    feature=optional_text,
    effect=optional_number,
    p=optional_number,
    n=optional_long,
    n_eff=optional_number,
    reference_n=optional_long,
    threshold=optional_number,
    mde=optional_number,
    method=optional_text,
    flag=optional_text,
)
measurements = tuples(measurement)

shared = {
    "topic": text,
    "partition": st.integers(0, 2**31 - 1),
    "series": st.builds(Series, text, text, text),
    "spec": st.builds(WindowSpec, moment, moment, moment),
    "start": moment,
    "closing_position": long,
    "plan_hash": text,
    "policy_hash": text,
    "baseline_id": optional_text,
    "data_hash": optional_text,
    "git_commit": optional_text,
}


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: type(output).__name__)
def test_bytes_are_golden(output: Any) -> None:
    """What we publish today is, byte for byte, what the oracle made from a record written by hand."""
    golden = make.golden(make.current(schema_of(type(output)).name)).read_bytes()
    assert to_bytes(output) == golden
    assert from_bytes(type(output), golden) == output


@pytest.mark.parametrize("case", [case for case in make.cases() if make.is_current(case)])
def test_golden_bytes_follow_from_their_json(case: str) -> None:
    """Nobody edited the bytes; a changed schema shows here first."""
    assert make.golden(case).read_bytes() == make.made(case)


@given(
    st.builds(
        MetricEvent,
        **shared,
        event_id=text,
        revision=st.integers(0, 100),
        n=long,
        n_late=long,
        baseline_state=st.sampled_from(BaselineState),
        mixed=st.booleans(),
        measurements=measurements,
    )
)
def test_metric_events_survive(event: MetricEvent) -> None:
    assert from_bytes(MetricEvent, to_bytes(event)) == event
    assert to_datum(event) == schema_of(MetricEvent).datum(to_record(event))  # what fastavro makes of it


@given(
    st.builds(
        AlertEvent,
        **shared,
        alert_id=text,
        number=st.integers(0, 100),
        state=st.sampled_from(AlertState),
        rule_id=text,
        severity=text,
        measurement=measurement,
        consecutive=st.integers(0, 100),
        opened_at=moment,
        evidence=measurements,
        action=text,
        summary=text,
        distribution=st.none()
        | st.builds(Distribution, text, tuples(number), tuples(text), tuples(long), tuples(long)),
    )
)
def test_alert_events_survive(event: AlertEvent) -> None:
    assert from_bytes(AlertEvent, to_bytes(event)) == event


@given(st.builds(JournalEntry, text, st.integers(0, 100), long, long, st.sampled_from(Kind), text))
def test_journal_entries_survive(entry: JournalEntry) -> None:
    assert from_bytes(JournalEntry, to_bytes(entry)) == entry


def test_an_alert_of_the_first_version_has_no_distribution() -> None:
    """Recorded alerts and topics outlive an upgrade: all else is as it was."""
    assert from_bytes(AlertEvent, make.golden("alert_event.1").read_bytes()) == replace(ALERT, distribution=None)


def test_a_record_is_named_by_the_schema_and_comes_back() -> None:
    """The record is what `--json` shows: a window with both ends, a state as text."""
    record = to_record(METRIC)
    assert list(record) == [field["name"] for field in schema_of(MetricEvent).definition["fields"]]
    assert record["window"]["end"] == METRIC.end
    assert record["baseline_state"] == "ok"
    assert from_record(MetricEvent, record) == METRIC


def test_numbers_of_numpy_are_numbers() -> None:
    """A measurement straight from a column has the bytes of the plain number."""
    plain = replace(METRIC, measurements=(Measurement("a.b", 0.5, n=3),))
    numpy = replace(METRIC, measurements=(Measurement("a.b", np.float64(0.5), n=np.int64(3)),))  # type: ignore[arg-type]
    assert to_bytes(numpy) == to_bytes(plain)


@pytest.mark.parametrize("field", ["value", "effect", "p", "n_eff", "threshold", "mde"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_never_leave(field: str, value: float) -> None:
    """They are None with a flag by then; anything else is a programming error."""
    broken = Measurement("feature.psi", 1.0, "age")._replace(**{field: value})  # type: ignore[arg-type]  # any of the floats
    with pytest.raises(AssertionError, match=rf"{field} is not finite .*feature\.psi"):
        to_bytes(replace(METRIC, measurements=(Measurement("latency.p95", 2.0), broken)))
    with pytest.raises(AssertionError, match="not finite"):
        to_bytes(replace(ALERT, measurement=broken))


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "0 bytes that do not start with c301"),
        (b"\x00\x00\x00\x00\x07abcdef", "do not start with c301"),
        (b"\xc3\x01abc", "do not start with c301 and a schema fingerprint"),
        (b"\xc3\x01ABCDEFGH", "written with schema 4142434445464748, which .* does not know .*upgrade"),
        (to_bytes(ENTRY), "does not know"),
        (to_bytes(METRIC) + b"\0", "1 bytes follow the datum"),
    ],
)
def test_foreign_bytes_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(UsageError, match=rf"metric_event: .*{message}"):
        from_bytes(MetricEvent, data)


def test_truncated_bytes_are_refused() -> None:
    """Wherever they end."""
    data = to_bytes(METRIC)
    for length in range(10, len(data)):
        with pytest.raises(UsageError, match="metric_event: the datum is damaged"):
            from_bytes(MetricEvent, data[:length])


@given(st.data())
def test_damaged_bytes_are_refused_or_read(data: st.DataObject) -> None:
    """A flipped byte may give another event, never an exception of the Avro library."""
    value = bytearray(to_bytes(METRIC))
    value[data.draw(st.integers(0, len(value) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(UsageError):
        from_bytes(MetricEvent, bytes(value))


def test_a_state_of_a_newer_version_is_refused() -> None:
    """The schema is the same when an enumeration grows, so the value is judged."""
    record = to_record(ALERT) | {"state": "SNOOZED"}
    with pytest.raises(UsageError, match=r"alert_event: 'SNOOZED'.* upgrade"):
        from_record(AlertEvent, record)
