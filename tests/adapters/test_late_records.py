"""Late events: the bytes as they were read, and which pane they missed."""

from __future__ import annotations

from hashlib import blake2b

from streammon.adapters.dead_letters import PREFIX as ERRORS
from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope
from streammon.adapters.late_records import PREFIX, late_record
from streammon.adapters.marked import MESSAGE_CHARACTERS, Marked, found
from streammon.core.outputs import Series
from streammon.core.ports import LateRecord, Origin

MINUTE = 60_000_000
NOON = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z
VALUE = b"\x00\x00\x00\x01\x02event"
LATE = LateRecord(
    partition=3,
    offset=41,
    timestamp=NOON + 5 * MINUTE + 123_456,
    series=Series("fraud", "1", "canary"),
    pane_start=NOON,
    pane_end=NOON + MINUTE,
    origin=Origin(b"fraud", VALUE, (("trace", b"00"), ("trace", None))),
)


def said(record: Marked) -> dict[str, bytes | None]:
    return {name.removeprefix(PREFIX): value for name, value in record.headers if name.startswith(PREFIX)}


def test_headers_say_which_pane_the_event_missed() -> None:
    """Event times in microseconds, the record's own in milliseconds as in dead letters; to people in a sentence."""
    assert said(late_record(LATE, "inference-events")) == {
        "code": b"LATE",
        "message": b"the pane 2026-01-31T12:00:00Z to 2026-01-31T12:01:00Z of fraud 1 canary was sealed",
        "model_id": b"fraud",
        "model_version": b"1",
        "lane": b"canary",
        "pane_start": b"1769860800000000",
        "pane_end": b"1769860860000000",
        "topic": b"inference-events",
        "partition": b"3",
        "offset": b"41",
        "schema_id": b"258",
        "first_seen": b"1769861100123",
        "bytes": b"10",
        "hash": blake2b(VALUE, digest_size=16).hexdigest().encode(),
    }


def test_panes_long_before_the_epoch_and_beyond_every_calendar() -> None:
    """Whoever sends such times shall be told of them."""
    early = late_record(LATE._replace(pane_start=-1_500_000, pane_end=-500_000), "t")
    assert said(early)["pane_start"] == b"-1500000"
    assert b"the pane 1969-12-31T23:59:58.500000Z to 1969-12-31T23:59:59.500000Z" in (said(early)["message"] or b"")
    far = late_record(LATE._replace(pane_start=-(1 << 60), pane_end=-(1 << 60) + MINUTE), "t")
    assert (said(far)["message"] or b"").startswith(b"the pane -34565-")  # 1970 - 2^60 us


def test_what_was_read_is_kept() -> None:
    """Key, value and headers in their order, before ours; also those of the dead letter that it once was."""
    origin = Origin(b"fraud", VALUE, (("trace", b"00"), (f"{ERRORS}code", b"FUTURE")))
    record = late_record(LATE._replace(origin=origin), "inference-events")
    assert (record.key, record.value) == (b"fraud", VALUE)
    assert record.headers[:2] == [("trace", b"00"), (f"{ERRORS}code", b"FUTURE")]


def test_a_late_record_read_again_has_only_its_new_pane() -> None:
    """Two panes in one record would leave readers guessing."""
    first = late_record(LATE, "inference-events")
    again = LATE._replace(pane_start=0, pane_end=MINUTE, origin=Origin(first.key, first.value, tuple(first.headers)))
    record = late_record(again, "retries")
    assert [value for name, value in record.headers if name == f"{PREFIX}pane_start"] == [b"0"]
    assert record.headers[:2] == [("trace", b"00"), ("trace", None)]


def test_a_large_record_is_cut_and_its_hash_is_that_of_the_whole() -> None:
    """It can always be written, whatever the producer put into its names."""
    huge = LATE._replace(series=Series("m" * 16_384, "1", "prod"), origin=Origin(b"k" * 500, VALUE * 1000, ()))
    record = late_record(huge, "inference-events", limit=100)
    assert (record.key, record.value) == (b"k" * 100, (VALUE * 1000)[:100])
    assert said(record)["bytes"] == b"10000"
    assert said(record)["hash"] == blake2b(VALUE * 1000, digest_size=16).hexdigest().encode()
    assert said(record)["model_id"] == b"m" * 16_384
    assert len(said(record)["message"] or b"") == MESSAGE_CHARACTERS


def test_it_is_read_back() -> None:
    """By whoever knows its prefix; it is no dead letter."""
    record = late_record(LATE, "inference-events")
    envelope = Envelope("late", 0, 9, 1, LOG_APPEND_TIME, record.key, record.value, tuple(record.headers))
    back = found(envelope, PREFIX)
    assert back is not None
    assert (back.place, back.code, back.topic, back.partition, back.offset) == (
        (0, 9),
        "LATE",
        "inference-events",
        3,
        41,
    )
    assert (back.key, back.value, back.headers) == LATE.origin
    assert found(envelope, ERRORS) is None
