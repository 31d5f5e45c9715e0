"""One row at a time: what a cell may hold, where a path leads, and what becomes of a row that is no event."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streammon.core.baseline import Layout
from streammon.core.errors import Code, UsageError
from streammon.core.events import (
    EMBEDDING,
    FEATURES,
    HTTP_STATUS,
    LANE,
    LATENCY_MS,
    MODEL_ID,
    MODEL_VERSION,
    PREDICTION,
    PROBS,
    SCORE,
    TIMED_OUT,
    TS,
    EventBatch,
)
from streammon.core.plan import ModelShape
from streammon.explain import explainer
from streammon.settings import Settings, plan
from tests.adapters.foreign.writing import WRITERS, batches, source, write_avro, write_json_lines, write_parquet

NOON = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z
HEAD = "ts,model_id,lane,latency_ms,http_status,timed_out,features"
GOOD = f"{NOON},fraud,prod,1.5,200,false,[1]"


def only(path: Path, **settings: Any) -> EventBatch:
    """All rows of a small file."""
    (batch,) = batches(source(path, **settings))
    return batch


def csv_file(folder: Path, *lines: str, head: str = HEAD) -> Path:
    path = folder / "export.csv"
    path.write_text("\n".join((head, *lines)) + "\n", encoding="utf-8")
    return path


# --- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1769860800", NOON),
        ("1769860800.25", NOON + 250_000),
        ("1769860800000", NOON),
        ("1769860800000000", NOON),
        ("1769860800000000999", NOON),
        ("1.7698608E12", NOON),
        ("2026-01-31T12:00:00Z", NOON),
        ("2026-01-31 14:00:00.000001+02:00", NOON + 1),
        ("2026-01-31 12:00:00+00", NOON),
        ("2026-01-31 12:00:00.5 UTC", NOON + 500_000),
        ("1965-01-01T00:00:00Z", -157_766_400_000_000),
    ],
)
def test_a_time_is_iso_8601_or_a_number_whose_size_tells_its_unit(text: str, expected: int, tmp_path: Path) -> None:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970; in CSV and as values of JSON alike."""
    assert only(csv_file(tmp_path, f"{text},fraud", head="ts,model_id")).ints[0, TS] == expected
    number = json.loads(text) if text[4] != "-" else text
    write_json_lines(tmp_path / "a.jsonl", [{"ts": number}])
    assert only(tmp_path / "a.jsonl", defaults={"model_id": "fraud"}).ints[0, TS] == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-31T12:00:00", "no moment without a time zone"),
        ("2026-01-31", "no moment without a time zone"),
        ("yesterday", "not a time"),
        ("5", "not a time"),
        ("-1769860800", "not a time"),
        ("1" * 21, "not a time"),
        ("nan", "not a time"),
    ],
)
def test_what_is_no_moment_is_refused_by_name(text: str, why: str, tmp_path: Path) -> None:
    """Of a file in which nothing else stands there is nothing to replay."""
    with pytest.raises(
        UsageError, match=f"export.csv: the only row is no event; export.csv, line 2, column ts: {why}.*: {text}$"
    ):
        source(csv_file(tmp_path, f"{text},fraud", head="ts,model_id"))


def test_cells_of_csv_become_numbers_flags_and_lists(tmp_path: Path) -> None:
    """Empty is null; whole numbers may have a point; true, t and 1 are true in any case."""
    batch = only(
        csv_file(
            tmp_path,
            f'{NOON},fraud,prod,1.5,200,True,"[1, null, NaN, 2.5]"',
            f'{NOON},"fr,""aud""\nß",,,404.0,t,[]',
            f"{NOON},fraud,,inf,,,",
        )
    )
    assert batch.code.tolist() == [Code.OK] * 3
    assert batch.ints[:, HTTP_STATUS].tolist() == [200, 404, 0]
    assert batch.ints[:, TIMED_OUT].tolist() == [1, 1, 0]
    np.testing.assert_array_equal(batch.floats[:, LATENCY_MS], [1.5, np.nan, np.inf])
    assert [batch.text(row, MODEL_ID) for row in range(3)] == ["fraud", 'fr,"aud"\nß', "fraud"]
    assert [batch.text(row, LANE) for row in range(3)] == ["prod", None, None]
    np.testing.assert_array_equal(batch.numbers(0, FEATURES), [1.0, np.nan, np.nan, 2.5])
    assert batch.list_length[:, FEATURES].tolist() == [4, 0, 0]


