"""The walk over recorded blocks: what fastavro wrote is found, and what is damaged is refused, as a plain strict reader
refuses it; nothing is read outside a block.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.adapters.containers import Block, ContainerWriter
from streammon.adapters.envelope_blocks import (
    HEADERS,
    KEY,
    LEAST,
    OFFSET,
    PARTITION,
    TIMESTAMP,
    VALUE,
    walked,
)
from streammon.adapters.envelopes import Envelope, headers_from_datum
from streammon.adapters.recorded_log import RecordedLog
from streammon.adapters.schema_files import Schema, load_schema
from streammon.core.errors import UsageError
from tests.adapters.strict_avro import NOTHING, Bad, Reader
from tests.adapters.test_envelopes import envelope, write

DEFINITION = load_schema("recorded_envelope").definition
PLAIN = load_schema("recorded_envelope").plain  # for fastavro: without logical types
FILE = Path("some.avro")
LONGEST = (2**63 - 1) // 1000  # milliseconds that are microseconds in 64 bits


def datum(record: Envelope) -> bytes:
    """As fastavro writes it."""
    stream = BytesIO()
    headers = [{"key": key, "value": value} for key, value in record.headers]
    fastavro.schemaless_writer(stream, PLAIN, record._asdict() | {"headers": headers})
    return stream.getvalue()


def block(data: bytes, records: int, buffer: bytes | None = None, low: int = 0) -> Block:
    return Block(None, "null", data if buffer is None else buffer, low, low + len(data), records, 100)


def found(blocks: list[Block]) -> list[tuple[Any, ...]]:
    """As rows; times are microseconds."""
    walk = walked(FILE, blocks)
    return [
        (
            walk.topic.decode(),
            *(int(walk.columns[column, row]) for column in (PARTITION, OFFSET, TIMESTAMP)),
            walk.at(KEY, row),
            walk.at(VALUE, row),
            headers_from_datum(walk.at(HEADERS, row) or b""),
        )
        for row in range(walk.columns.shape[1])
    ]


def expected(record: Envelope) -> tuple[Any, ...]:
    return record.topic, record.partition, record.offset, record.timestamp * 1000, *record[5:]


def strictly(data: bytes, records: int) -> str:
    """The verdict of the plain reader; a topic that differs from the first is OTHER."""
    reader, topics = Reader(DEFINITION, data, NOTHING), set()
    try:
        for _ in range(records):
            read = reader.read(DEFINITION, "")
            topics.add(read["topic"])
            if abs(read["timestamp"]) > LONGEST:
                return "RANGE"
            if len(topics) > 1:
                return "OTHER"
    except Bad as bad:
        return str(bad)
    return "OK" if reader.position == len(data) else "TRAILING"


def verdict(data: bytes, records: int) -> str:
    """What the walk says."""
    try:
        walked(FILE, [block(data, records)])
    except UsageError as error:
        text = str(error)
        assert text.startswith("some.avro: ")
        if "several topics" in text:
            return "OTHER"
        assert "from byte 100 is damaged: " in text
        assert text.endswith("Copy the file again, or record again")
        return "TRUNCATED" if "it claims" in text else text.partition("(")[2].partition(")")[0]
    return "OK"


small = envelope.map(lambda e: e._replace(topic="events", timestamp=e.timestamp % LONGEST))


@given(st.lists(st.lists(small, max_size=4), min_size=1, max_size=3), st.integers(0, 9), st.sampled_from([5, 70, 9000]))
def test_what_fastavro_wrote_is_found(stretches: list[list[Envelope]], gap: int, long: int) -> None:
    """In several blocks of a buffer, with bytes between them; topics of any length, null and empty keys and values,
    headers of any kind.
    """
    stretches = [[each._replace(topic="ü" * long) for each in stretch] for stretch in stretches]
    buffer, blocks = b"", []
    for stretch in stretches:
        data = b"".join(map(datum, stretch))
        blocks.append(block(data, len(stretch), low=len(buffer) + gap))
        buffer += bytes(gap) + data
    buffer += bytes(3)
    blocks = [each._replace(buffer=buffer) for each in blocks]
    assert found(blocks) == [expected(each) for stretch in stretches for each in stretch]


def test_headers_in_blocks_of_other_writers() -> None:
    """With the size of each, which must be right; in several."""
    head = datum(Envelope("t", 1, 2, 3, "CreateTime", b"k", b"v"))[:-1]
    one, two = b"\x02a\x00", b"\x02b\x02\x02x"
    assert found([block(head + b"\x01\x06" + one + b"\x02" + two + b"\x00", 1)])[0][-1] == (("a", None), ("b", b"x"))
    for wrong in (b"\x01\x04", b"\x01\x08", b"\x03\x06", b"\x01\x05"):
        data = head + wrong + one + b"\x00"
        assert verdict(data, 1) == strictly(data, 1) != "OK"


@pytest.mark.parametrize("milliseconds, says", [(LONGEST, "OK"), (LONGEST + 1, "RANGE"), (-LONGEST - 1, "RANGE")])
def test_times_beyond_64_bits(milliseconds: int, says: str) -> None:
    assert verdict(datum(Envelope("t", 1, 2, milliseconds, "CreateTime", None, b"v")), 1) == says


@dataclass
class Two:
    """Records of which every byte is damaged in turn."""

    records: list[Envelope]
    data: bytes


@pytest.fixture(scope="module")
def two() -> Two:
    headers = (("trace", b"\x00\xff"), ("größe", None), ("", b""))
    records = [
        Envelope("events", 3, 2**40, 1_700_000_000_000, "LogAppendTime", b"model", bytes(range(70)), headers),
        Envelope("events", 2**31 - 1, 2**63 - 1, -1, "NotAvailable", None, None),
    ]
    return Two(records, b"".join(map(datum, records)))


def test_damage_anywhere_is_judged_as_a_plain_reader_judges_it(two: Two) -> None:
    """Every byte replaced by each of the other 255; another topic is told before what is wrong behind it."""
    said = set()
    for at in range(len(two.data)):
        for byte in range(256):
            data = two.data[:at] + bytes([byte]) + two.data[at + 1 :]
            says, true = verdict(data, 2), strictly(data, 2)
            assert says == true or (says == "OTHER" and true != "OK"), (at, byte)
            said.add(says)
    assert said == {"OK", "OTHER", "TRUNCATED", "RANGE", "ENCODING"}


def test_bytes_missing_or_too_many(two: Two) -> None:
    """A block that ends anywhere, or claims another number of records, is refused, whatever lies behind it."""
    for size in range(len(two.data)):
        for behind in (b"", two.data[size:], b"\xff" * 200):
            cut = two.data[:size]
            with pytest.raises(UsageError, match=r"TRUNCATED|claims"):
                walked(FILE, [block(cut, 2, cut + behind)])
    for records, says in ((1, "TRAILING"), (3, "TRUNCATED"), (0, "TRAILING"), (2**62, "TRUNCATED")):
        assert verdict(two.data, records) == says
    assert verdict(b"", 0) == "OK"


@contextmanager
def fenced(size: int) -> Iterator[Callable[[bytes], int]]:
    """Memory whose next page may not be read: whoever does ends the process. Gives what puts bytes at its very end."""
    pages = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, pages + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert protect(start + pages, mmap.PAGESIZE, 0) == 0

    def put(data: bytes) -> int:
        ctypes.memmove(start + pages - len(data), data, len(data))
        return start + pages - len(data)

    try:
        yield put
    finally:
        assert protect(start + pages, mmap.PAGESIZE, 3) == 0


def test_nothing_behind_a_block_is_read(two: Two) -> None:
    """Whole, cut anywhere, and with random bytes: in memory that ends where the block does."""
    random = Random(1)
    least = two.data[: len(datum(two.records[0]))]
    cases = [two.data[:size] for size in range(1, len(two.data) + 1)]
    for _ in range(3000):
        worse = bytearray(least[: random.randrange(1, len(least) + 1)])
        for _ in range(random.randrange(4)):
            worse[random.randrange(len(worse))] = random.choice(
                (0, 1, 2, 0x7F, 0x80, 0xFE, 0xFF, random.randrange(256))
            )
        cases.append(bytes(worse))
    with fenced(len(two.data)) as put:
        for data in cases:
            at_the_end = (ctypes.c_ubyte * len(data)).from_address(put(data))
            try:
                walked(FILE, [block(data, max(1, min(2, len(data) // LEAST)))._replace(buffer=memoryview(at_the_end))])  # type: ignore[arg-type]  # any buffer does
            except UsageError:
                continue


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    """With the record and the block in which it lies; a file whose schema is of another version, too."""
    path = tmp_path / "a.avro"
    records = [Envelope("events", 0, n, n, "CreateTime", None, b"value") for n in range(50)]
    whole = write(path, records)
    value = whole.rindex(b"value")
    path.write_bytes(whole[: value - 2] + b"\x04" + whole[value - 1 :])  # the branch of its union
    with pytest.raises(UsageError, match=r"a\.avro: record 49 of the block from byte \d+ is damaged: .*\(RANGE\)"):
        RecordedLog.open([path])
    older = DEFINITION | {"fields": DEFINITION["fields"][:-1]}
    schema = Schema("recorded_envelope", older, b"", fastavro.parse_schema(older), {})
    with ContainerWriter[Envelope](path, schema, Envelope._asdict, sync=bytes(16)) as writer:
        writer.write(records)
    with pytest.raises(UsageError, match=r"a\.avro: another version of streammon recorded it: record again, or use"):
        RecordedLog.open([path])
