"""Where a simulated stream goes: a file of recorded envelopes, or a topic."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path

from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope, EnvelopeWriter
from streammon.adapters.event_encoder import encode
from streammon.adapters.kafka.producer import KafkaProducer, Record
from streammon.simulate.config import Simulation
from streammon.simulate.stream import Chunk, stream

TOPIC = "inference-events"

_REPORT_EVERY = 200  # events

Progress = Callable[[int, float], None]  # events done, events per second of wall time so far


def simulate_to_file(config: Simulation, path: Path, topic: str = TOPIC, progress: Progress | None = None) -> int:
    """Write what a broker would have recorded: offsets from 0 in each partition, time stamped when appended.

    Equal configurations and topics give equal bytes. The file appears when it is complete. Returns how many records.
    """
    chunks, report = stream(config), _Reporter(progress)
    sync = blake2b(f"{config!r} {topic}".encode(), digest_size=16).digest()
    offsets = [0] * config.partitions
    with EnvelopeWriter(path, sync) as writer:
        for chunk in chunks:
            writer.write(_envelopes(chunk, topic, offsets))
            report(len(chunk))
    return report.done


def simulate_to_kafka(config: Simulation, producer: KafkaProducer, progress: Progress | None = None) -> int:
    """Send the stream, at the producer's rate; returns how many records when everything is delivered.

    The topic, and with it the number of partitions, is the producer's; `config.partitions` is not looked at.
    """
    chunks, report = stream(config), _Reporter(progress)
    for chunk in chunks:
        records = list(map(Record, chunk.key, encode(chunk.columns), chunk.timestamp.tolist()))
        for first in range(0, len(records), _REPORT_EVERY):
            part = records[first : first + _REPORT_EVERY]
            producer.send(part)
            report(len(part))
    producer.flush()
    return report.done


def _envelopes(chunk: Chunk, topic: str, offsets: list[int]) -> Iterator[Envelope]:
    """The chunk's records. `offsets` holds the next offset of each partition, and is moved on."""
    columns = (chunk.partition.tolist(), chunk.timestamp.tolist(), chunk.key, encode(chunk.columns))
    for partition, timestamp, key, value in zip(*columns, strict=True):
        yield Envelope(topic, partition, offsets[partition], timestamp, LOG_APPEND_TIME, key, value)
        offsets[partition] += 1


class _Reporter:
    """Counts events and tells the caller."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self.done = progress, 0
        self._started = time.monotonic()

    def __call__(self, events: int) -> None:
        self.done += events
        if self._progress is not None:
            self._progress(self.done, self.done / max(time.monotonic() - self._started, 1e-9))
