"""Avro in the values of Kafka records, to events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro.blocks import ColumnDecoder, frozen
from streammon.adapters.avro.columns import EVENT_COLUMNS, Defaults
from streammon.adapters.avro.framing import FRAMINGS, Framing, unframe
from streammon.adapters.avro.ops import FAILED_AT, FILL_ITEMS, FILL_VALUES
from streammon.adapters.avro.schema import AvroSchema, load_schema
from streammon.adapters.avro.wants import FieldMapping
from streammon.adapters.keys import compared
from streammon.core.errors import Code, UsageError
from streammon.core.events import EventBatch
from streammon.core.ports import Origin, RecordBatch, Run

MAX_RECORD_BYTES = 1 << 20  # Kafka's own default limit

Source = str | dict[str, Any]


class Failure(NamedTuple):
    """What is wrong with a record, for its dead letter."""

    code: Code
    field: str | None  # path in the writer's schema; `[]` stands for the items of an array or map
    position: int  # in the record: first byte of the value that could not be read


class AvroDecoder:
    """Decodes the values of Kafka records (implements ports.Decoder).

    schemas: of the writers, as JSON text or objects; for the framing "confluent" by their ids, otherwise in any order;
        the framing "raw" allows one.
    framing: "raw", "single_object" or "confluent", see framing.py.
    mapping: where a column is not the field of its own name, the field's path; see columns.FieldMapping.
    max_record_bytes: longer values are OVERSIZED.
    defaults: what columns hold whose field the writer's schema lacks; otherwise they are null, which is the default of
        every field of the canonical schema that has one.
    """

    def __init__(
        self,
        schemas: Sequence[Source] | Mapping[str, Source],
        framing: str = "single_object",
        mapping: FieldMapping | None = None,
        max_record_bytes: int = MAX_RECORD_BYTES,
        defaults: Defaults | None = None,
    ) -> None:
        if framing not in FRAMINGS:
            raise UsageError(f"framing {framing!r} is not known; framings are {', '.join(FRAMINGS)}")
        self.framing = FRAMINGS[framing]
        if not schemas or (len(schemas) > 1 and not self.framing.id_bytes):
            raise UsageError(f"framing {framing} needs {'a' if self.framing.id_bytes else 'exactly one'} schema")
        if not 0 < max_record_bytes < 2**31:
            raise UsageError(f"max_record_bytes is {max_record_bytes}; it must be 1 to 2147483647")
        loaded = sorted(_loaded(schemas, self.framing, framing), key=lambda pair: pair[0])
        self.schemas = [schema for _, schema in loaded]
        self.max_record_bytes = max_record_bytes
        self._columns = ColumnDecoder(self.schemas, EVENT_COLUMNS, mapping, defaults)
        self._magic = frozen(np.array(list(self.framing.magic), np.uint8))
        self._ids = frozen(np.array([number for number, _ in loaded], np.int64))

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

    def writer(self, value: bytes) -> tuple[AvroSchema, int]:
        """The schema of a value, and where its datum begins; of one in whose frame `explain` finds no fault."""
        one = np.zeros(1, np.int64)
        _, body, schema = self._unframe(np.frombuffer(value + b"\0", np.uint8), one, one + len(value))
        return self.schemas[int(schema[0])], int(body[0])

    def _unframe(
        self, buffer: NDArray[np.uint8], start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
        """See framing.unframe."""
        rows = len(start)
        code, body, schema = np.empty(rows, np.uint8), np.empty(rows, np.int64), np.empty(rows, np.int64)
        frame = self._magic, self.framing.id_bytes, self.framing.big_endian, self.framing.least, self._ids
        unframe(frozen(buffer), frozen(start), frozen(end), *frame, self.max_record_bytes, code, body, schema)
        return code, body, schema

    def _decode(self, records: RecordBatch) -> tuple[EventBatch, str | None, int]:
        """The events, and of the latest that failed behind its frame the field and the position in the buffer."""
        code, body, schema = self._unframe(records.buffer, records.start, records.end)
        buffer, c = self._columns.decode_rows(records.buffer, body, records.end, schema, code)
        values, items = c.state[FILL_VALUES], c.state[FILL_ITEMS]
        key = compared(records.keys, buffer, c.string_start, c.string_length, code)
        batch = EventBatch(
            buffer,
            records.offset,
            records.timestamp,
            code,
            key,
            c.ints,
            c.floats,
            c.string_start,
            c.string_length,
            _first(c.list_start, len(EVENT_COLUMNS.lists)),
            _first(c.list_length, len(EVENT_COLUMNS.lists)),
            c.values[:values],
            _first(c.items_start, len(EVENT_COLUMNS.string_lists)),
            _first(c.items_length, len(EVENT_COLUMNS.string_lists)),
            c.item_start[:items],
            c.item_length[:items],
        )
        return batch, self._columns.failed_path(c), int(c.state[FAILED_AT])


def _loaded(
    schemas: Sequence[Source] | Mapping[str, Source], framing: Framing, name: str
) -> Iterator[tuple[int, AvroSchema]]:
    """Each with its id, as the 64 bits of a signed integer."""
    if framing.numbered != isinstance(schemas, Mapping):
        form = "a mapping of the registry's ids to schemas" if framing.numbered else "a list of schemas"
        raise UsageError(f"framing {name} needs {form}")
    if not isinstance(schemas, Mapping):
        for number, source in enumerate(schemas, 1):
            schema = load_schema(source, f"schema {number}")
            yield int.from_bytes(schema.fingerprint.to_bytes(8), signed=True), schema
        return
    for text, source in schemas.items():
        if not (text.isascii() and text.isdecimal() and str(int(text)) == text and int(text) < 2**32):
            raise UsageError(f"schema id {text[:40]!r}: a registry's ids are whole numbers of 32 bits")
        yield int(text), load_schema(source, f"schema {text}")


def _first(columns: NDArray[Any], count: int) -> NDArray[Any]:
    """The first columns, in one piece: those behind them held the parts of lists."""
    return columns if columns.shape[1] == count else np.ascontiguousarray(columns[:, :count])
