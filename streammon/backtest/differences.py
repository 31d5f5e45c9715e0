"""Two events of one identity, field by field.

Ids, counts and texts are equal or not. Floats are equal bit for bit (but for the sign of 0), or, with a tolerance,
within that share of the greater one (or 1e-15, which is rounding beside 0). Where two measurements were computed on
different classes of device (`method` names it), the tolerance is 1e-9 at least. The policy's hash is the business of
whoever compares; `summary` is a sentence made of the other fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import NamedTuple

from streammon.core.outputs import AlertEvent, Distribution, Measurement, MetricEvent

ELSEWHERE = 1e-9  # relative: another build, device or kind of processor
ROUNDING = 1e-15  # absolute, and only beside a tolerance
DEVICES = ("cpu", "cuda", "mps", "xpu")
APART = ("policy_hash", "summary")  # fields that are not compared here

Value = str | int | float | bool | None


class Field(NamedTuple):
    """A field that differs."""

    what: str | None  # measurement, with its feature; None: a field of the event itself
    field: str
    here: Value
    there: Value
    distance: float | None  # of two floats, relative to the greater one


def differences(here: MetricEvent | AlertEvent, there: MetricEvent | AlertEvent, tolerance: float) -> list[Field]:
    """Empty where the two agree, but for floats within the tolerance. In the order of the event's fields."""
    return list(_event(here, there, tolerance))


def _event(here: MetricEvent | AlertEvent, there: MetricEvent | AlertEvent, tolerance: float) -> Iterator[Field]:
    for name in (field.name for field in fields(here) if field.name not in APART):
        one, two = getattr(here, name), getattr(there, name)
        if isinstance(one, Measurement) and isinstance(two, Measurement):
            yield from _measurements([one], [two], tolerance)
        elif name in ("measurements", "evidence"):
            yield from _measurements(one, two, tolerance)
        elif isinstance(one, Distribution) and isinstance(two, Distribution):
            yield from _distribution(one, two, tolerance)
        elif one != two:
            yield Field(None, name, _plain(one), _plain(two), None)


def _measurements(here: Sequence[Measurement], there: Sequence[Measurement], tolerance: float) -> Iterator[Field]:
    """By name and feature; what is in one alone is a difference, and so is another order."""
    ours, theirs = ({(m.name, m.feature): m for m in side} for side in (here, there))
    for key in dict.fromkeys([*ours, *theirs]):
        what = key[0] + (f" ({key[1]})" if key[1] is not None else "")
        if key not in theirs or key not in ours:
            yield Field(what, "measurement", key in ours or None, key in theirs or None, None)
            continue
        one, two = ours[key], theirs[key]
        methods = _method(one.method), _method(two.method)
        allowed = tolerance if methods[0][1] == methods[1][1] else max(tolerance, ELSEWHERE)
        for name, x, y in zip(Measurement._fields, one, two, strict=True):
            same = methods[0][0] == methods[1][0] if name == "method" else _same(x, y, allowed)
            if not same:
                yield Field(what, name, x, y, _distance(x, y))
    if list(ours) != list(theirs) and ours.keys() == theirs.keys():
        yield Field(None, "order of measurements", ", ".join(_names(here)), ", ".join(_names(there)), None)


def _distribution(here: Distribution, there: Distribution, tolerance: float) -> Iterator[Field]:
    for name, x, y in zip(Distribution._fields, here, there, strict=True):
        if isinstance(x, tuple) and isinstance(y, tuple) and len(x) == len(y):
            cells: Iterable[tuple[Value, Value]] = zip(x, y, strict=True)
            for at, (one, two) in enumerate(cells):
                if not _same(one, two, tolerance):
                    yield Field(f"distribution of {here.name}", f"{name}[{at}]", one, two, _distance(one, two))
        elif x != y:
            yield Field(f"distribution of {here.name}", name, str(x), str(y), None)


def _names(measurements: Iterable[Measurement]) -> list[str]:
    return [m.name + (f" ({m.feature})" if m.feature is not None else "") for m in measurements]


def _method(method: str | None) -> tuple[str | None, str | None]:
    """The definition, and the class of device.

    >>> _method("psi.10groups.cpu"), _method("exact")
    (('psi.10groups', 'cpu'), ('exact', None))
    """
    head, _, last = (method or "").rpartition(".")
    return (head, last) if last in DEVICES else (method, None)


def _same(x: Value, y: Value, tolerance: float) -> bool:
    if tolerance and isinstance(x, float) and isinstance(y, float):
        return math.isclose(x, y, rel_tol=tolerance, abs_tol=ROUNDING)
    return x == y


def _distance(x: Value, y: Value) -> float | None:
    if not isinstance(x, float) or not isinstance(y, float):
        return None
    greater = max(abs(x), abs(y))
    return abs(x - y) / greater if greater else 0.0


def _plain(value: object) -> Value:
    return value if value is None or isinstance(value, str | int | float) else str(value)
