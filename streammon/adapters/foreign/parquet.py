"""Parquet, through pyarrow: the extra `parquet`."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streammon.adapters.foreign.rows import BLOCK_ROWS, Arrays, Rows
from streammon.core.errors import UsageError


class ParquetTable:
    """One file."""

    kind, fixed = "Parquet", True

    def __init__(self, path: Path) -> None:
        self.path = path
        with _opened(path) as file:
            self.names: Sequence[str] = file.schema_arrow.names
            self.records: int = file.metadata.num_rows

    def rows(self, columns: Collection[str]) -> Iterator[Rows]:
        wanted = [name for name in self.names if name in columns]
        before = 0
        with _opened(self.path) as file:
            for batch in file.iter_batches(BLOCK_ROWS, columns=wanted):
                yield _rows(batch, before)
                before += batch.num_rows


def _rows(batch: Any, before: int) -> Rows:
    columns = {name: _cells(column) for name, column in zip(batch.schema.names, batch.columns, strict=True)}

    def text(row: int) -> bytes:
        """What is read of the row, as JSON."""
        return json.dumps({name: cells[row] for name, cells in columns.items()}, default=str).encode()

    return Rows(batch.num_rows, columns, {}, lambda row: f"row {before + row + 1:,}", text)


def _cells(column: Any) -> Sequence[Any]:
    from pyarrow import compute, float64, timestamp, types

    type_ = column.type
    if types.is_list(type_) and types.is_floating(type_.value_type):
        lengths = compute.fill_null(compute.list_value_length(column), 0)
        return Arrays(column.flatten().cast(float64()).to_numpy(zero_copy_only=False), lengths.to_numpy())
    if types.is_timestamp(type_) and type_.unit == "ns":  # which Python's datetime has no room for
        column = column.cast(timestamp("us", type_.tz), safe=False)
    cells: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
    return cells


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise UsageError(
            f"{path}: Parquet files are read by pyarrow, which is not installed: pip install 'streammon[parquet]', "
            "or export CSV or JSON lines"
        ) from None
    try:
        with ParquetFile(path) as file:
            yield file
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except pyarrow.ArrowException as error:
        raise UsageError(f"{path}: is damaged, or no Parquet file ({error}): copy or write it again") from error
