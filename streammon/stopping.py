"""How a worker is told to stop: in good order at the first SIGTERM or SIGINT, at once at the second.

Ending at once loses nothing: what is not committed is read again by whoever comes next.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from streammon.telemetry import Event, log

GRACE = 8.0  # seconds for the last commit; supervisors that kill do so 10 s after SIGTERM, or later
SIGNALS = (signal.SIGTERM, signal.SIGINT)
LAST_LINE = 0.5  # seconds for the log to take it


def until_signalled(grace: float = GRACE) -> Callable[[], bool]:
    """True once SIGTERM or SIGINT has come. To be called in the main thread, once.

    The process ends by itself, whatever it is doing: with exit code 0 if nobody has asked before the signal (it is
    still starting), or `grace` seconds after it (the broker does not answer); at a second signal with 128 + its number.
    """
    asked, told = threading.Event(), threading.Event()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    # Handlers run in the main thread, between two steps of Python: too late where that waits for the client, or for a
    # compiler. The pipe is written at once, and read by a thread.
    signal.set_wakeup_fd(writing)
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: None)
    threading.Thread(target=_watch, args=(reading, asked, told, grace), name="signals", daemon=True).start()

    def stopping() -> bool:
        asked.set()
        return told.is_set()

    return stopping


def _watch(reading: int, asked: threading.Event, told: threading.Event, grace: float) -> None:
    _heard(reading, None)
    told.set()
    if not asked.is_set():
        _end(Event.STOPPED)
    number = _heard(reading, grace)
    if number is not None:
        os._exit(128 + number)
    _end(Event.GAVE_UP, seconds=grace)


def _heard(reading: int, seconds: float | None) -> int | None:
    """The next of SIGNALS; None if there is none in time. The pipe tells of every signal that has a handler."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([reading], [], [], left)[0]:
            return None
        number = os.read(reading, 1)[0]
        if number in SIGNALS:
            return number


def _end(event: Event, **fields: float) -> NoReturn:
    """End the process. Whoever does not take its log, a full pipe say, holds up the last line, but not the end."""
    try:
        line = threading.Thread(target=log, args=(event,), kwargs=fields, daemon=True)
        line.start()
        line.join(LAST_LINE)
    finally:
        os._exit(0)