def test_values_of_json_become_columns(tmp_path: Path) -> None:
    """A number may stand as text (as BigQuery exports it), and a whole number for text."""
    rows: list[dict[str, Any]] = [
        {"ts": NOON, "model_id": "fraud", "model_version": 3, "score": "0.25", "timed_out": True, "probs": [0.5, None]},
        {"ts": "2026-01-31T12:00:00Z", "model_id": "fraud", "score": None, "http_status": "404", "later": [1]},
    ]
    write_json_lines(tmp_path / "a.jsonl", rows)
    batch = only(tmp_path / "a.jsonl")
    assert [batch.text(row, MODEL_VERSION) for row in range(2)] == ["3", None]
    np.testing.assert_array_equal(batch.floats[:, SCORE], [0.25, np.nan])
    assert batch.ints.tolist() == [[NOON, 0, 1], [NOON, 404, 0]]
    np.testing.assert_array_equal(batch.numbers(0, PROBS), [0.5, np.nan])


# --- paths ------------------------------------------------------------------------------------------------------------

NESTED = {
    "at": NOON,
    "request": {"model": {"name": "fraud"}, "inputs": {"age": 40.0, "a.b": 1.0}},
    "items": [{"price": 2.0}, {"price": None}, {"price": 4.0}],
    "groups": [{"items": [5.0, 6.0]}, {"items": []}, {"items": None}],
}
MAPPING = {
    "ts": "at",
    "model_id": "request.model.name",
    "features": ["request.inputs.age", "request.inputs[a.b]", "items[0].price", "items[9].price", "items[].price"],
    "embedding": "groups[].items[]",
    "latency_ms": "request.inputs[nothing]",
}
EXPECTED = [40.0, 1.0, 2.0, np.nan, 2.0, np.nan, 4.0]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_a_path_leads_into_values_of_several_parts(kind: str, tmp_path: Path) -> None:
    """The same paths as in records, with the same meaning; in CSV into cells that are JSON."""
    path = tmp_path / f"nested.{kind}"
    if kind == "jsonl":
        write_json_lines(path, [NESTED])
    elif kind == "csv":
        cells = (json.dumps(value).replace('"', '""') for value in NESTED.values())
        path.write_text(",".join(NESTED) + "\n" + ",".join(f'"{cell}"' for cell in cells) + "\n")
    else:
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([NESTED]), path)
    batch = only(path, mapping=MAPPING)
    assert batch.text(0, MODEL_ID) == "fraud"
    np.testing.assert_array_equal(batch.numbers(0, FEATURES), EXPECTED)
    assert batch.numbers(0, EMBEDDING).tolist() == [5.0, 6.0]
    assert np.isnan(batch.floats[0, LATENCY_MS])


def test_a_column_may_be_called_like_a_path(tmp_path: Path) -> None:
    """Flattened exports have such names."""
    path = csv_file(tmp_path, f"{NOON},fraud,7", head="ts,model.name,applicant[0].age")
    batch = only(path, mapping={"model_id": "model.name", "features": ["applicant[0].age"]})
    assert (batch.text(0, MODEL_ID), batch.numbers(0, FEATURES).tolist()) == ("fraud", [7.0])


