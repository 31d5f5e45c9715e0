"""What several commands share."""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.core.errors import UsageError

if TYPE_CHECKING:
    from streammon.settings import Settings


def add_config(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("--config", type=Path, required=required, metavar="FILE", help="settings (YAML)")
    parser.add_argument(
        "--bootstrap", metavar="HOST:PORT", help="broker, instead of kafka: bootstrap.servers of the settings"
    )


def load_settings(args: argparse.Namespace) -> Settings:
    from streammon.settings import load

    overrides: dict[str, Any] = {"kafka": {"bootstrap.servers": args.bootstrap}} if args.bootstrap else {}
    return load(args.config, overrides)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False), flush=True)


def microseconds(text: str) -> int:
    """A time on the command line (ISO 8601; without a zone it is UTC), or `now`."""
    if text == "now":
        return time.time_ns() // 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time: write now, or for example 2026-01-31T12:00:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def time_text(microseconds: int) -> str:
    """ISO 8601 in UTC, for people."""
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Progress:
    """A line on a terminal's standard error that is drawn again a few times a second; nothing elsewhere."""

    def __init__(self, what: str) -> None:
        self._what, self._last, self._shown = what, time.monotonic(), False
        self._started = self._last

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < 0.2 or not sys.stderr.isatty():
            return
        self._last, self._shown = now, True
        rate = done / (now - self._started)
        share = f" of {total:,}" if total else ""
        sys.stderr.write(f"\r{self._what}: {done:,}{share} ({rate:,.0f}/s)\x1b[K")
        sys.stderr.flush()

    def close(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
