"""`streammon dead-letters`: what was refused, why, and the byte that is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from streammon.adapters.envelopes import LOG_APPEND_TIME, Envelope, EnvelopeWriter
from tests.adapters.avro_cases import varint
from tests.bad_input.line import GOOD, HEADERS, START, TOPIC, event, tampered
from tests.commands.conftest import Command, finish, spawn
from tests.commands.test_wrong_use import assert_refused
from tests.oracle import files

LONG = files.encode(event(req_id="x" * 400_000)) + b"\x00"
RECORDS: list[tuple[bytes, bytes | None]] = [
    (tampered(http_status=varint(1) + varint(2**40)), b"fraud"),
    (files.encode(GOOD)[:40], None),
    (b'{"ts": 1}', b"\xff\x00"),
    (tampered(http_status=varint(1) + varint(2**31)), b"fraud"),
    (LONG, b"fraud"),
    (files.encode(event(features=[1.0])), b"fraud"),
    (files.MARKER + bytes(range(8)) + files.encode(GOOD)[10:], b"fraud"),
    (files.encode(event(req_id="größe", lane="*")), b"fraud"),
]
CODES = ["RANGE", "TRUNCATED", "FRAMING", "RANGE", "TRAILING", "DIMENSION", "SCHEMA", "RANGE"]


@pytest.fixture
def replayed(command: Command, tmp_path: Path) -> tuple[str, ...]:
    """Options that name a replay with the dead letters of RECORDS, a second apart."""
    config, recording, out = tmp_path / "c.yaml", tmp_path / "in.avro", tmp_path / "out"
    config.write_text("models: [{match: '*', features: 4}]\ndevice: cpu\n")
    with EnvelopeWriter(recording, bytes(16)) as writer:
        writer.write(
            Envelope(TOPIC, 0, n, START // 1000 + 1000 * n, LOG_APPEND_TIME, key, value, HEADERS)
            for n, (value, key) in enumerate(RECORDS)
        )
    result = command("replay", "--config", config, "--from", recording, "--out", out)
    assert (result.code, result.err) == (0, "")
    return "--config", str(config), "--from-dir", str(out)


def test_list(command: Command, replayed: tuple[str, ...]) -> None:
    """A line each, oldest first, then how many by code and field."""
    result = command("dead-letters", "list", *replayed)
    assert (result.code, result.err) == (0, "")
    table, _, counts = result.out.partition("\n\n")
    head, *rows = table.splitlines()
    assert re.split(r"  +", head) == [
        *("first seen", "code", "field", "topic", "partition", "offset", "schema id", "bytes", "message"),
    ]
    assert [re.split(r"  +", row)[1] for row in rows] == CODES
    assert re.split(r"  +", rows[0]) == [
        *("2026-01-31T12:00:00Z", "RANGE", "http_status", TOPIC, "0", "0", files.FINGERPRINT.hex()),
        *(str(len(RECORDS[0][0])), "a value is outside what its type allows (byte 47)"),
    ]
    listed, first, *others = counts.splitlines()
    assert (listed, first) == ("8 listed", "        2  RANGE in http_status")
    assert sorted(others)[0] == "        1  DIMENSION in features"
    assert len(others) == 6


def test_list_for_scripts(command: Command, replayed: tuple[str, ...]) -> None:
    listed = json.loads(command("dead-letters", "list", *replayed, "--json").out)
    assert [letter["code"] for letter in listed["dead_letters"]] == CODES
    assert listed["dead_letters"][4] | {"offset": 4, "bytes": len(LONG), "field": None} == listed["dead_letters"][4]
    assert listed["counts"][0] == {"code": "RANGE", "field": "http_status", "count": 2}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--last", "2"), CODES[-2:]),
        (("--code", "range"), ["RANGE"] * 3),
        (("--code", "RANGE", "--last", "1"), ["RANGE"]),
        (("--from", "2026-01-31T12:00:05Z"), CODES[5:]),
        (("--from", "2027-01-01"), []),
    ],
)
def test_list_of_some(
    command: Command, replayed: tuple[str, ...], options: tuple[str, ...], expected: list[str]
) -> None:
    listed = json.loads(command("dead-letters", "list", *replayed, *options, "--json").out)
    assert [letter["code"] for letter in listed["dead_letters"]] == expected


def test_show_points_at_the_byte(command: Command, replayed: tuple[str, ...]) -> None:
    """Every field before the fault with its bytes; what was expected, what is there, and where."""
    result = command("dead-letters", "show", *replayed, 0, 0)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == f"{TOPIC} partition 0, offset 0  (dead letter: partition 0, offset 0)"
    assert 'key         "fraud"' in lines
    assert lines[9:12] == ["header      trace = 00 ff", "header      trace = null", 'header       = ""']
    assert '  18-19  req_id         string                   "r"' in lines
    assert f"  10-17  ts             long (timestamp-micros)  {START} (2026-01-31T12:00:00Z)" in lines
    assert lines[lines.index("RANGE in http_status, byte 47") + 1 :][:2] == [
        "  expected  an int: -2,147,483,648 to 2,147,483,647",
        "  found     1,099,511,627,776",
    ]
    pointer = next(number for number, line in enumerate(lines) if "^^ byte 47" in line)
    column = lines[pointer].index("^^")
    assert lines[pointer - 1][column : column + 2] == f"{RECORDS[0][0][47]:02x}"


def test_show_of_a_cut_dead_letter(command: Command, replayed: tuple[str, ...]) -> None:
    """It says that the copy is cut; its end is no fault of the record."""
    out = command("dead-letters", "show", *replayed, 0, 4).out
    assert f"{len(LONG):,}, of which this dead letter holds the first 262,144" in out
    assert "decodes up to where this copy was cut" in out
    shown = json.loads(command("dead-letters", "show", *replayed, 0, 4, "--json").out)
    assert shown["is_cut"] is True
    assert [value["path"] for value in shown["values"]] == ["ts"]


@pytest.mark.parametrize(
    ("offset", "said"),
    [
        (1, "TRUNCATED in"),
        (2, "no datum was found: input.framing expects c3 01 and 8 bytes of schema id in front"),
        (5, "every byte decodes; it was refused for what it says (DIMENSION)"),
        (6, "schema 0001020304050607 is none of those in input.schemas"),
    ],
)
def test_show_says_what_can_be_said(command: Command, replayed: tuple[str, ...], offset: int, said: str) -> None:
    assert said in command("dead-letters", "show", *replayed, 0, offset).out


def test_show_by_place(command: Command, replayed: tuple[str, ...]) -> None:
    """In the dead letters themselves."""
    shown = json.loads(command("dead-letters", "show", *replayed, "--stored", 0, 2, "--json").out)
    assert (shown["code"], shown["value"], shown["key"]) == ("FRAMING", RECORDS[2][0].hex(), "ff00")


def test_wrong_use(command: Command, replayed: tuple[str, ...], tmp_path: Path) -> None:
    config = replayed[:2]
    assert_refused(command("dead-letters", "show", *replayed, 0, 99), "offset 99", "`streammon dead-letters list`")
    assert_refused(command("dead-letters", "show", *replayed, 0, 0, "--topic", "other"), "of other")
    assert_refused(command("dead-letters", "show", *replayed, "-1", 0))
    assert_refused(command("dead-letters", "list", *replayed, "--code", "ODD"), "codes are FRAMING, TRUNCATED")
    assert_refused(command("dead-letters", "list", *replayed, "--last", 1, "--from", "now"), "not allowed with")
    assert_refused(command("dead-letters", "list", *config, "--from-dir", tmp_path), "holds no dead_letters.avro")


def test_a_terminal_without_unicode(replayed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told what it cannot show in escapes, not in a traceback."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = finish(spawn("dead-letters", "show", *replayed, 0, 7))
    assert (result.code, result.err) == (0, "")
    assert "gr\\xf6\\xdfe" in result.out
