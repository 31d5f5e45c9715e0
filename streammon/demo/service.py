"""The simulated inference services: one for each model, telling streammon about each prediction through the SDK."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from math import isnan
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.event_encoder import Coded, EventColumns
from streammon.sdk import EventProducer
from streammon.simulate.config import VERSION
from streammon.simulate.stream import Chunk

PATIENCE = 30.0  # seconds to wait for room in a producer's queue: a demo would rather be slow than drop


class Services:
    """A context manager: leaving it ends the producers at once; `flush` before."""

    def __init__(self, models: Iterable[str], topic: str, kafka: Mapping[str, Any]) -> None:
        """`kafka`: librdkafka's options, with bootstrap.servers."""
        options = {name: value for name, value in kafka.items() if name != "bootstrap.servers"}
        self._producers = {
            model: EventProducer(
                str(kafka["bootstrap.servers"]),
                model_id=model,
                model_version=VERSION,
                topic=topic,
                user_key=os.urandom(32),
                wait_for_room=PATIENCE,
                close_timeout=0,
                kafka=options,
            )
            for model in models
        }

    def serve(self, chunk: Chunk) -> Iterator[int]:
        """Log its events in order; yields how many are done after each."""
        producers, columns = self._producers, chunk.columns
        for done, fields in enumerate(_rows(columns), 1):
            producers[fields["model_id"]].log(**fields)
            yield done

    @property
    def dropped(self) -> dict[str, int]:
        """Events that did not get to the broker, by reason."""
        found: dict[str, int] = {}
        for producer in self._producers.values():
            for reason, count in producer.stats().dropped.items():
                found[reason] = found.get(reason, 0) + count
        return found

    def flush(self, timeout: float) -> bool:
        return all(producer.flush(timeout) for producer in self._producers.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as closing:
            for producer in self._producers.values():
                closing.callback(producer.close, 0)


def _rows(columns: EventColumns) -> Iterator[dict[str, Any]]:
    """Each event as the arguments of `log`."""
    for row in zip(
        *(
            _texts(columns.req_id),
            columns.ts.tolist(),
            _texts(columns.model_id),
            _texts(columns.lane),
            _texts(columns.git_commit),
            _texts(columns.data_hash),
            _texts(columns.user_id_hash),
            columns.latency_ms.tolist(),
            columns.http_status.tolist(),
            columns.timed_out.tolist(),
            _numbers(columns.score),
            _texts(columns.prediction),
            _lists(columns.probs.values, columns.probs.recorded),
            _lists(columns.features.values, columns.features.recorded),
            zip(*(_texts(category) for category in columns.categories), strict=True),
            _lists(columns.embedding.values, columns.embedding.recorded),
            _gauges(columns),
        ),
        strict=True,
    ):
        yield dict(zip(_NAMES, row, strict=True))


_NAMES = (
    *("req_id", "ts", "model_id", "lane", "git_commit", "data_hash", "user_id", "latency_ms", "http_status"),
    *("timed_out", "score", "prediction", "probs", "features", "categories", "embedding", "gauges"),
)


def _texts(column: Coded | NDArray[np.bytes_]) -> Iterable[str | None]:
    if isinstance(column, Coded):
        return [column.table[code] for code in column.code.tolist()]
    return [value.decode() or None for value in column.tolist()]


def _numbers(column: NDArray[np.float64]) -> list[float | None]:
    return [None if isnan(value) else value for value in column.tolist()]


def _lists(values: NDArray[np.float32], recorded: NDArray[np.bool_]) -> Iterator[NDArray[np.float32] | None]:
    return (row if there else None for row, there in zip(values, recorded.tolist(), strict=True))


def _gauges(columns: EventColumns) -> Iterator[dict[str, float] | None]:
    names = tuple(columns.gauges)
    rows = zip(*(columns.gauges[name].tolist() for name in names), strict=True)
    for there, row in zip(columns.has_gauges.tolist(), rows, strict=True):
        yield dict(zip(names, row, strict=True)) if there else None
