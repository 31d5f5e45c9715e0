"""Known incidents: what was wrong with which model and lane, and when. What simulations write; what reports and
scorecards read.

    {"incidents": [{"kind": "covariate", "model": "digits-0", "lane": "canary",
                    "start": "2026-01-31T12:00:00Z", "end": null, "rule": "feature-drift"}]}

Times are ISO 8601; without a zone they are UTC. `end` may be null or left out, and so may `rule`; without `lane` it is
every lane's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from streammon.core.errors import UsageError

EVERY_LANE = "*"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REQUIRED = ("model", "start")
_MAY_BE_NULL = ("end", "rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Something went wrong at `start` and lasted until `end`: microseconds since the epoch, event time.

    ValueError for an empty name, or an end that is not after the start.
    """

    kind: str = "incident"  # such as covariate or latency
    model: str  # model_id
    lane: str = EVERY_LANE  # all lanes of the model
    start: int
    end: int | None = None  # the first instant without it; None: it lasts
    rule: str | None = None  # id of the rule that should find it

    def __post_init__(self) -> None:
        for field in ("kind", "model", "lane", "rule"):
            if getattr(self, field) == "":
                raise ValueError(f"{field} is empty")
        if self.end is not None and self.end <= self.start:
            raise ValueError("end is not after start")

    def concerns(self, model: str, lane: str) -> bool:
        """Whether it is about this model and lane. A roll-up (lane `*`) holds the events of every lane."""
        return self.model == model and (self.lane in (lane, EVERY_LANE) or lane == EVERY_LANE)

    def touches(self, model: str, lane: str, start: int, end: int) -> bool:
        """Whether it was going on in a window [start, end) of this model and lane."""
        return self.concerns(model, lane) and self.start < end and (self.end is None or start < self.end)


_FIELDS = tuple(field.name for field in fields(Incident))


def write(path: Path, incidents: Iterable[Incident]) -> None:
    """Write them in the order given; the file is replaced."""
    entries = [
        {field: _text(value) if field in ("start", "end") else value for field, value in asdict(incident).items()}
        for incident in incidents
    ]
    text = json.dumps({"incidents": entries}, indent=2, ensure_ascii=False) + "\n"
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): choose another file") from error


def read(path: Path) -> tuple[Incident, ...]:
    """The incidents of a file, in its order. UsageError names the file, the entry (from 1) and the field."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): name a file of incidents") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}): write the file again, or mend it") from error
    entries = document.get("incidents") if isinstance(document, dict) and len(document) == 1 else None
    if not isinstance(entries, list):
        raise UsageError(f'{path}: not a file of incidents: it should be {{"incidents": [...]}} and nothing else')
    return tuple(_incident(f"{path}: incident {number}", entry) for number, entry in enumerate(entries, 1))


def _incident(place: str, entry: Any) -> Incident:
    if not isinstance(entry, Mapping):
        raise UsageError(f"{place}: not an object: write its fields as {', '.join(_REQUIRED)}")
    for field in _REQUIRED:
        if field not in entry:
            raise UsageError(f"{place}: {field} is missing")
    for field, value in entry.items():
        if field not in _FIELDS:
            raise UsageError(f"{place}: there is no field {field!r}; there are {', '.join(_FIELDS)}")
        if not isinstance(value, str) and not (value is None and field in _MAY_BE_NULL):
            raise UsageError(f"{place}: {field} is {json.dumps(value)[:80]}; it should be a text")
    times = {field: _moment(place, field, entry[field]) for field in ("start", "end") if entry.get(field) is not None}
    try:
        return Incident(**{**entry, **times})
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from error


def _moment(place: str, field: str, text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
        return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError):
        raise UsageError(f"{place}: {field} is {text[:80]!r}; write a time such as 2026-01-31T12:00:00Z") from None


def _text(moment: int | None) -> str | None:
    """ISO 8601 in UTC, exact to the microsecond.

    >>> _text(1_500_000)
    '1970-01-01T00:00:01.500000Z'
    """
    if moment is None:
        return None
    return (_EPOCH + timedelta(microseconds=moment)).isoformat().replace("+00:00", "Z")
