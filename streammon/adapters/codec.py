"""What streammon publishes as Avro: metric events, alert events and journal entries, to bytes and back.

Between the two lie records: mappings by the schema's field names, which serve the JSON output of commands too. They
have the fields of the dataclass under the same names, but a series is three fields, and spec and start become `window`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from math import isfinite
from typing import Any, TypeVar

from streammon.adapters.measurement_bytes import measurements_array
from streammon.adapters.schema_files import Schema, load_schema
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

Output = MetricEvent | AlertEvent | JournalEntry
OutputT = TypeVar("OutputT", MetricEvent, AlertEvent, JournalEntry)
Record = dict[str, Any]

SCHEMAS: dict[type[Output], str] = {
    MetricEvent: "metric_event",
    AlertEvent: "alert_event",
    JournalEntry: "journal_entry",
}


def schema_of(kind: type[Output]) -> Schema:
    return load_schema(SCHEMAS[kind])


def to_bytes(output: Output) -> bytes:
    """The value of the output's record: Avro single-object encoding."""
    return schema_of(type(output)).head + to_datum(output)


def to_datum(output: Output) -> bytes:
    """As a container file holds it (containers.ContainerWriter.write_data)."""
    schema = schema_of(type(output))
    if not isinstance(output, MetricEvent):
        return schema.datum(to_record(output))
    _check_finite(output.measurements)
    before = schema.datum(to_record(replace(output, measurements=())))  # they come last; none: one byte
    return before[:-1] + measurements_array(output.measurements)


def from_bytes(kind: type[OutputT], data: bytes) -> OutputT:
    """The output in a record's value, whichever known version of the schema wrote it."""
    return from_record(kind, schema_of(kind).from_bytes(data))


def to_record(output: Output) -> Record:
    """The output by field name of its schema."""
    record: Record = {}
    for name in _NAMES[type(output)]:
        value = getattr(output, name)
        if isinstance(value, Series):
            record |= value._asdict()
        elif isinstance(value, WindowSpec):
            assert not isinstance(output, JournalEntry)
            record["window"] = value._asdict() | {"start": output.start, "end": output.end}
        elif name != "start":
            record[name] = _WRITE[name](value) if name in _WRITE else value
    return record


def from_record(kind: type[OutputT], record: Mapping[str, Any]) -> OutputT:
    """The output that has this record; fields that this version does not know are left out."""
    arguments: Record = {}
    try:
        for name in _NAMES[kind]:
            if name == "series":
                arguments[name] = Series(*[record[field] for field in Series._fields])
            elif name == "spec":
                arguments[name] = WindowSpec(*[record["window"][field] for field in WindowSpec._fields])
            elif name == "start":
                arguments[name] = record["window"][name]
            else:
                arguments[name] = _READ[name](record[name]) if name in _READ else record[name]
    except ValueError as error:  # an enum grew
        raise UsageError(f"{SCHEMAS[kind]}: {error}; a newer version of streammon wrote it: upgrade") from error
    return kind(**arguments)


_NAMES = {kind: tuple(field.name for field in fields(kind)) for kind in SCHEMAS}
_FLOATS = tuple(Measurement._fields.index(name) for name in ("value", "effect", "p", "n_eff", "threshold", "mde"))


def _write_measurements(measurements: tuple[Measurement, ...]) -> list[Record]:
    _check_finite(measurements)
    return [dict(zip(Measurement._fields, measurement, strict=True)) for measurement in measurements]


def _check_finite(measurements: tuple[Measurement, ...]) -> None:
    """Numbers that are not finite have become None and a flag before they come here; another one is our own mistake."""
    columns = list(zip(*measurements, strict=True))
    for index in _FLOATS if columns else ():
        assert all(map(isfinite, filter(None, columns[index]))), (
            f"{Measurement._fields[index]} is not finite in a measurement among {sorted(set(columns[0]))}"
        )


def _write_measurement(measurement: Measurement) -> Record:
    return _write_measurements((measurement,))[0]


def _read_measurement(record: Mapping[str, Any]) -> Measurement:
    return Measurement(*[record[name] for name in Measurement._fields])


def _read_measurements(records: list[Mapping[str, Any]]) -> tuple[Measurement, ...]:
    return tuple(map(_read_measurement, records))


def _write_distribution(distribution: Distribution | None) -> Record | None:
    if distribution is None:
        return None
    name, *arrays = distribution
    return dict(zip(Distribution._fields, (name, *map(list, arrays)), strict=True))


def _read_distribution(record: Mapping[str, Any] | None) -> Distribution | None:
    if record is None:
        return None
    name, *arrays = (record[field] for field in Distribution._fields)
    return Distribution(name, *map(tuple, arrays))


# What is not stored as it is, by field name.
_WRITE: dict[str, Callable[[Any], Any]] = {
    "measurement": _write_measurement,
    "measurements": _write_measurements,
    "evidence": _write_measurements,
    "distribution": _write_distribution,
    "baseline_state": str,
    "state": str,
    "kind": str,
}
_READ: dict[str, Callable[[Any], Any]] = {
    "measurement": _read_measurement,
    "measurements": _read_measurements,
    "evidence": _read_measurements,
    "distribution": _read_distribution,
    "baseline_state": BaselineState,
    "state": AlertState,
    "kind": Kind,
}
