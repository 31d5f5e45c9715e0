"""A comparison of two runs, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from streammon.backtest.compare import Comparison, Event, Matched
from streammon.backtest.differences import ELSEWHERE, Value
from streammon.commands.common import time_text
from streammon.commands.tables import table
from streammon.core.outputs import AlertEvent
from streammon.settings.durations import window_text
from streammon.text import counted, shown

FIELDS = 6  # of an event that differs, on a terminal


def lines(found: Comparison) -> Iterator[str]:
    sides = {"metric events": found.metrics, "alert events": found.alerts}
    rows: list[tuple[str, ...]] = [("", "equal", "different", "only here", "only there", "published twice", "left out")]
    for name, one in sides.items():
        if one is not None:
            numbers = (one.equal, one.different, one.only_here, one.only_there)
            rest = (one.twice_here + one.twice_there, one.left_out_here + one.left_out_there)
            rows.append((name, *(f"{number:,}" for number in (*numbers, *rest))))
    yield f"here: {shown(found.here)}; there: {shown(found.there)}"
    yield from table(rows)
    if found.alerts is None:
        yield f"alert events are not compared: {found.without_alerts}"
    for name, one in sides.items():
        if one is not None:
            yield from _remarks(name, one, found.tolerance)
            yield from _differences(name, one)


def _remarks(name: str, one: Matched, tolerance: float) -> Iterator[str]:
    if one.close:
        yield f"{one.close:,} equal {name} are so within the tolerance of {tolerance or ELSEWHERE:g}, not bit for bit"
    if one.left_out_here or one.left_out_there:
        yield (
            f"left out, because the replay does not cover them: {counted(one.left_out_here, 'event')} here, "
            f"{one.left_out_there:,} there ({name})"
        )
    if one.at_end:
        yield (
            f"left out: {one.at_end:,} {name} of one side that closed at the very end of what the other replayed, by a "
            "silence that was decided later"
        )
    for (here, there), count in one.policies.items():
        yield f"{count:,} {name} were judged by other policies: {here[:12]} here, {there[:12]} there"
    if 0 < one.farthest <= ELSEWHERE:
        yield f"all that differs in {name} are floats within {ELSEWHERE:g}: another build or processor? --tolerance"


def _differences(name: str, one: Matched) -> Iterator[str]:
    if one.pairs:
        yield f"different {name}, the first {len(one.pairs):,} of {one.different:,}:"
    for event, fields in one.pairs:
        yield f"  {_event(event)}"
        for field in fields[:FIELDS]:
            distance = "" if field.distance is None else f" (distance {field.distance:.1e})"
            what = f"{shown(field.what)} " if field.what else ""
            yield f"    {what}{field.field}: {_value(field.here)} here, {_value(field.there)} there{distance}"
        if len(fields) > FIELDS:
            yield f"    and {len(fields) - FIELDS:,} more fields"
    for side, events, count in (("here", one.here, one.only_here), ("there", one.there, one.only_there)):
        if events:
            yield f"{name} only {side}, the first {len(events):,} of {count:,}:"
        for event in events:
            yield f"  {_event(event)}"


def values(found: Comparison) -> dict[str, Any]:
    return {
        "here": found.here,
        "there": found.there,
        "agrees": found.agrees,
        "tolerance": found.tolerance,
        "metrics": _matched_values(found.metrics),
        "without_alerts": found.without_alerts,
        "alerts": None if found.alerts is None else _matched_values(found.alerts),
    }


def _matched_values(one: Matched) -> dict[str, Any]:
    names = ("equal", "close", "different", "only_here", "only_there", "twice_here", "twice_there", "at_end")
    return {
        **{name: getattr(one, name) for name in (*names, "left_out_here", "left_out_there")},
        "policies": [{"here": here, "there": there, "count": count} for (here, there), count in one.policies.items()],
        "differences": [
            {**_event_values(event), "fields": [field._asdict() for field in fields]} for event, fields in one.pairs
        ],
        "here": [_event_values(event) for event in one.here],
        "there": [_event_values(event) for event in one.there],
    }


def _event(event: Event) -> str:
    series = "/".join(map(shown, event.series))
    which = f"  {shown(event.rule_id)} {event.state} {event.number}" if isinstance(event, AlertEvent) else ""
    spec = window_text(event.spec)
    return f"{time_text(event.start)}  {spec}  {series}  partition {event.partition}{which}  [{_identity(event)}]"


def _event_values(event: Event) -> dict[str, Any]:
    own = {"number": event.number, "rule": event.rule_id} if isinstance(event, AlertEvent) else {}
    return {
        "id": _identity(event),
        **own,
        "partition": event.partition,
        "closing_position": event.closing_position,
        "series": event.series._asdict(),
        "window": {**event.spec._asdict(), "start": event.start, "end": event.end},
    }


def _identity(event: Event) -> str:
    return event.alert_id if isinstance(event, AlertEvent) else event.event_id


def _value(value: Value) -> str:
    return shown(value) if isinstance(value, str) else "nothing" if value is None else repr(value)
