"""Every rule that makes a datum bad, by name, in fields that are wanted and in fields that are not."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest

from streammon.adapters.avro.columns import ColumnSet
from tests.adapters import strict_avro
from tests.adapters.avro_cases import array, decode_columns, nullable, record, varint

MAP = {"type": "map", "values": "int"}
ENUM = {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}
NESTED = array(array("int"))
PAIR = record({"a": "int", "b": "string"}, "Pair")

NUMBER = ColumnSet(ints=("x",))
FLAG = ColumnSet(ints=("x",), flags=frozenset({"x"}))
REAL = ColumnSet(floats=("x",))
TEXT = ColumnSet(strings=("x",))
BLOB = ColumnSet(strings=("x",), binary=frozenset({"x"}))
LIST = ColumnSet(lists=("x",))
TEXTS = ColumnSet(string_lists=("x",))
NONE = ColumnSet()

LEAST, MOST = -(2**63), 2**63 - 1


def floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}f", *numbers)


def sized(count: int, size: int, items: bytes) -> bytes:
    """A block with its size, and the end of the array."""
    return varint(-count) + varint(size) + items + b"\x00"


RULES: list[tuple[str, Any, ColumnSet, bytes, str]] = [
    # numbers
    ("longest long", "long", NUMBER, varint(MOST), "OK"),
    ("least long", "long", NUMBER, varint(LEAST), "OK"),
    ("long with zeros behind", "long", NUMBER, b"\x82\x80\x80\x00", "OK"),
    ("long of 65 bits", "long", NUMBER, b"\xff" * 9 + b"\x02", "RANGE"),
    ("long of 11 bytes", "long", NUMBER, b"\x80" * 10 + b"\x00", "RANGE"),
    ("long cut", "long", NUMBER, b"\xff\xff", "TRUNCATED"),
    ("long absent", "long", NUMBER, b"", "TRUNCATED"),
    ("greatest int", "int", NUMBER, varint(2**31 - 1), "OK"),
    ("least int", "int", NUMBER, varint(-(2**31)), "OK"),
    ("int too great", "int", NUMBER, varint(2**31), "RANGE"),
    ("int too small", "int", NUMBER, varint(-(2**31) - 1), "RANGE"),
    ("int 2^40", "int", NUMBER, varint(2**40), "RANGE"),
    ("true", "boolean", FLAG, b"\x01", "OK"),
    ("boolean 2", "boolean", FLAG, b"\x02", "RANGE"),
    ("boolean 7", "boolean", FLAG, b"\x07", "RANGE"),
    ("boolean absent", "boolean", FLAG, b"", "TRUNCATED"),
    ("float cut", "float", REAL, b"\x00\x00\x00", "TRUNCATED"),
    ("double cut", "double", REAL, b"\x00" * 7, "TRUNCATED"),
    ("fixed cut", {"type": "fixed", "name": "F", "size": 3}, NONE, b"\x00\x00", "TRUNCATED"),
    ("null takes no bytes", "null", TEXT, b"", "OK"),
    ("bytes behind a null", "null", TEXT, b"\x00", "TRAILING"),
    # indices
    ("union 2 of 2", nullable("int"), NUMBER, varint(2), "RANGE"),
    ("union -1", nullable("int"), NUMBER, varint(-1), "RANGE"),
    ("union 2^40", nullable("int"), NUMBER, varint(2**40), "RANGE"),
    ("union 2^32", nullable("int"), NUMBER, varint(2**32), "RANGE"),
    ("union absent", nullable("int"), NUMBER, b"", "TRUNCATED"),
    ("union in two bytes", nullable("int"), NUMBER, b"\x82\x00\x06", "OK"),
    ("union of one", ["int"], NUMBER, b"\x00\x06", "OK"),
    ("enum 2 of 2", ENUM, TEXT, varint(2), "RANGE"),
    ("enum -1", ENUM, TEXT, varint(-1), "RANGE"),
    ("enum absent", ENUM, TEXT, b"", "TRUNCATED"),
    # strings
    ("empty string", "string", TEXT, b"\x00", "OK"),
    ("string length -1", "string", TEXT, varint(-1), "RANGE"),
    ("string length least", "string", TEXT, varint(LEAST), "RANGE"),
    ("string length most", "string", TEXT, varint(MOST), "TRUNCATED"),
    ("string cut", "string", TEXT, b"\x06ab", "TRUNCATED"),
    ("bytes cut", "bytes", BLOB, b"\x06ab", "TRUNCATED"),
    ("bytes are not text", "bytes", BLOB, b"\x04\xff\xfe", "OK"),
    # arrays and maps
    ("empty array", array("float"), LIST, b"\x00", "OK"),
    ("array without its end", array("float"), LIST, b"\x02" + floats(1), "TRUNCATED"),
    ("array in two blocks", array("float"), LIST, b"\x02" + floats(1) + b"\x04" + floats(2, 3) + b"\x00", "OK"),
    ("array cut", array("float"), LIST, b"\x04" + floats(1) + b"\x00" * 3, "TRUNCATED"),
    ("array of 2^62", array("float"), LIST, varint(2**62) + b"\x00" * 99, "TRUNCATED"),
    ("array of the most", array("int"), LIST, varint(MOST) + b"\x00" * 99, "TRUNCATED"),
    ("array of the least", array("int"), LIST, varint(LEAST) + varint(4) + b"\x00" * 99, "RANGE"),
    ("array more than its bytes", array("int"), LIST, varint(3) + b"\x02\x02", "TRUNCATED"),
    ("sized floats", array("float"), LIST, sized(2, 8, floats(1, 2)), "OK"),
    ("sized floats, size small", array("float"), LIST, sized(2, 7, floats(1, 2)), "RANGE"),
    ("sized floats, size great", array("float"), LIST, sized(2, 9, floats(1, 2)), "RANGE"),
    ("sized floats, size beyond the record", array("float"), LIST, sized(2, 99, floats(1, 2)), "RANGE"),
    ("sized floats, size -8", array("float"), LIST, sized(2, -8, floats(1, 2)), "RANGE"),
    ("sized floats, no size", array("float"), LIST, varint(-2), "TRUNCATED"),
    ("sized longs", array("long"), LIST, sized(2, 3, varint(300) + varint(1)), "OK"),
    ("sized longs, size great", array("long"), LIST, sized(2, 4, varint(300) + varint(1) + b"\x00"), "RANGE"),
    ("sized longs, size small", array("long"), LIST, sized(2, 2, varint(300) + varint(1)), "RANGE"),
    ("sized longs, size beyond the record", array("long"), LIST, varint(-2) + varint(99) + b"\x02", "RANGE"),
    ("sized 2^62", array("long"), LIST, sized(2**62, 2, b"\x00\x00"), "RANGE"),
    ("item null", array(nullable("float")), LIST, b"\x02\x00\x00", "OK"),
    ("item union 2", array(nullable("float")), LIST, b"\x02\x04\x00", "RANGE"),
    ("item boolean 3", array("boolean"), LIST, b"\x02\x03\x00", "RANGE"),
    ("string items", array("string"), TEXTS, b"\x04\x02a\x00\x00", "OK"),
    ("string item cut", array("string"), TEXTS, b"\x04\x02a\x04b", "TRUNCATED"),
    ("string item not UTF-8", array("string"), TEXTS, b"\x02\x02\xff\x00", "ENCODING"),
    ("arrays in arrays", NESTED, NONE, b"\x04\x02\x02\x00\x00\x00", "OK"),
    ("arrays in arrays, sized", NESTED, NONE, sized(1, 5, sized(1, 1, b"\x02")), "RANGE"),
    ("arrays in arrays, sized right", NESTED, NONE, sized(1, 4, sized(1, 1, b"\x02")), "OK"),
    ("map", MAP, NONE, b"\x02\x02k\x06\x00", "OK"),
    ("map key not UTF-8", MAP, NONE, b"\x02\x02\xff\x06\x00", "ENCODING"),
    ("map of more than its bytes", MAP, NONE, b"\x04\x02k\x06", "TRUNCATED"),
    ("map that its bytes cannot hold", MAP, NONE, b"\x04\x02\xff", "TRUNCATED"),
    ("map, sized wrong", MAP, NONE, sized(1, 4, b"\x02k\x06"), "RANGE"),
    ("array of records", array(PAIR), NONE, b"\x02\x06\x02x\x00", "OK"),
    ("array of records, cut", array(PAIR), NONE, b"\x02\x06\x02", "TRUNCATED"),
]

STRINGS = {
    "two bytes": ("é".encode(), True),
    "three bytes": ("€".encode(), True),
    "four bytes": ("😀".encode(), True),
    "last code point": (b"\xf4\x8f\xbf\xbf", True),
    "beyond the last": (b"\xf4\x90\x80\x80", False),
    "first byte f5": (b"\xf5\x80\x80\x80", False),
    "ff": (b"\xff", False),
    "lone continuation": (b"\x80", False),
    "overlong slash": (b"\xc0\xaf", False),
    "overlong c1": (b"\xc1\xbf", False),
    "overlong in three": (b"\xe0\x9f\xbf", False),
    "least of three": (b"\xe0\xa0\x80", True),
    "overlong in four": (b"\xf0\x8f\xbf\xbf", False),
    "least of four": (b"\xf0\x90\x80\x80", True),
    "last before surrogates": (b"\xed\x9f\xbf", True),
    "first surrogate": (b"\xed\xa0\x80", False),
    "last surrogate": (b"\xed\xbf\xbf", False),
    "first after surrogates": (b"\xee\x80\x80", True),
    "second byte missing": (b"\xc3", False),
    "third byte missing": (b"\xe2\x82", False),
    "fourth byte missing": (b"\xf0\x9f\x98", False),
    "third byte wrong": (b"\xe2\x82\x28", False),
    "fourth byte wrong": (b"\xf0\x9f\x98\x28", False),
}


def verdicts(type_: Any, columns: ColumnSet, data: bytes) -> set[str]:
    """Of the reference, and of the decoder where the field is wanted and where it is not, alone and between others."""
    schema = record({"x": type_})
    found = {strict_avro.verdict(schema, data)}
    for wanted in (columns, NONE):
        found.add(decode_columns(schema, wanted, [data])[0][0])
        found.add(decode_columns(schema, wanted, [b"\x00" * 20, data, b""])[0][1])
    return found


@pytest.mark.parametrize(
    ("type_", "columns", "data", "code"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES]
)
def test_rule(type_: Any, columns: ColumnSet, data: bytes, code: str) -> None:
    assert verdicts(type_, columns, data) == {code}


@pytest.mark.parametrize(("text", "good"), STRINGS.values(), ids=STRINGS.keys())
def test_strings_must_be_utf8(text: bytes, good: bool) -> None:
    """Wherever in the string the bytes stand: the fast path looks at eight, four or one at a time."""
    for before, after in itertools.product((0, 1, 3, 4, 5, 7, 8, 9, 17), (0, 1, 8)):
        whole = b"a" * before + text + b"z" * after
        assert verdicts("string", TEXT, varint(len(whole)) + whole) == {"OK" if good else "ENCODING"}


def test_every_byte_behind_the_datum_is_too_many() -> None:
    assert verdicts("int", NUMBER, b"\x02\x00") == {"TRAILING"}


def test_a_bad_row_is_null_and_gives_back_its_room() -> None:
    """A list that was read before the row went wrong leaves nothing behind: the next row's list lies where it lay."""
    schema = record({"x": array("float"), "y": "boolean"})
    good, bad = b"\x04" + floats(1, 2) + b"\x00\x01", b"\x04" + floats(8, 9) + b"\x00\x05"
    codes, rows = decode_columns(schema, LIST, [good, bad, bad, good])
    assert codes == ["OK", "RANGE", "RANGE", "OK"]
    assert [row["x"] for row in rows] == [[1, 2], [], [], [1, 2]]


def test_bytes_around_a_record_are_not_read() -> None:
    """A record that is cut stays TRUNCATED when the missing bytes happen to follow it in the buffer."""
    schema = record({"x": "string"})
    whole = b"\x14" + b"0123456789"
    for cut in range(len(whole)):
        codes, _ = decode_columns(schema, TEXT, [whole[:cut], whole])
        assert codes == ["TRUNCATED", "OK"]
