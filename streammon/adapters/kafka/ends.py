"""Ends of partitions that nobody fetches, so that the lag of a paused partition does not stand still."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo, OffsetSpec

from streammon.adapters.kafka.errors import connect

PATIENCE = 10.0  # seconds until a question without an answer is asked again


class UnfetchedEnds:
    """Asks the broker and goes on: the answer is there at a later look. The client is made at the first question."""

    def __init__(self, topic: str, options: Mapping[str, Any]) -> None:
        self._topic, self._options = topic, options
        self._client: AdminClient | None = None
        self._asked: dict[TopicPartition, Future[ListOffsetsResultInfo]] = {}
        self._known: dict[int, int] = {}

    def of(self, partitions: Collection[int]) -> dict[int, int]:
        """The latest answers; none of a partition whose first one is still to come."""
        for where, future in list(self._asked.items()):
            if future.done():
                del self._asked[where]
                with suppress(KafkaException):  # asked again at the next look
                    self._known[where.partition] = future.result().offset
        if partitions and not self._asked:
            self._client = self._client or connect(AdminClient, {"log_level": 2, **self._options})
            asked = {TopicPartition(self._topic, partition): OffsetSpec.latest() for partition in partitions}
            self._asked = self._client.list_offsets(asked, request_timeout=PATIENCE)
        self._known = {partition: end for partition, end in self._known.items() if partition in partitions}
        return dict(self._known)
