"""What is wrong with a file as a whole is said at once: the file, the place, and what to do."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from streammon.adapters.foreign import is_foreign
from streammon.core.errors import UsageError
from tests.adapters.foreign.writing import batches, source, write_avro, write_json_lines, write_parquet

EVENT = {"ts": 1_769_860_800_000_000, "model_id": "a"}
TEXT = "ts,model_id\n1769860800,a\n"


@pytest.mark.parametrize(
    ("text", "mapping", "message"),
    [
        ("", {}, "line 1 is empty: expected the names of the columns"),
        ("\n1,a\n", {}, "line 1 is empty: expected the names of the columns"),
        ("ts,model_id\n", {}, "no rows"),
        ("ts,model_id,ts\n", {}, "line 1 names column ts twice: rename one of them"),
        (
            "when,model_id\n1769860800,a\n",
            {},
            "no column ts, which every event needs: say in input.mapping which it is; its columns are when, model_id",
        ),
        ("1769860800,a\n1769860801,a\n", {}, "no column model_id, which every event needs"),
        (
            TEXT,
            {"features": ["age"]},
            "read as CSV: input.mapping takes features from age, which is no column: map it elsewhere",
        ),
        (TEXT, {"ts": None}, "no column ts, which every event needs"),
        (
            TEXT.replace("1769860800", "31.1.2026"),
            {},
            "the only row is no event; export, line 2, column ts: not a time",
        ),
        (
            TEXT + "x,a\n",
            {"ts": "model_id"},
            "none of the first 2 rows is an event; export, line 2, column model_id: not a time",
        ),
        ('[{"ts": 1769860800}]', {}, "begins with [, so it is one JSON array: write one object a line"),
        ('{"ts": 1769860800}\n', {}, "no column model_id, which every event needs"),
        (json.dumps(EVENT), {"lane": "arm"}, "takes lane from arm, which is in none of the first rows"),
        ('{"ts": \n', {}, "holds no JSON lines; line 1: the line is not JSON: Expecting value at character 7"),
        ("\0\0\0", {}, "is no text, Avro or Parquet file: give CSV, JSON lines, Parquet, or Avro"),
    ],
)
def test_a_text_that_cannot_be_replayed(text: str, mapping: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Nothing at all, no names, names that the mapping does not know, a first block without any event."""
    path = tmp_path / "export"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        source(path, mapping=mapping)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_file_that_is_cut_or_damaged(tmp_path: Path) -> None:
    """Compressed text, Parquet and Avro: no traceback, and the file's name."""
    packed, parquet, avro = tmp_path / "a.csv.gz", tmp_path / "a.parquet", tmp_path / "a.avro"
    packed.write_bytes(gzip.compress(("ts,model_id\n" + "1769860800,a\n" * 50_000).encode())[:-200])
    write_parquet(parquet, [EVENT] * 50)
    write_avro(avro, [EVENT | dict.fromkeys(("req_id", "model_version", "lane"), "x")] * 50)
    for path in (packed, parquet, avro):
        data = path.read_bytes()
        path.write_bytes(data[:-30])
        with pytest.raises(UsageError, match=path.name):
            list(batches(source(path)))
    with pytest.raises(UsageError, match=r"cannot read .*nowhere.csv: No such file or directory"):
        source(tmp_path / "nowhere.csv")


def test_a_damaged_row_of_avro_names_the_row(tmp_path: Path) -> None:
    """Nobody can tell where the next one begins."""
    path = tmp_path / "a.avro"
    write_avro(path, [EVENT | {"req_id": f"request{i}", "model_version": "1", "lane": "prod"} for i in range(3)])
    import fastavro

    with path.open("rb") as file:
        schema = fastavro.reader(file).writer_schema
    rows = [EVENT | {"req_id": f"request{i}", "model_version": "1", "lane": "prod"} for i in range(3)]
    with path.open("wb") as file:
        fastavro.writer(file, schema, rows, codec="null")
    path.write_bytes(path.read_bytes().replace(b"request1", b"request\xff"))
    with pytest.raises(UsageError, match=r"a\.avro: row 2 is damaged"):
        source(path)


def test_parquet_needs_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says how to get it, or what else to export; CSV and JSON lines do without."""
    write_parquet(tmp_path / "a.parquet", [EVENT])
    write_json_lines(tmp_path / "a.jsonl", [EVENT])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pip install 'streammon\\[parquet\\]', or export CSV or JSON lines"):
        source(tmp_path / "a.parquet")
    assert source(tmp_path / "a.jsonl").records == 1


def test_an_avro_file_whose_schema_does_not_fit_is_named(tmp_path: Path) -> None:
    """With what the mapping asked for."""
    write_avro(tmp_path / "a.avro", [EVENT | dict.fromkeys(("req_id", "model_version", "lane"), "x")])
    with pytest.raises(UsageError, match=r"a\.avro: field features: 'age' of schema .* does not exist"):
        source(tmp_path / "a.avro", mapping={"features": ["age"]})


def test_a_recording_is_not_foreign(tmp_path: Path) -> None:
    """Whatever the names of the files."""
    from streammon.adapters.envelopes import EnvelopeWriter

    recording, plain = tmp_path / "a.csv", tmp_path / "b.avro"
    with EnvelopeWriter(recording, bytes(16)):
        pass
    write_avro(plain, [EVENT | dict.fromkeys(("req_id", "model_version", "lane"), "x")])
    assert (is_foreign(recording), is_foreign(plain)) == (False, True)
