"""The unit of every ratio: a process that consumes a topic and does nothing with it.

python -m tests.bench.bare BOOTSTRAP TOPIC EVENTS
"""

from __future__ import annotations

import json
import resource
import sys
import time
import uuid

from confluent_kafka import Consumer

from streammon.adapters.kafka.source import PREFETCH


def main() -> None:
    """Prints {"events", "seconds", "cpu"}: from the first records on."""
    bootstrap, topic, events = sys.argv[1], sys.argv[2], int(sys.argv[3])
    consumer = Consumer(
        {
            **PREFETCH,
            "bootstrap.servers": bootstrap,
            "group.id": f"bare-{uuid.uuid4().hex}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    first = len(consumer.consume(1, 60))
    started, spent = time.perf_counter(), cpu()
    count = first
    while count < events:
        count += len(consumer.consume(10_000, 0.1))
    print(json.dumps({"events": count, "seconds": time.perf_counter() - started, "cpu": cpu() - spent}))
    consumer.close()


def cpu() -> float:
    """Seconds of all threads of this process, in user and kernel mode."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
