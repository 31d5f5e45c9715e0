"""What the SDK says in the service's log, seldom: a broker that is away would have it say much."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError

from streammon.text import shown

LOGGER = logging.getLogger("streammon.sdk")
SECONDS = 10.0  # between two lines of a kind

_VAGUE = (KafkaError._ALL_BROKERS_DOWN, KafkaError._MSG_TIMED_OUT)  # these say less than the error before them


class Complaints:
    """About events that were dropped, and what the client below says. Never shows anything of an event."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._latest: dict[str, str] = {}  # why, of some reasons
        self._code = 0  # of the broker's
        self._said: Counter[str] = Counter()  # events dropped, by reason, as of the last line
        self._next_line = self._next_client_line = float("-inf")

    def note(self, reason: str, why: str) -> None:
        """Keep it for the next line."""
        self._latest[reason] = why

    def note_failure(self, error: KafkaError) -> None:
        """Keep why the broker does not take events; many may fail at once, of one kind."""
        code = error.code()
        if code == self._code or ("broker" in self._latest and code in _VAGUE):
            return
        self._code, self._latest["broker"] = code, error.str()

    def about(self, dropped: Mapping[str, int], last: bool = False) -> None:
        """One line, if anything was dropped since the line before, which is some time ago, or this is the `last`."""
        if (self._now() < self._next_line and not last) or not (new := Counter(dropped) - self._said):
            return
        self._next_line, self._said = self._now() + SECONDS, Counter(dropped)
        parts = [
            f"{reason} {count:,}" + (f" (latest: {shown(self._latest[reason])})" if reason in self._latest else "")
            for reason, count in sorted(new.items())
        ]
        LOGGER.warning("%s events dropped: %s", f"{new.total():,}", ", ".join(parts))

    def log(self, level: int, form: str, *details: Any) -> None:
        """A line of the client's own: it takes this object for its logger."""
        if self._now() >= self._next_client_line:
            self._next_client_line = self._now() + SECONDS
            LOGGER.log(level, "Kafka client: %s", shown(form % details, 500))
