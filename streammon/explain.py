"""What a dead letter says: the field at fault, and in a sentence what is wrong with the record and why that may be.

Runs once per dead letter, so it stays with what the compiled decoder and the event say. `streammon dead-letters show`
takes its time and walks the bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.avro.schema import AvroSchema, Type, load_schema
from streammon.adapters.foreign import Row, RowDecoder
from streammon.adapters.records import record_batch
from streammon.core import events
from streammon.core.baseline import Baseline
from streammon.core.errors import Code
from streammon.core.events import EventBatch
from streammon.core.outputs import Series
from streammon.core.plan import Plan
from streammon.core.ports import Explain, Origin
from streammon.core.timeline import FARTHEST, LONGEST_KEY, LONGEST_STAMP

MESSAGES = {
    Code.FRAMING: "no Avro datum was found: too short, or another framing than input.framing says",
    Code.TRUNCATED: "the datum ends behind the last byte of the record",
    Code.TRAILING: "bytes follow the datum: it was written with another schema",
    Code.RANGE: "a value is outside what its type allows",
    Code.ENCODING: "a string is not UTF-8",
    Code.SCHEMA: "the schema of the writer is not among those in the settings",
    Code.MISSING: "a value that every event needs is null",
    Code.DIMENSION: "features, probs or embedding have another length than the baseline or the settings say",
    Code.FUTURE: "ts lies beyond the timestamp of the record + max_future_skew",
    Code.OVERSIZED: "the record is larger than input.max_record_bytes",
}
IN_DATUM = {Code.TRUNCATED, Code.TRAILING, Code.RANGE, Code.ENCODING}
FINER = {  # by what the schema declares: what was sent, if the number is 1,000 times too large
    "timestamp-millis": "microseconds sent as milliseconds",
    "timestamp-micros": "nanoseconds sent as microseconds",
    None: "nanoseconds sent as microseconds",
}
LIMITS = {"model_id": LONGEST_KEY, "model_version": LONGEST_KEY, "lane": LONGEST_KEY}
LIMITS |= {"data_hash": LONGEST_STAMP, "git_commit": LONGEST_STAMP}
RESERVED = {b"*": "for the roll-up over all", b"__other__": "for what is beyond the limit of series"}
SERIES = (events.MODEL_ID, events.MODEL_VERSION, events.LANE)
DAY = 86_400_000_000  # microseconds
BOTH_AHEAD = (
    "ts and the timestamp of the record, which its producer wrote (CreateTime), lay ahead of the worker's clock by "
    "more than max_future_skew: is the clock of the producer ahead?"
)


def explainer(decoder: AvroDecoder | RowDecoder, plan: Plan, baselines: Mapping[str, Baseline]) -> Explain:
    """Explains as the plan decodes, and as its models and the baselines have dimensions."""
    decoding = json.loads(plan.decoding)
    paths = {name: path for name, path in decoding["mapping"].items() if isinstance(path, str)}
    schemas = decoding["schemas"]
    sources = schemas.values() if isinstance(schemas, dict) else schemas
    units = {_unit(load_schema(source), paths.get("ts", "ts")) for source in sources}
    sent = FINER.get(next(iter(units))) if len(units) == 1 else None
    layouts = {(b.model_id, b.model_version): b.layout for b in baselines.values()}

    def explain(value: bytes | None, code: Code, timestamp: int) -> tuple[str | None, str]:
        if isinstance(value, Row):
            return _explain_row(value, code, timestamp)
        assert isinstance(decoder, AvroDecoder)  # any other has nothing but Rows
        failure = decoder.explain(value or b"")
        if code is Code.FRAMING:
            return None, _framing(value or b"")
        if failure.code is code:
            at = f" (byte {failure.position})" if code in IN_DATUM else ""
            name = failure.field and paths.get(failure.field, failure.field)  # MISSING names the column
            return name, _undecodable(value or b"", code, failure.position) + at
        name, message = _refused(_event(decoder, value), code, timestamp)
        return name and paths.get(name, name), message

    def _explain_row(row: Row, code: Code, timestamp: int) -> tuple[str | None, str]:
        """Of a file: with the place in it, and the column."""
        if row.code is code:
            name, message = row.field, row.why or MESSAGES[code]
        else:
            name, message = _refused(row.event, code, timestamp)
            name = name and paths.get(name, name)
        return name, f"{row.where}{f', column {name}' if name else ''}: {message}"

    def _refused(event: EventBatch, code: Code, timestamp: int) -> tuple[str | None, str]:
        """A good record whose content no event may have."""
        if code is Code.FUTURE:
            ts = int(event.ints[0, events.TS])
            if ts <= timestamp + plan.max_future_skew:
                return "ts", BOTH_AHEAD
            return "ts", _future(ts, timestamp, sent)
        if code is Code.DIMENSION:
            series = Series(*(event.text(0, column) or "" for column in SERIES))
            layout = layouts.get((series.model_id, series.model_version)) or plan.layout(series)
            expected = len(layout.features), len(layout.classes), layout.embedding
            for column, name in enumerate(events.LISTS):
                length = int(event.list_length[0, column])
                if length and expected[column] and length != expected[column]:
                    return name, f"{name} has length {length:,}; the baseline or the settings say {expected[column]:,}"
        if code is Code.RANGE:
            for name, limit in LIMITS.items():
                length = int(event.string_length[0, events.STRINGS.index(name)])
                if length > limit:
                    return name, f"{name} is {length:,} bytes long; at most {limit:,} are taken"
            if abs(int(event.ints[0, events.TS])) >= FARTHEST:
                return "ts", "ts is no time within thousands of years"
        return None, MESSAGES[code]

    return explain


def _event(decoder: AvroDecoder, value: bytes | None) -> EventBatch:
    zero = np.zeros(1, np.int64)
    return decoder.decode(record_batch([value], [None], zero, zero, zero, lambda _: Origin(None, value, ())))


def _framing(value: bytes) -> str:
    if not value:
        return "the record is empty"
    if value.lstrip()[:1] in {b"{", b"["}:
        return "the record looks like JSON text; events are Avro"
    if value[:1] == b"\x00" and len(value) > 5:
        return "the record begins as in framing confluent; input.framing says otherwise"
    if value[:2] == b"\xc3\x01" and len(value) >= 10:
        return "the record begins as in framing single_object; input.framing says otherwise"
    return MESSAGES[Code.FRAMING]


def _undecodable(value: bytes, code: Code, position: int) -> str:
    for reserved, use in RESERVED.items():
        if code is Code.RANGE and value.startswith(bytes([2 * len(reserved)]) + reserved, position):
            return f"{reserved.decode()} is reserved {use}"
    return MESSAGES[code]


def _future(ts: int, timestamp: int, sent: str | None) -> str:
    """Times in microseconds; `sent`: see FINER."""
    if timestamp > 0 and 0.9 < ts / timestamp / 1000 < 1.1:
        finer = sent or "a finer unit sent than the schema declares"
        return f"ts is 1,000 times the timestamp of the record: off by x1000, {finer}?"
    ahead = ts - timestamp
    words = f"{ahead / DAY:,.1f} days" if ahead >= DAY else f"{ahead // 1_000_000:,} s"
    return f"ts lies {words} beyond the timestamp of the record: is the clock of the producer ahead?"


def _unit(schema: AvroSchema, path: str) -> str | None:
    """Logical type of a long, None where it has none; "?" where a name alone does not lead to it."""
    found: Type | None = schema.type
    for name in path.split("."):
        records = [part for part in _branches(found) if part.kind == "record" and name in part.names]
        found = records[0].parts[records[0].names.index(name)] if records else None
    return next((part.logical for part in _branches(found) if part.kind == "long"), "?")


def _branches(type_: Type | None) -> tuple[Type, ...]:
    return () if type_ is None else type_.parts if type_.kind == "union" else (type_,)
