"""Events from files that nobody recorded from a topic: CSV, JSON lines, Parquet, plain Avro, through the same mapping.

    rows.py          rows in blocks, as columns of cells          table_file.py    which column is which field
    delimited.py     CSV and its kin                              filling.py       cells to columns of events
    json_lines.py    one object a line                            cells.py         cells to numbers, times, texts
    parquet.py       through pyarrow                              plain_avro.py    containers of events
    source.py        all of them as a source of records

CSV and JSON lines are read by the standard library: its readers are in C and give cells as they stand in the file, so
that one bad cell is one bad row, with its line and column. (A reader that turns whole columns into numbers at once
refuses the block.) Parquet needs pyarrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from streammon.adapters.avro.columns import Defaults
from streammon.adapters.avro.wants import FieldMapping
from streammon.adapters.containers import MAGIC, read_header
from streammon.adapters.envelopes import is_recorded
from streammon.adapters.foreign.delimited import DelimitedTable
from streammon.adapters.foreign.json_lines import BOM, JsonLinesTable
from streammon.adapters.foreign.parquet import ParquetTable
from streammon.adapters.foreign.plain_avro import AvroFile
from streammon.adapters.foreign.rows import File, Table, opened
from streammon.adapters.foreign.source import ForeignSource, Row, RowDecoder
from streammon.adapters.foreign.table_file import TableFile
from streammon.core.errors import UsageError

__all__ = ["ForeignSource", "Row", "RowDecoder", "is_foreign", "open_source"]

_PARQUET = b"PAR1"


def is_foreign(path: Path) -> bool:
    """Whether the file holds something else than recorded envelopes. Raises UsageError where it cannot be read."""
    return _start(path)[: len(MAGIC)] != MAGIC or not is_recorded(read_header(path).schema)


def open_source(
    paths: Sequence[Path], *, topic: str, mapping: FieldMapping, defaults: Defaults, max_row_bytes: int
) -> ForeignSource:
    """The rows of files of any kind, one file behind another, as one partition of `topic`.

    mapping, defaults: from fields of events to columns of the files, as `input.mapping` has them.
    """
    return ForeignSource([_file(path, mapping, defaults, max_row_bytes) for path in paths], topic)


def _file(path: Path, mapping: FieldMapping, defaults: Defaults, max_row_bytes: int) -> File:
    """By its content, not its name."""
    start = _start(path)
    if start.startswith(MAGIC):
        return AvroFile(path, mapping, defaults, max_row_bytes)
    table: Table
    if start.startswith(_PARQUET):
        table = ParquetTable(path)
    elif b"\0" in start:
        raise UsageError(f"{path}: is no text, Avro or Parquet file: give CSV, JSON lines, Parquet, or Avro")
    elif start.removeprefix(BOM).lstrip()[:1] in (b"{", b"["):
        table = JsonLinesTable(path, max_row_bytes)
    else:
        table = DelimitedTable(path, max_row_bytes)
    return TableFile(table, mapping, defaults)


def _start(path: Path) -> bytes:
    with opened(path) as file:
        return file.read(256)
