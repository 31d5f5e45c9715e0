"""Dead letters: the bytes as they were read, and why."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from streammon.adapters.codec import to_bytes
from streammon.adapters.dead_letters import PREFIX, dead_record
from streammon.adapters.marked import MESSAGE_CHARACTERS, Marked, schema_id
from streammon.adapters.schema_files import load_schema
from streammon.core.errors import Code
from streammon.core.journal import JournalEntry, Kind
from streammon.core.ports import DeadLetter, Origin

VALUE = b"\x00\x00\x00\x01\x02damaged"
LETTER = DeadLetter(
    partition=3,
    offset=41,
    timestamp=1714564800123456,
    code=Code.RANGE,
    field="http_status",
    message="http_status is 2^40",
    origin=Origin(b"fraud", VALUE, (("trace", b"00"), ("trace", None))),
)


def reasons(record: Marked) -> dict[str, bytes | None]:
    return {name.removeprefix(PREFIX): value for name, value in record.headers if name.startswith(PREFIX)}


def test_reasons_stand_in_headers() -> None:
    """Code by name, numbers as decimal text, the record's own time in milliseconds."""
    assert reasons(dead_record(LETTER, "inference-events", limit=1000)) == {
        "code": b"RANGE",
        "field": b"http_status",
        "topic": b"inference-events",
        "partition": b"3",
        "offset": b"41",
        "schema_id": b"258",
        "message": b"http_status is 2^40",
        "first_seen": b"1714564800123",
        "bytes": b"12",
        "hash": blake2b(VALUE, digest_size=16).hexdigest().encode(),
    }


def test_what_was_read_is_kept() -> None:
    """Key, value and headers, in their order and before ours."""
    record = dead_record(LETTER, "inference-events", limit=1000)
    assert (record.key, record.value) == (b"fraud", VALUE)
    assert record.headers[:2] == [("trace", b"00"), ("trace", None)]


def test_a_dead_letter_read_again_has_only_its_new_reasons() -> None:
    """Two codes in one record would leave readers guessing."""
    first = dead_record(LETTER, "inference-events", limit=1000)
    again = LETTER._replace(code=Code.FUTURE, origin=Origin(first.key, first.value, tuple(first.headers)))
    record = dead_record(again, "retries", limit=1000)
    assert [value for name, value in record.headers if name == PREFIX + "code"] == [b"FUTURE"]
    assert record.headers[:2] == [("trace", b"00"), ("trace", None)]


def test_a_large_record_is_cut_and_its_hash_is_that_of_the_whole() -> None:
    """Key, value and headers each within the limit: a dead letter can always be written."""
    headers = (("small", b"1"), ("large", bytes(5000)), ("after", b"2"))
    huge = LETTER._replace(message="x" * 9999, origin=Origin(b"k" * 500, VALUE * 1000, headers))
    record = dead_record(huge, "inference-events", limit=100)
    assert (record.key, record.value) == (b"k" * 100, (VALUE * 1000)[:100])
    assert [name for name, _ in record.headers if not name.startswith(PREFIX)] == ["small"]
    said = reasons(record)
    assert (said["bytes"], said["headers_cut"]) == (b"12000", b"2")
    assert said["hash"] == blake2b(VALUE * 1000, digest_size=16).hexdigest().encode()
    assert said["message"] == b"x" * MESSAGE_CHARACTERS


def test_names_of_headers_count_too() -> None:
    """Headers may be all name and no value."""
    named = LETTER._replace(origin=Origin(None, None, tuple((letter * 40, None) for letter in "abc")))
    record = dead_record(named, "t", limit=100)
    assert [name for name, _ in record.headers if not name.startswith(PREFIX)] == ["a" * 40, "b" * 40]


def test_what_does_not_apply_is_left_out() -> None:
    """No field, no value: no header for it."""
    empty = LETTER._replace(field=None, origin=Origin(None, None, ()))
    assert reasons(dead_record(empty, "t", limit=10)).keys().isdisjoint({"field", "schema_id", "bytes", "hash"})


def test_raw_avro_has_no_schema_id() -> None:
    """Its first byte may be 0 by chance."""
    assert "schema_id" not in reasons(dead_record(LETTER, "t", limit=10, framed=False))


@pytest.mark.parametrize(
    "value, expected",
    [
        (b"\x00\xff\xff\xff\xff", "4294967295"),
        (b"\x00\x00\x00\x01", None),
        (b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\xff", "01020304050607ff"),
        (b"\xc3\x01\x01\x02", None),
        (b"{}", None),
        (b"", None),
    ],
)
def test_the_schema_id_of_each_framing(value: bytes, expected: str | None) -> None:
    assert schema_id(value) == expected


def test_the_schema_id_of_our_own_values_is_the_fingerprint() -> None:
    value = to_bytes(JournalEntry("t", 0, 0, 0, Kind.IDLE, "{}"))
    assert schema_id(value) == load_schema("journal_entry").identity.hex()
