"""Paths of a mapping: through records, arrays and maps, alone and put together."""

from __future__ import annotations

import math
from typing import Any

import pytest

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.avro.wants import FieldMapping
from streammon.core import events
from streammon.core.errors import Code
from streammon.core.events import EventBatch
from tests.adapters.avro_cases import array, batch, encode, nullable, record, varint

KEYS: dict[str, Any] = {"ts": "long", "model_id": "string"}
GIVEN = {"ts": 5, "model_id": "m"}
ITEM = record({"price": nullable("double"), "name": "string", "sizes": array("int"), "ok": "boolean"}, "Item")
ITEMS = [
    {"price": 1.5, "name": "a", "sizes": [1, 2], "ok": True},
    {"price": None, "name": "bb", "sizes": [], "ok": False},
    {"price": -2.0, "name": "", "sizes": [3], "ok": True},
]
NAN = math.nan


def map_of(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


def decode(fields: dict[str, Any], mapping: FieldMapping, *values: dict[str, Any]) -> EventBatch:
    """Events of a schema with the keys and `fields`; all must be good."""
    schema = record(KEYS | fields)
    decoded = AvroDecoder([schema], "raw", mapping).decode(batch([encode(schema, GIVEN | value) for value in values]))
    assert set(decoded.code.tolist()) == {Code.OK}
    return decoded


def features(decoded: EventBatch) -> list[list[float]]:
    return [decoded.numbers(row, events.FEATURES).tolist() for row in range(len(decoded))]


def categories(decoded: EventBatch, row: int) -> list[str]:
    first, count = int(decoded.string_list_start[row, 0]), int(decoded.string_list_length[row, 0])
    spans = zip(decoded.item_start[first:].tolist(), decoded.item_length[first:].tolist(), strict=True)
    return [bytes(decoded.buffer[start : start + length]).decode() for start, length in spans][:count]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("items[].price", [[1.5, NAN, -2.0], []]),  # null is missing
        ("items[].ok", [[1, 0, 1], []]),
        ("items[].sizes[]", [[1, 2, 3], []]),
        ("items[].sizes[0]", [[1, NAN, 3], []]),  # one value an item
        ("items[0].sizes", [[1, 2], []]),
        ("items[0].sizes[]", [[1, 2], []]),
        (["items[0].price", "items[1].price", "items[9].price"], [[1.5, NAN, NAN], [NAN, NAN, NAN]]),
        (["items[2].price", "ts", "items[].price", "items[0].sizes[1]", "items[].sizes[]"], None),
    ],
)
def test_numbers_from_arrays(path: str | list[str], expected: list[list[float]] | None) -> None:
    decoded = decode({"items": array(ITEM)}, {"features": path}, {"items": ITEMS}, {"items": []})
    several = [[-2.0, 5.0, 1.5, NAN, -2.0, 2.0, 1, 2, 3], [NAN, 5.0, NAN]]
    assert str(features(decoded)) == str([[float(x) for x in row] for row in expected or several])


def test_strings_from_arrays_and_maps() -> None:
    fields = {"items": array(ITEM), "tags": map_of("string"), "country": nullable("string")}
    mapping = {"categories": ["country", "items[].name", "tags[site]", "items[0].name"]}
    rows: list[dict[str, Any]] = [
        {"items": ITEMS, "tags": {"site": "x"}, "country": "DE"},
        {"items": [], "tags": {}, "country": None},
    ]
    decoded = decode(fields, mapping, *rows, *rows)
    for row in (0, 2):
        assert categories(decoded, row) == ["DE", "a", "bb", "", "x", "a"]
        assert categories(decoded, row + 1) == ["", "", ""]
    assert categories(decode(fields, {"categories": "items[].name"}, rows[0]), 0) == ["a", "bb", ""]
    assert categories(decode(fields, {"categories": ["country", "tags.site"]}, *rows), 1) == ["", ""]


def test_several_lists_from_one_array_lie_apart() -> None:
    """Each reads the array anew; single values of its items are had beside them."""
    mapping = {
        "features": "items[].price",
        "probs": "items[].ok",
        "categories": "items[].name",
        "score": "items[2].price",
    }
    decoded = decode({"items": array(ITEM)}, mapping, {"items": ITEMS}, {"items": []}, {"items": ITEMS * 9})
    assert str(features(decoded)) == str([[1.5, NAN, -2.0], [], [1.5, NAN, -2.0] * 9])
    assert decoded.numbers(0, events.PROBS).tolist() == [1, 0, 1]
    assert categories(decoded, 0) == ["a", "bb", ""]
    assert str(decoded.floats[:, events.SCORE].tolist()) == "[-2.0, nan, -2.0]"


def test_one_array_can_be_two_lists() -> None:
    decoded = decode({"x": array("float")}, {"features": "x", "probs": "x[]"}, {"x": [1, 2]}, {"x": [3]})
    assert features(decoded) == [[1, 2], [3]]
    assert [decoded.numbers(row, events.PROBS).tolist() for row in range(2)] == [[1, 2], [3]]