def test_defaults_and_null_in_the_mapping(tmp_path: Path) -> None:
    """A column that is lacking takes the default; a cell that is empty does not; what is mapped to null is not read."""
    path = csv_file(tmp_path, f"{NOON},fraud,", head="ts,model_id,lane")
    batch = only(
        path, defaults={"prediction": "cat", "lane": "prod", "http_status": 200}, mapping={"model_version": None}
    )
    assert [batch.text(0, column) for column in (PREDICTION, LANE)] == ["cat", None]
    assert batch.ints[0, HTTP_STATUS] == 200
    assert only(path, mapping={"lane": None}).string_length[0, LANE] == -1


def test_files_follow_each_other(tmp_path: Path) -> None:
    """Each with columns in an order of its own; gzip or not; an empty one among them. Offsets go on."""
    one, two, three = tmp_path / "1.csv", tmp_path / "2.csv", tmp_path / "3.jsonl.gz"
    one.write_text(f"ts,model_id\n{NOON},a\n\n{NOON + 1},b\n")
    two.write_text("model_id;ts\n")
    three.write_bytes(gzip.compress(f'{{"model_id": "c", "ts": {NOON + 2}}}\n\n'.encode()))
    opened = source(one, two, three)
    assert (opened.first, opened.topic) == ({0: 0}, "inference-events")
    found = list(batches(opened))
    assert [batch.text(row, MODEL_ID) for batch in found for row in range(len(batch))] == ["a", "b", "c"]
    assert np.concatenate([batch.offset for batch in found]).tolist() == [0, 1, 2]
    assert np.concatenate([batch.timestamp for batch in found]).tolist() == [NOON, NOON + 1, NOON + 2]


# --- rows that are no events ------------------------------------------------------------------------------------------


def letters(path: Path, **settings: Any) -> list[tuple[int, str, str | None, str, bytes]]:
    """(row, code, column, message, bytes) of rows that are no events, as their dead letters have them."""
    opened = source(path, **settings)
    explain = explainer(opened.decoder, plan(Settings()), {})
    found = []
    while (records := opened.poll(0.0)) is not None:
        codes = opened.decoder.decode(records).code
        for row in np.flatnonzero(codes).tolist():
            value = records.origin(row).value
            assert value is not None
            name, message = explain(value, Code(codes[row]), int(records.timestamp[row]))
            found.append((int(records.offset[row]), Code(codes[row]).name, name, message, bytes(value)))
    return found


@pytest.mark.parametrize(
    ("row", "code", "column", "why"),
    [
        (f"{NOON},fraud,prod,1.5,200,false", "TRUNCATED", None, "the row has 6 cells, and there are 7 columns"),
        (f"{NOON},fraud,prod,1.5,200,false,[1],x", "TRAILING", None, "the row has 8 cells, and there are 7 columns"),
        (f"{NOON},fraud,prod,fast,200,false,[1]", "RANGE", "latency_ms", "not a number: fast"),
        (f"{NOON},fraud,prod,1.5,200.5,false,[1]", "RANGE", "http_status", "not a whole number of 32 bits: 200.5"),
        (
            f"{NOON},fraud,prod,1.5,{2**31},false,[1]",
            "RANGE",
            "http_status",
            "not a whole number of 32 bits: 2147483648",
        ),
        (f"{NOON},fraud,prod,1.5,200,maybe,[1]", "RANGE", "timed_out", "neither true nor false: maybe"),
        (
            f"{NOON},fraud,prod,1.5,200,false,1",
            "RANGE",
            "features",
            "not a list, which is a JSON array such as [0.5, null, 2]: 1",
        ),
        (f"{NOON},fraud,prod,1.5,200,false,[1", "RANGE", "features", "not JSON: [1"),
        (f'{NOON},fraud,prod,1.5,200,false,"[1,""x""]"', "RANGE", "features[1]", "not a number: x"),
        (f"{NOON},*,prod,1.5,200,false,[1]", "RANGE", "model_id", "reserved for series of our own: *"),
        (f"{NOON},__other__,prod,1.5,200,false,[1]", "RANGE", "model_id", "reserved for series of our own: __other__"),
        (f"{NOON},fraud,*,1.5,200,false,[1]", "RANGE", "lane", "reserved for series of our own: *"),
        ("soon,fraud,prod,1.5,200,false,[1]", "RANGE", "ts", "March 1973 or later: soon"),
        (",fraud,prod,1.5,200,false,[1]", "MISSING", "ts", "a value that every event needs is null"),
        (f"{NOON},,prod,1.5,200,false,[1]", "MISSING", "model_id", "a value that every event needs is null"),
    ],
)
def test_a_bad_row_is_one_dead_letter(row: str, code: str, column: str | None, why: str, tmp_path: Path) -> None:
    """With the row as it stands in the file; file, line and column are in the message. Its neighbours are events."""
    path = csv_file(tmp_path, GOOD, f'{NOON},"two\nlines",prod,1,200,f,[1]', row, GOOD)
    assert [batch.code.astype(bool).tolist() for batch in batches(source(path))] == [[False, False, True, False]]
    ((offset, *rest, message, value),) = letters(path)
    assert (offset, *rest, value.decode()) == (2, code, column, row)
    place = "export.csv, line 5" + (f", column {column}" if column else "")
    assert message.startswith(f"{place}: ")
    assert why in message


