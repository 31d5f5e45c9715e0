"""The log: one line about each thing that happened, for a person or a machine, on standard error."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from streammon.telemetry.names import Event
from streammon.text import MARK, shown

LOGGER = logging.getLogger("streammon")

LONGEST_TEXT = 4_000  # characters of one value; whoever ships logs cuts lines of more than 16 KiB
REPEAT_INTERVAL = 10.0  # seconds within which equal lines are left out
_DISTINCT = 256  # lines that are remembered for that


def log(event: Event, level: int = logging.INFO, error: BaseException | None = None, /, **fields: Any) -> None:
    """One line. `fields` may hold anything; `error` adds its traceback. No field is named time, level or event."""
    LOGGER.log(level, event.value, exc_info=error, extra={"fields": fields})


def set_up(form: str, level: str, to: TextIO | None = None) -> None:
    """Logs to standard error or `to`, for a person ("console") or a machine ("json", one object a line)."""
    handler = logging.StreamHandler(to or sys.stderr)
    handler.setFormatter(Json() if form == "json" else Console())
    handler.addFilter(Repeats(time.monotonic))
    LOGGER.handlers = [handler]
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False


class Json(logging.Formatter):
    """One object a line, valid JSON whatever is in it: time (ISO 8601, UTC), level, event, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _content(record)
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"time": time.replace("+00:00", "Z"), "level": record.levelname, "event": event}
        line |= {name: _plain(value, _cut) for name, value in fields.items()}
        if record.exc_info:
            line["exception"] = _cut(self.formatException(record.exc_info))
        return json.dumps(line, allow_nan=False)  # what is not ASCII is escaped


class Console(logging.Formatter):
    """Readable, and safe to look at: a value cannot break the line nor command the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        event, fields = _content(record)
        said = " ".join(f"{name}={_flat(_plain(value, _visible))}" for name, value in fields.items())
        lines = [f"{self.formatTime(record, '%H:%M:%S')} {record.levelname.lower():7} {event} {said}".rstrip()]
        if record.exc_info:
            lines += [f"    {_visible(line)}" for line in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


class Repeats(logging.Filter):
    """Passes equal lines of others than ourselves (the Kafka client) once in REPEAT_INTERVAL.

    The next one that passes has `repeated`: how many were left out since. Lines that differ in numbers only are equal:
    a broker that refuses connections is told of many times a second, each time with another count of milliseconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__()
        self._now = now
        self._lock = threading.Lock()
        self._passed: dict[tuple[str, str], tuple[float, int]] = {}  # when the last one passed, and how many have not

    def filter(self, record: logging.LogRecord) -> bool:
        if hasattr(record, "fields"):
            return True
        key = (record.levelname, re.sub(r"\d+", "0", record.getMessage()))
        with self._lock:
            now = self._now()
            since, left_out = self._passed.get(key, (-math.inf, 0))
            if now - since < REPEAT_INTERVAL:
                self._passed[key] = (since, left_out + 1)
                return False
            self._passed.pop(key, None)
            self._passed[key] = (now, 0)
            if len(self._passed) > _DISTINCT:
                del self._passed[next(iter(self._passed))]  # the one that passed longest ago
        record.repeated = left_out
        return True


def _content(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Name and fields. A line that did not come from `log` is the Kafka client's."""
    fields = getattr(record, "fields", None)
    if fields is not None:
        return record.getMessage(), fields
    repeated = getattr(record, "repeated", 0)
    return Event.CLIENT, {"message": record.getMessage()} | ({"repeated": repeated} if repeated else {})


def _plain(value: Any, text: Callable[[str], str], depth: int = 4) -> Any:
    """What JSON can say: other things, and whatever is nested deeper, as text, which `text` makes presentable."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth:
        return {text(str(key)): _plain(item, text, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) and depth:
        return [_plain(item, text, depth - 1) for item in value]
    return text(str(value))


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}:{_flat(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ",".join(map(_flat, value))
    return str(value)


def _visible(text: str) -> str:
    return shown(text, LONGEST_TEXT)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}{MARK}({len(text):,} characters)"
