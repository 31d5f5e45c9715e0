"""What an examination finds."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Level(StrEnum):
    OK = "ok"
    UNKNOWN = "unknown"  # could not be asked; nothing is known to be wrong
    WARN = "warn"  # a worker runs, but not as well or as safely as it could
    FAIL = "fail"  # a worker would not run, or would not keep its promises


class Finding(NamedTuple):
    """One thing that was looked at."""

    check: str
    level: Level
    text: str
    fixes: tuple[str, ...] = ()  # what to do, a line each


def ok(check: str, text: str) -> Finding:
    return Finding(check, Level.OK, text)


def unknown(check: str, text: str, *fixes: str) -> Finding:
    return Finding(check, Level.UNKNOWN, text, fixes)


def warn(check: str, text: str, *fixes: str) -> Finding:
    return Finding(check, Level.WARN, text, fixes)


def fail(check: str, text: str, *fixes: str) -> Finding:
    return Finding(check, Level.FAIL, text, fixes)