def test_text_that_is_not_utf_8_is_one_bad_row(tmp_path: Path) -> None:
    """In CSV and JSON lines."""
    path = tmp_path / "export.csv"
    path.write_bytes(f"ts,model_id\n{NOON},a\n{NOON},".encode() + b"\xff\n" + f"{NOON},c\n".encode())
    assert [(row, code, value) for row, code, _, _, value in letters(path)] == [
        (1, "ENCODING", f"{NOON},".encode() + b"\xff")
    ]
    lines = [{"ts": NOON, "model_id": name} for name in ("a", "\ud800")]
    write_json_lines(tmp_path / "a.jsonl", lines)
    (tmp_path / "a.jsonl").write_bytes((tmp_path / "a.jsonl").read_bytes() + b'{"model_id": "\xff"}\n')
    found = letters(tmp_path / "a.jsonl")
    assert [(row, code, name) for row, code, name, _, _ in found] == [
        (1, "ENCODING", "model_id"),
        (2, "ENCODING", None),
    ]


def test_bad_lines_of_json(tmp_path: Path) -> None:
    """Text that is no JSON, JSON that is no object, brackets without end, a line that is too long."""
    path = tmp_path / "a.jsonl"
    good = json.dumps({"ts": NOON, "model_id": "a"})
    path.write_text("\n".join([good, "{'ts': 1}", "7", "[" * 100_000, f'{{"x": "{"y" * 2**20}"}}', good]))
    assert [(row, code, message.split(": ")[0]) for row, code, _, message, _ in letters(path)] == [
        (1, "FRAMING", "a.jsonl, line 2"),
        (2, "FRAMING", "a.jsonl, line 3"),
        (3, "FRAMING", "a.jsonl, line 4"),
        (4, "OVERSIZED", "a.jsonl, line 5"),
    ]


def test_a_quote_that_is_not_closed_does_not_swallow_the_file(tmp_path: Path) -> None:
    """Beyond the limit on a record the reader takes up again at the next line."""
    rows = [f'{NOON},"a', *[f"{NOON},{'x' * 1000}"] * 2_000, f"{NOON},b"]
    found = letters(csv_file(tmp_path, f"{NOON},a", *rows, head="ts,model_id"))
    assert [(row, code) for row, code, *_ in found] == [(1, "OVERSIZED")]
    assert "is a quote not closed?" in found[0][3]


