"""What arrives in the input topic: simulated inferences with bad records among them, released part by part."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import numpy as np

from streammon.adapters.event_encoder import encode
from streammon.adapters.kafka.producer import KafkaProducer, Record
from streammon.simulate.config import Simulation
from streammon.simulate.partitioner import partition_of
from streammon.simulate.stream import stream
from tests.oracle import files

SECOND = 1_000_000
HOUR = 3600 * SECOND
GOOD_PER_BAD = 400


def inferences(
    events: int, *, models: int, partitions: int, span: float, seed: int, gaps: Mapping[float, float] | None = None
) -> list[Record]:
    """Events up to now, drifting from half of the span on, and about one bad record in GOOD_PER_BAD.

    One model falls silent after 60 % of the stream, in a partition in which another goes on. `gaps`: after this share
    of the events, there is none for so many seconds of event time, besides the span.
    """
    silences = [(share, round(seconds * SECOND)) for share, seconds in (gaps or {}).items()]
    simulation = Simulation(
        events=events,
        end=time.time_ns() // 1000 - sum(silence for _, silence in silences),
        models=models,
        partitions=partitions,
        seed=seed,
        span=span,
        drift=("covariate", "class_mix", "latency", "errors"),
    )
    silent = _with_company(simulation)
    rng = np.random.default_rng(seed)
    records: list[Record] = []
    done = 0
    for chunk in stream(simulation):
        number = done + np.arange(len(chunk))
        for share, silence in silences:
            chunk.columns.ts[number >= share * events] += silence
        done += len(chunk)
        for record in map(Record, chunk.key, encode(chunk.columns), chunk.timestamp.tolist()):
            if record.key == silent and len(records) > 0.6 * events:
                continue
            records.append(record)
            if rng.integers(GOOD_PER_BAD) == 0:
                spoil = SPOILED[int(rng.integers(len(SPOILED)))]
                records.append(record._replace(value=spoil(record.value)))
    return records


def _with_company(simulation: Simulation) -> bytes:
    """A model that shares its partition."""
    keys = [model.encode() for model in simulation.model_ids]
    homes = [partition_of(key, simulation.partitions) for key in keys]
    return next(key for key, home in zip(keys, homes, strict=True) if homes.count(home) > 1)


def _with(**values: object) -> Callable[[bytes], bytes]:
    return lambda value: files.encode(files.decode(value) | values)


def _from_the_future(value: bytes) -> bytes:
    event = files.decode(value)
    return files.encode(event | {"ts": time.time_ns() // 1000 + HOUR})


SPOILED: tuple[Callable[[bytes], bytes], ...] = (
    lambda value: value[:-20],  # truncated
    lambda value: value + b"\x00",  # bytes behind the datum
    lambda value: b"\x00\x00\x00\x00\x07" + value[10:],  # another framing
    lambda value: value[:2] + bytes(8) + value[10:],  # a schema that nobody knows
    _from_the_future,
    _with(features=[0.5] * 7),  # a wrong dimension, where the right one is known
    _with(lane="*"),  # the name of the roll-up
)


class Feed:
    """Sends records in the background, `part` at a time, each part once it is released, at `rate` records a second."""

    def __init__(self, bootstrap: str, topic: str, records: Sequence[Record], *, part: int, rate: float) -> None:
        self._bootstrap, self._topic, self._records = bootstrap, topic, records
        self._part, self._rate = part, rate
        self.seconds = part / rate  # that a part takes
        self._parts = -(-len(records) // part)
        self._released = self._sent = 0  # parts
        self._closed = False
        self._changed = threading.Condition()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="feed", daemon=True)

    def release(self, parts: int, why: str = "") -> None:
        """So many more parts may go. Fails, saying `why` they were wanted, when none is left."""
        with self._changed:
            assert self._released < self._parts, f"the stream has ended, but {why}: more events are needed"
            self._released += parts
            self._changed.notify_all()

    def release_to(self, share: float) -> None:
        """This share of the stream may go; returns when it is delivered, and then nothing more comes."""
        with self._changed:
            self._released = max(self._released, round(share * self._parts))
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._sent >= self._released or self._failure is not None)
        self._raise()

    def finish(self) -> None:
        """Release the rest, as fast as it can go, and wait until everything is delivered."""
        with self._changed:
            self.seconds = 0.0
            self._released = self._parts
            self._changed.notify_all()
        self._thread.join()
        self._raise()

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What is not sent by now never will be."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            with KafkaProducer(self._bootstrap, self._topic) as producer:
                due = time.monotonic()
                for number in range(self._parts):
                    if not self._may_go(number):
                        return
                    due = max(due, time.monotonic())
                    producer.send(self._records[number * self._part : (number + 1) * self._part])
                    producer.flush()
                    self._tell(sent=number + 1)
                    due += self.seconds
                    time.sleep(max(0.0, due - time.monotonic()))
        except Exception as error:
            self._tell(failure=error)

    def _tell(self, sent: int = 0, failure: Exception | None = None) -> None:
        with self._changed:
            self._sent, self._failure = max(self._sent, sent), failure
            self._changed.notify_all()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _may_go(self, number: int) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._released > number or self._closed)
            return not self._closed
