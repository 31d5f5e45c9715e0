"""Keys of records: from every source into the column `key`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope, EnvelopeWriter
from streammon.adapters.memory import MemoryBroker, MemoryRecord, MemorySource
from streammon.adapters.recorded_log import RecordedLog
from streammon.adapters.recorded_source import RecordedSource
from streammon.adapters.records import record_batch
from streammon.core.events import KEY_DIFFERS, KEY_FITS, KEY_NULL
from streammon.core.ports import Origin, RecordBatch
from tests.adapters.avro_cases import batch
from tests.laws.harness import DECODER
from tests.oracle.clock import Series
from tests.oracle.streams import random_stream

FIELDS = [{"name": "ts", "type": "long"}, {"name": "model_id", "type": "string"}]
RAW = AvroDecoder([{"type": "record", "name": "E", "fields": FIELDS}], framing="raw")


def record(model: str) -> bytes:
    return b"\x02" + bytes([2 * len(model.encode())]) + model.encode()


def keyed(pairs: list[tuple[bytes | None, bytes | None]], partition: list[int]) -> RecordBatch:
    """Records of (key, value)."""
    offset = np.arange(len(pairs))
    values, keys = [value for _, value in pairs], [key for key, _ in pairs]
    return record_batch(values, keys, np.array(partition), offset, offset, lambda row: Origin(*pairs[row], ()))


KEYS = st.sampled_from([None, b"", b"m", b"mm", "größe".encode(), b"x" * 60, b"\xff"])
MODELS = st.sampled_from(["", "m", "m2", "mm", "größe", "x" * 60])


@given(st.lists(st.tuples(KEYS, MODELS, st.integers(0, 2)), min_size=1, max_size=30))
def test_a_key_is_null_or_fits_or_differs(rows: list[tuple[bytes | None, str, int]]) -> None:
    """Whatever else lies beside it, and however the partitions are mixed."""
    records = keyed([(key, record(model)) for key, model, _ in rows], [p for *_, p in rows])
    found = RAW.decode(records).key.tolist()
    for at, state in enumerate(found):
        key, model, _ = rows[int(records.offset[at])]
        assert state == (KEY_NULL if key is None else KEY_FITS if key == model.encode() else KEY_DIFFERS)
        assert records.origin(at).key == key


def test_what_is_no_event_has_no_verdict_on_its_key() -> None:
    records = keyed([(b"m", None), (None, b""), (b"n", record("m")[:-1]), (b"n", record("m"))], [0] * 4)
    assert RAW.decode(records).key.tolist() == [KEY_FITS, KEY_FITS, KEY_FITS, KEY_DIFFERS]


def test_a_source_without_keys_has_none_that_differ() -> None:
    assert RAW.decode(batch([record("m")])).key.tolist() == [KEY_FITS]


@pytest.fixture(scope="module")
def stream() -> Any:
    return random_stream(5, events=120)


def states(items: Any) -> list[int]:
    """Of the records that decode, as the stream has them."""
    return [
        KEY_NULL if item.key is None else KEY_FITS if item.key == item.event["model_id"].encode() else KEY_DIFFERS
        for item in items
        if item.event is not None and "*" not in [item.event[name] for name in Series._fields]
    ]


def decoded(records: RecordBatch, partition: int) -> list[int]:
    events = DECODER.decode(records)
    (run,) = [run for run in records.runs if run.partition == partition]
    part = events.rows(run.low, run.high)
    return [int(key) for key in part.key[part.code == 0]]


def test_memory_and_recorded_files_agree_with_the_stream(stream: Any, tmp_path: Path) -> None:
    """So a replay counts the keys that live counted."""
    with EnvelopeWriter(tmp_path / "e.avro", bytes(16)) as writer:
        writer.write(
            Envelope(stream.topic, p, offset, item.timestamp // 1000, LOG_APPEND_TIME, item.key, item.value)
            for p, items in stream.partitions.items()
            for offset, item in enumerate(items)
        )
    recorded = RecordedSource(RecordedLog.open([tmp_path / "e.avro"])).poll(0)
    log = {p: [MemoryRecord(i.timestamp, i.key, i.value) for i in items] for p, items in stream.partitions.items()}
    memory = MemorySource(MemoryBroker(stream.topic, log), [])
    memory.seek(dict.fromkeys(log, 0))
    assert recorded is not None
    for partition, items in stream.partitions.items():
        expected = states(items)
        assert {KEY_NULL, KEY_FITS, KEY_DIFFERS} == set(expected)
        assert decoded(recorded, partition) == expected
        piece = memory.poll(0)
        assert piece is not None
        assert decoded(piece, partition) == expected