def test_bad_rows_of_parquet_and_avro(tmp_path: Path) -> None:
    """Their types leave little that can be wrong. A dead letter shows a row of Parquet as JSON."""
    rows = [{"ts": NOON, "model_id": name, "lane": "prod"} for name in ("a", "*", "b", None)]
    write_parquet(tmp_path / "a.parquet", rows)
    found = letters(tmp_path / "a.parquet")
    assert [(row, code, name) for row, code, name, *_ in found] == [
        (1, "RANGE", "model_id"),
        (3, "MISSING", "model_id"),
    ]
    assert found[0][3] == "a.parquet, row 2, column model_id: reserved for series of our own: *"
    assert json.loads(found[0][4])["model_id"] == "*"
    write_avro(tmp_path / "a.avro", [avro_event("a"), avro_event("*"), avro_event("b")])
    ((row, code, name, message, _),) = letters(tmp_path / "a.avro")
    assert (row, code, name) == (1, "RANGE", "model_id")
    assert message == "a.avro, row 2, column model_id: a value is outside what its type allows"


@pytest.mark.parametrize("kind", sorted(WRITERS))
def test_a_bad_row_far_into_a_file_keeps_its_place(kind: str, tmp_path: Path) -> None:
    """Row and line count through all blocks. A row that is no event has the time of the one before it."""
    rows = [avro_event(f"m{i % 3}") | {"ts": NOON + i} for i in range(9_500)]
    for bad in (4_096, 9_002):
        rows[bad]["model_id"] = "*"
    path = tmp_path / f"long.{kind}"
    WRITERS[kind](path, rows)
    if kind == "jsonl":
        path.write_text("\n" + path.read_text())
    line = "row 9,003" if kind in ("parquet", "avro") else "line 9,004"
    found = letters(path)
    assert [row for row, *_ in found] == [4_096, 9_002]
    assert found[1][3].startswith(f"long.{kind}, {line}, column model_id: ")
    if kind in ("csv", "jsonl"):
        assert str(NOON + 9_002) in found[1][4].decode()
    timestamps = np.concatenate([batch.timestamp for batch in batches(source(path))])
    expected = np.arange(NOON, NOON + 9_500)
    expected[[4_096, 9_002]] -= 1
    assert timestamps.tolist() == expected.tolist()


def test_lists_of_parquet_are_put_together_with_others(tmp_path: Path) -> None:
    """Null and empty lists among them."""
    import pyarrow
    import pyarrow.parquet

    columns = {"ts": [NOON] * 4, "model_id": ["a"] * 4, "age": [1.0, None, 3.0, 4.0]}
    lists = pyarrow.array([[0.5, 0.25], None, [], [0.75, None]], pyarrow.list_(pyarrow.float32()))
    pyarrow.parquet.write_table(pyarrow.table(columns | {"scores": lists}), tmp_path / "a.parquet")
    batch = only(tmp_path / "a.parquet", mapping={"features": ["age", "scores[]"], "embedding": "scores"})
    expected = [[1.0, 0.5, 0.25], [np.nan], [3.0], [4.0, 0.75, np.nan]]
    for row, numbers in enumerate(expected):
        np.testing.assert_array_equal(batch.numbers(row, FEATURES), numbers)
        np.testing.assert_array_equal(batch.numbers(row, EMBEDDING), numbers[1:])


def test_what_the_engine_refuses_is_explained_by_the_row(tmp_path: Path) -> None:
    """DIMENSION is known only where the models are."""
    opened = source(csv_file(tmp_path, GOOD))
    declared = replace(plan(Settings()), models=(ModelShape("*", Layout(("a", "b"))),))
    records = opened.poll(0.0)
    assert records is not None
    explain = explainer(opened.decoder, declared, {})
    assert explain(records.origin(0).value, Code.DIMENSION, NOON) == (
        "features",
        "export.csv, line 2, column features: features has length 1; the baseline or the settings say 2",
    )


def avro_event(model: str) -> dict[str, Any]:
    names = ("req_id", "model_version", "lane")
    return {"ts": NOON, "model_id": model, **dict.fromkeys(names, "1")}
