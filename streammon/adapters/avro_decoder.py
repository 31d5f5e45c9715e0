"""Avro in the values of Kafka records, to events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from streammon.adapters.avro_blocks import ColumnDecoder, frozen
from streammon.adapters.avro_columns import EVENT_COLUMNS, FieldMapping
from streammon.adapters.avro_framing import FRAMINGS, unframe
from streammon.adapters.avro_ops import FAILED_AT, FILL_ITEMS, FILL_VALUES
from streammon.adapters.avro_schema import load_schema
from streammon.core.errors import Code, UsageError
from streammon.core.events import EventBatch
from streammon.core.ports import Origin, RecordBatch, Run

MAX_RECORD_BYTES = 1 << 20  # Kafka's own default limit


class Failure(NamedTuple):
    """What is wrong with a record, for its dead letter."""

    code: Code
    field: str | None  # path in the writer's schema; `[]` stands for the items of an array or map
    position: int  # in the record: first byte of the value that could not be read


class AvroDecoder:
    """Decodes the values of Kafka records (implements ports.Decoder).

    schemas: of the writers, as JSON text or objects; the framing "raw" allows one.
    framing: "raw" or "single_object", see avro_framing.
    mapping: where a column is not the field of its own name, the field's path; see avro_columns.FieldMapping.
    max_record_bytes: longer values are OVERSIZED.
    """

    def __init__(
        self,
        schemas: Sequence[str | dict[str, Any]],
        framing: str = "single_object",
        mapping: FieldMapping | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
    ) -> None:
        if framing not in FRAMINGS:
            raise UsageError(f"framing {framing!r} is not known; framings are {', '.join(FRAMINGS)}")
        if not schemas or (len(schemas) > 1 and not FRAMINGS[framing].id_bytes):
            raise UsageError(f"framing {framing} needs {'a' if FRAMINGS[framing].id_bytes else 'exactly one'} schema")
        if not 0 < max_record_bytes < 2**31:
            raise UsageError(f"max_record_bytes is {max_record_bytes}; it must be 1 to 2147483647")
        loaded = [load_schema(source, f"schema {number}") for number, source in enumerate(schemas, 1)]
        self.framing = FRAMINGS[framing]
        self.max_record_bytes = max_record_bytes
        self._columns = ColumnDecoder(loaded, EVENT_COLUMNS, mapping)
        self._magic = frozen(np.array(list(self.framing.magic), np.uint8))
        self._ids = frozen(np.array([schema.fingerprint for schema in loaded], np.uint64).view(np.int64))

    def decode(self, records: RecordBatch) -> EventBatch:
        return self._decode(records)[0]

    def explain(self, value: bytes) -> Failure:
        """What is wrong with one record, given its value; Code.OK where nothing is. For dead letters, one at a time."""
        one = np.zeros(1, np.int64)
        buffer = np.frombuffer(value + b"\0", np.uint8)  # an empty buffer is refused
        record = RecordBatch(
            buffer, one, one + len(value), one, one, (Run(0, 0, 1),), lambda _: Origin(None, value, ())
        )
        batch, field, position = self._decode(record)
        return Failure(Code(int(batch.code[0])), field, position)

    def _decode(self, records: RecordBatch) -> tuple[EventBatch, str | None, int]:
        """The events, and of the latest that failed behind its frame the field and the position in the buffer."""
        rows = len(records)
        code, body, schema = np.empty(rows, np.uint8), np.empty(rows, np.int64), np.empty(rows, np.int64)
        buffer, start, end = frozen(records.buffer), frozen(records.start), frozen(records.end)
        limits = self._magic, self.framing.id_bytes, self._ids, self.max_record_bytes
        unframe(buffer, start, end, *limits, code, body, schema)
        buffer, c = self._columns.decode_rows(buffer, body, end, schema, code)
        values, items = c.state[FILL_VALUES], c.state[FILL_ITEMS]
        batch = EventBatch(
            buffer,
            records.offset,
            records.timestamp,
            code,
            c.ints,
            c.floats,
            c.string_start,
            c.string_length,
            c.list_start,
            c.list_length,
            c.values[:values],
            c.items_start,
            c.items_length,
            c.item_start[:items],
            c.item_length[:items],
        )
        return batch, self._columns.failed_path(c), int(c.state[FAILED_AT])
