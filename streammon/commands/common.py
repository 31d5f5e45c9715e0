"""What several commands share."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from streammon.core.errors import UsageError
from streammon.text import without_controls

if TYPE_CHECKING:
    from streammon.adapters.kafka.sink import Topics
    from streammon.settings import Settings

T = TypeVar("T")


class Parser(argparse.ArgumentParser):
    """Takes no abbreviations, and raises UsageError where argparse prints several lines and exits."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)  # examples keep their lines
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        command = self.prog.removeprefix("streammon").strip()
        raise UsageError(f"{command}: {message}; see {self.prog} --help" if command else f"{message}; see --help")


def add_command(commands: Any, name: str, summary: str, example: str, details: str = "") -> argparse.ArgumentParser:
    """A command with its help: `summary` in the list of commands, an example below its arguments."""
    text = summary[0].upper() + summary[1:] + "."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=f"{text} {details}".strip(), epilog=f"example:\n  streammon {example}"
    )
    return parser


def add_config(parser: argparse.ArgumentParser, required: bool = True, broker: bool = True) -> None:
    parser.add_argument("--config", type=Path, required=required, metavar="FILE", help="settings (YAML)")
    if broker:
        parser.add_argument(
            "--bootstrap", metavar="HOST:PORT", help="broker, instead of kafka: bootstrap.servers of the settings"
        )


def load_settings(args: argparse.Namespace) -> Settings:
    from streammon.settings import load

    bootstrap = getattr(args, "bootstrap", None)
    overrides: dict[str, Any] = {"kafka": {"bootstrap.servers": bootstrap}} if bootstrap else {}
    return load(args.config, overrides)


def topics_of(settings: Settings) -> Topics:
    from streammon.adapters.kafka.sink import Topics

    return Topics(**settings.topics.model_dump())


def check_output(path: Path) -> None:
    """Refuse, before the work begins, a file that could not be written in the end."""
    if path.is_dir():
        raise UsageError(f"{path} is a directory: name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: there is no directory {path.parent}: make it, or choose another file")


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


def print_json(value: Any) -> None:
    print(without_controls(json.dumps(value, ensure_ascii=False)), flush=True)


def at_least_one(text: str) -> int:
    """A whole number on the command line, 1 or more."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return number


def positive(text: str) -> float:
    """A number on the command line, more than 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number greater than 0")
    return number


def moment(text: str) -> int:
    """A time on the command line (ISO 8601; without a zone it is UTC), or `now`: microseconds since the epoch."""
    if text == "now":
        return time.time_ns() // 1000
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: write now, or 2026-01-31T12:00:00Z") from None
    found = found if found.tzinfo else found.replace(tzinfo=UTC)
    since = found - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def time_text(microseconds: int) -> str:
    """ISO 8601 in UTC, to the second, for people. What no calendar holds stays a number."""
    try:
        return datetime.fromtimestamp(microseconds // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{microseconds} us"


def _lasting(seconds: float) -> str:
    """
    >>> _lasting(8.2), _lasting(200), _lasting(7300)
    ('9 s', '3:20', '2:01:40')
    """
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{rest:02}"
    return f"{minutes}:{rest:02}" if minutes else f"{rest} s"


class Progress:
    """A line on a terminal's standard error, drawn again a few times a second and removed in the end.

    Nothing is written where standard error is no terminal.
    """

    def __init__(self, what: str) -> None:
        self._what, self._on_terminal, self._shown = what, sys.stderr.isatty(), False
        self._started = self._last = time.monotonic()
        self._done = self._before = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def clear(self) -> None:
        """Remove the line, before something else is said."""
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def counting(self, items: Iterable[T]) -> Iterator[T]:
        """The same items, counted as they pass."""
        for done, item in enumerate(items, 1):
            self(done)
            yield item

    def __call__(self, done: int, total: float = 0, more: str = "") -> None:
        """`total` 0: unknown. `more`: said behind the rate."""
        now = time.monotonic()
        if not self._on_terminal or now - self._last < 0.2:
            return
        if done < self._done:  # something else is counted now
            self._started, self._before = now - 0.2, done
        self._last, self._done, self._shown = now, done, True
        rate = (done - self._before) / (now - self._started)
        share = f" of {total:,}" if total else ""
        left = f", {_lasting((total - done) / rate)} left" if rate > 0 and total > done else ""
        sys.stderr.write(f"\r{self._what}: {done:,}{share} ({rate:,.0f}/s{left}){more and f' {more}'}\x1b[K")
        sys.stderr.flush()
