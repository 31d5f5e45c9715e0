"""Where partitions end, asked of the broker itself: what was fetched last says nothing of a paused partition, nor
whether the broker is still there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from streammon.adapters.kafka.errors import connect

PATIENCE = 2.0  # seconds until a question without an answer is given up
LOST = 2 * PATIENCE  # and until nobody waits for the client to say so: on a busy machine it sometimes never does
# The client asks the leader that it knows, and learns of another one, or of its restart, only by looking anew.
OPTIONS = {"log_level": 2, "metadata.max.age.ms": 2_000, "topic.metadata.refresh.interval.ms": 2_000}


class Ends:
    """Asks and goes on: the answer is there at a later look. The client is made at the first question.

    Uncommitted records and the marks of transactions count.
    """

    def __init__(self, topic: str, options: Mapping[str, Any]) -> None:
        self._topic, self._options = topic, options
        self._client: AdminClient | None = None
        self._asked: dict[int, tuple[Future[ListOffsetsResultInfo], float]] = {}  # and when
        self._answers: dict[int, int | None] = {}
        self._known: dict[int, int] = {}

    def ask(self, partitions: Collection[int]) -> None:
        """A partition whose last question is still open is not asked about again."""
        asked = {TopicPartition(self._topic, p): OffsetSpec.latest() for p in partitions if p not in self._asked}
        if asked:
            self._client = self._client or connect(AdminClient, {**self._options, **OPTIONS})
            found = self._client.list_offsets(asked, request_timeout=PATIENCE)
            self._asked |= {where.partition: (future, time.monotonic()) for where, future in found.items()}

    def answers(self) -> dict[int, int | None]:
        """Those that came since the last call, by partition; None: the broker did not say."""
        self._look()
        answers, self._answers = self._answers, {}
        return answers

    def known(self, partitions: Collection[int]) -> dict[int, int]:
        """The latest ends; none of a partition that the broker has not told yet."""
        self._look()
        return {partition: self._known[partition] for partition in partitions if partition in self._known}

    def forget(self) -> None:
        """What is known, and what answers to questions until now will say: other partitions are read now."""
        self._asked, self._answers, self._known = {}, {}, {}

    def _look(self) -> None:
        for partition, (future, asked) in list(self._asked.items()):
            if future.done() or time.monotonic() - asked > LOST:
                del self._asked[partition]
                end = _end(future) if future.done() else None
                self._answers[partition] = end
                if end is not None:
                    self._known[partition] = end


def _end(future: Future[ListOffsetsResultInfo]) -> int | None:
    try:
        end = int(future.result().offset)
    except KafkaException:
        return None
    return end if end >= 0 else None  # where the broker does not answer in time, there is no error but this