@pytest.mark.parametrize("age", ["inputs.age", "inputs[age]"])
def test_keys_of_a_map(age: str) -> None:
    """Whatever other keys there are, in whatever order; a key that is absent is null."""
    mapping = {"features": [age, "inputs[a.b]", "inputs[größe]"], "score": "inputs[größe]"}
    decoded = decode(
        {"inputs": map_of(nullable("double"))},
        mapping,
        {"inputs": {"größe": 3.0, "x": 9.0, "age": 1.0, "a.b": None}},
        {"inputs": {}},
        {"inputs": {"ag": 8.0, "agE": 8.0, "agent": 8.0, "": 8.0, "a.b": 2.0}},
    )
    assert str(features(decoded)) == "[[1.0, nan, 3.0], [nan, nan, nan], [nan, 2.0, nan]]"
    assert str(decoded.floats[:, events.SCORE].tolist()) == "[3.0, nan, nan]"


def test_hundreds_of_keys() -> None:
    keys = [f"feature_{number}" for number in range(300)]
    values = {key: float(number) for number, key in enumerate(reversed(keys))}
    decoded = decode({"inputs": map_of("double")}, {"features": [f"inputs.{key}" for key in keys]}, {"inputs": values})
    assert features(decoded) == [[float(number) for number in range(299, -1, -1)]]


TEXTS = record({"n": nullable("int"), "l": array("float"), "s": nullable("string")}, "Texts")


def test_a_key_that_comes_again_wins_whole() -> None:
    """Also with less in it: nothing of the first remains."""
    schema = record(KEYS | {"m": map_of(TEXTS)})
    first = b"\x02a" + encode(TEXTS, {"n": 1, "l": [1.0, 2.0], "s": "x"})
    second = b"\x02a" + encode(TEXTS, {"n": None, "l": [], "s": None})
    mapping = {
        "score": "m.a.n",
        "http_status": "m.a.n",
        "lane": "m.a.s",
        "probs": "m.a.l",
        "embedding": ["m.a.l[1]", "m.a.n"],
        "categories": ["m.a.s"],
    }
    data = [b"\x0a\x02m" + varint(2) + one + two + b"\0" for one, two in ((first, second), (second, first))]
    decoded = AvroDecoder([schema], "raw", mapping).decode(batch(data))
    assert decoded.code.tolist() == [Code.OK, Code.OK]
    assert str(decoded.floats[:, events.SCORE].tolist()) == "[nan, 1.0]"
    assert decoded.ints[:, events.HTTP_STATUS].tolist() == [0, 1]
    assert [decoded.text(row, events.LANE) for row in range(2)] == [None, "x"]
    assert [decoded.numbers(row, events.PROBS).tolist() for row in range(2)] == [[], [1, 2]]
    assert str([decoded.numbers(row, events.EMBEDDING).tolist() for row in range(2)]) == "[[nan, nan], [2.0, 1.0]]"
    assert [categories(decoded, row) for row in range(2)] == [[""], ["x"]]


def test_unions_of_several_branches_take_those_that_fit() -> None:
    """A value of another branch is null: missing in a list, and MISSING where an event must have it."""
    fields = {
        "n": ["string", "null", "long", "double"],
        "l": array(["string", "null", "long"]),
        "p": [record({"lane": "string"}, "One"), "string", record({"lane": "int", "x": "int"}, "Two")],
    }
    mapping = {"score": "n", "features": "l", "lane": "p.lane", "http_status": "p.x"}
    decoded = decode(
        fields,
        mapping,
        {"n": "high", "l": ["a", 1, None], "p": {"lane": "x"}},
        {"n": 3, "l": [], "p": "text"},
        {"n": 0.5, "l": [2, "b"], "p": ("Two", {"lane": 7, "x": 8})},
    )
    assert str(decoded.floats[:, events.SCORE].tolist()) == "[nan, 3.0, 0.5]"
    assert str(features(decoded)) == "[[nan, 1.0, nan], [], [2.0, nan]]"
    assert [decoded.text(row, events.LANE) for row in range(3)] == ["x", None, None]
    assert decoded.ints[:, events.HTTP_STATUS].tolist() == [0, 0, 8]
    schema = record({"ts": ["long", "string"], "model_id": ["string", "int"]})
    data = [b"\0\x02\0\x02m", b"\x02\x02t\0\x02m", b"\0\x02\x02\x02"]
    assert AvroDecoder([schema], "raw").decode(batch(data)).code.tolist() == [Code.OK, Code.MISSING, Code.MISSING]


def test_room_for_what_is_read_several_times() -> None:
    """Lists that read the same bytes anew, put together too: as many values as there can be, of one byte each."""
    fields = {"x": array("boolean"), "y": array(array("boolean"))}
    paths = ["x[]"] * 9 + ["y[][]"] * 3 + ["x[0]", "x[1]"]
    rows = [{"x": [True] * count, "y": [[True] * count] * 3} for count in (0, 1, 500)]
    decoded = decode(fields, {"features": paths, "probs": "x"}, *rows)
    assert [len(row) for row in features(decoded)] == [2, 9 + 9 + 2, 500 * 9 + 1500 * 3 + 2]
    assert all(set(row[:-2]) <= {1.0} for row in features(decoded))
