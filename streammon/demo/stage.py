"""What stands around the services: a broker, a worker, readers of topics. Each works in threads of its own, and all of
them end with the process."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from streammon import worker
from streammon.adapters.envelopes import Envelope
from streammon.adapters.kafka import embedded
from streammon.adapters.kafka.admin import Admin
from streammon.adapters.kafka.embedded import EmbeddedBroker
from streammon.adapters.kafka.reader import watch
from streammon.adapters.kafka.sink import Topics
from streammon.core.errors import Code, Refusal, Unreachable
from streammon.core.ports import Observer, Outputs
from streammon.demo.scenario import PARTITIONS
from streammon.settings import Settings, kafka_options, load
from streammon.settings import model as settings_model

EMBEDDED = worker.Capability(positions=False)  # of the embedded broker
NAMES = Topics(**settings_model.Topics().model_dump())  # of topics, where nobody else has any

STALLED = 60.0  # seconds without any progress, after which nothing is waited for any longer
LAST_WORDS = 1.0  # seconds for a thread to end, when the demo is interrupted
LOOK = 0.005  # seconds between two looks at another thread


@dataclass(frozen=True)
class Venue:
    """A broker with the demo's topics, `overrides` of the settings that lead there, and what it is, for people."""

    overrides: Mapping[str, Any]
    words: str
    capability: worker.Capability


@contextmanager
def venue(bootstrap: str | None, note: Callable[[str], None]) -> Iterator[Venue]:
    """The embedded broker; or another one, with topics and a group of this run's own, which are removed in the end."""
    if bootstrap is None:
        with EmbeddedBroker() as broker:
            for topic in NAMES.by_role.values():
                broker.create(topic, PARTITIONS)
            options = {"bootstrap.servers": broker.address, "security.protocol": "plaintext"}
            words = f"embedded broker at {broker.address}; {embedded.LACKS}"
            yield Venue(_overrides("streammon-demo", NAMES, options), words, EMBEDDED)
        return
    name = f"streammon-demo-{secrets.token_hex(3)}"
    topics = Topics(**{role: f"{name}-{role.replace('_', '-')}" for role in NAMES.by_role})
    overrides = _overrides(name, topics, {"bootstrap.servers": bootstrap})
    admin = Admin(kafka_options(load(None, overrides)))
    admin.partitions()  # refuses, before anything is promised
    try:
        admin.create(topics, PARTITIONS, None)
        yield Venue(overrides, f"broker at {bootstrap}; topics {name}-*, removed in the end", worker.Capability())
    finally:
        try:
            admin.remove(topics, name)
        except Refusal as refusal:
            note(f"topics {name}-* and group {name} are left there: {refusal}")


def _overrides(group: str, topics: Topics, kafka: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings, which the environment must not decide."""
    return {"group": group, "topics": topics._asdict(), "kafka": kafka, "telemetry": {"enabled": False}}


class _Act(threading.Thread):
    """A part of the performance in a thread, which does not keep the process from ending. A context manager."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._stop_asked = threading.Event()
        self._failure: Exception | None = None

    def work(self) -> None:
        """Until it is done, or `_stop_asked`."""
        raise NotImplementedError

    def run(self) -> None:
        try:
            self.work()
        except Exception as failure:  # raised again by who looks at the thread
            self._failure = failure

    def check(self) -> None:
        """Raises what ended it."""
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_asked.set()
        self.join(LAST_WORDS)


class Worker(_Act, Observer):
    """A worker."""

    def __init__(self, settings: Settings, capability: worker.Capability) -> None:
        super().__init__("worker")
        self._settings, self._capability = settings, capability
        self.done = 0  # records
        self.clock = 0  # greatest event time of the latest commit, microseconds
        self.metrics = self.alerts = self.journal = 0  # published

    def work(self) -> None:
        worker.run(self._settings, "earliest", self._stop_asked.is_set, observer=self, capability=self._capability)

    def finish(self) -> None:
        """Let it publish what it has, and leave."""
        self._stop_asked.set()
        self.join(STALLED)
        self.check()
        if self.is_alive():
            raise Unreachable(f"the worker has not ended within {STALLED:.0f} s: look at its log")

    # -- what the loop tells, in its thread --------------------------------------------------------------------------

    def fed(self, partition: int, events: int, late: int, refused: Mapping[Code, int], windows: int) -> None:
        self.done += events + late + sum(refused.values())

    def filled(self, partition: int, fill: object, clock: int | None) -> None:
        self.clock = max(self.clock, clock or 0)

    def committed(self, outputs: Outputs, seconds: float) -> None:
        self.metrics += len(outputs.metrics)
        self.alerts += len(outputs.alerts)
        self.journal += len(outputs.journal)


class Listener(_Act):
    """Reads a topic from its beginning, and gives the records to `take`, in its thread."""

    def __init__(self, settings: Settings, topic: str, take: Callable[[list[Envelope]], None]) -> None:
        super().__init__(f"reader of {topic}")
        self._options, self._topic, self._take = kafka_options(settings), topic, take
        self.count = 0  # records

    def work(self) -> None:
        for batch in watch(self._options, self._topic):
            if self._stop_asked.is_set():
                return
            self._take(batch)
            self.count += len(batch)


def wait(seen: Callable[[], int], wanted: int, what: str, meanwhile: Callable[[], None]) -> None:
    """Until as many are seen. `meanwhile` is called again and again, and raises what makes waiting pointless."""
    last, since = seen(), time.monotonic()
    while (now := seen()) < wanted:
        meanwhile()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > STALLED:
            raise Unreachable(f"{what}: {now:,} of {wanted:,}, and no more for {STALLED:.0f} s: is the broker well?")
        time.sleep(LOOK)
