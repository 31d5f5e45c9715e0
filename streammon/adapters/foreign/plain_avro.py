"""Avro container files of events: no envelopes around them, and the writer's schema in the header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from streammon.adapters.avro.blocks import ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet, Defaults
from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.avro.wants import FieldMapping
from streammon.adapters.containers import Block, read_container_blocks, read_header
from streammon.adapters.foreign.cells import Problem
from streammon.adapters.foreign.rows import BLOCK_ROWS, Events
from streammon.core.errors import UsageError
from streammon.core.ports import Origin, RecordBatch, Run


class AvroFile:
    """One file."""

    def __init__(self, path: Path, mapping: FieldMapping, defaults: Defaults, max_record_bytes: int) -> None:
        self.path = path
        schema = read_header(path).schema
        try:
            self._decoder = AvroDecoder([schema], "raw", mapping, max_record_bytes, defaults)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        self._bounds = ColumnDecoder([load_schema(schema)], ColumnSet())
        self.records = sum(block.records for block in read_container_blocks(path))

    def blocks(self) -> Iterator[Events]:
        """Several blocks of the file at once: many writers make them small."""
        waiting: list[Block] = []
        before = 0
        for block in read_container_blocks(self.path):
            waiting.append(block)
            if (rows := sum(each.records for each in waiting)) >= BLOCK_ROWS:
                yield self._events(waiting, before)
                before += rows
                waiting = []
        if any(each.records for each in waiting):
            yield self._events(waiting, before)

    def _events(self, blocks: list[Block], before: int) -> Events:
        count, data = sum(block.records for block in blocks), b"".join(block.data for block in blocks)
        buffer = np.frombuffer(data or b"\0", np.uint8)
        bounds = self._bounds.bounds(buffer, 0, len(data), count)
        if len(bounds) <= count or bounds[-1] != len(data):
            raise UsageError(f"{self.path}: row {before + len(bounds):,} is damaged: copy or write the file again")
        nothing = np.zeros(count, np.int64)

        def text(row: int) -> bytes:
            return data[bounds[row] : bounds[row + 1]]

        def problem(row: int) -> Problem:
            failure = self._decoder.explain(text(row))
            return Problem(failure.code, failure.field, "")

        records = RecordBatch(
            buffer,
            bounds[:-1],
            bounds[1:],
            nothing,
            nothing,
            (Run(0, 0, count),),
            lambda row: Origin(None, text(row), ()),
        )
        return Events(self._decoder.decode(records), problem, lambda row: f"row {before + row + 1:,}", text)
