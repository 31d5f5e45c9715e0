"""What a person sees while the demo goes on: lines on standard output, and on a terminal one line that changes."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from streammon.core.outputs import AlertEvent, AlertState
from streammon.incidents import Incident
from streammon.text import without_controls

REDRAW = 0.2  # seconds
_BAR = 24  # characters

_COLOURS = {AlertState.FIRING: "31", AlertState.RESOLVED: "32"}


class Screen:
    """A context manager: leaving it removes the changing line. `silent`: no lines (the line on a terminal stays)."""

    def __init__(self, silent: bool = False) -> None:
        self._silent = silent
        self._changing, self._colour = sys.stderr.isatty(), sys.stdout.isatty()
        self._drawn, self._last = False, 0.0

    def line(self, text: str = "") -> None:
        if not self._silent:
            self._clear()
            print(text, flush=True)

    def incident(self, incident: Incident) -> None:
        """Drift begins."""
        where = f"{incident.model}/{incident.lane}"
        self.line(f"  {clock(incident.start)}  injected  -- {'':16}  {where:16}  {incident.kind} drift")

    def alert(self, alert: AlertEvent) -> None:
        """One step of an alert; that it goes on is no news."""
        if alert.state is AlertState.ONGOING:
            return
        state = f"{alert.state.value:8}"
        if self._colour and alert.state in _COLOURS:
            state = f"\x1b[{_COLOURS[alert.state]}m{state}\x1b[0m"
        where, what = f"{alert.series.model_id}/{alert.series.lane}", alert.measurement
        of = f" of {what.feature}" if what.feature else ""
        said = f"{what.name}{of} {_number(what.value)} (limit {_number(what.threshold)})"
        self.line(f"  {clock(alert.end)}  {state}  {alert.severity} {alert.rule_id:16}  {where:16}  {said}")

    def status(self, now: int, done: int, total: int, rate: float, lag: int) -> None:
        """`now`: event time; `lag`: events that are sent, but not worked on."""
        if self._changing and time.monotonic() - self._last >= REDRAW:
            self._last = time.monotonic()
            filled = _BAR * done // max(total, 1)
            bar = "=" * filled + "-" * (_BAR - filled)
            self._draw(f"  {clock(now)}  [{bar}]  {done:,} of {total:,} events, {rate:,.0f}/s, lag {lag:,}")

    def doing(self, text: str) -> None:
        """What takes a moment."""
        if self._changing:
            self._draw(f"  {text} ...")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def _draw(self, text: str) -> None:
        sys.stderr.write(f"\r{without_controls(text)}\x1b[K")
        sys.stderr.flush()
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def clock(moment: int) -> str:
    """Event time of a day, UTC.

    >>> clock(3_600_000_000)
    '01:00'
    """
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%H:%M")
