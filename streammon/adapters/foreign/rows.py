"""Rows of a file in blocks, as columns of cells; what a kind of file has to offer."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.foreign.cells import Problem
from streammon.core.errors import UsageError
from streammon.core.events import EventBatch

BLOCK_ROWS = 4096
GZIP = b"\x1f\x8b"


class Arrays(Sequence[list[float]]):
    """A column whose cells are lists of numbers, and already lie one behind another. Null is an empty list."""

    def __init__(self, values: NDArray[np.float64], lengths: NDArray[np.int32]) -> None:
        self.values, self.lengths = values, lengths
        self._ends = np.cumsum(lengths)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: Any) -> Any:
        end = self._ends[row]
        return self.values[end - self.lengths[row] : end].tolist()


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows that follow each other. In rows that have a problem all cells are None."""

    count: int
    columns: Mapping[str, Sequence[Any]]  # by name, `count` cells each; null is None
    problems: Mapping[int, Problem]  # by row
    where: Callable[[int], str]  # the place of a row in the file, for a person: "line 17"
    text: Callable[[int], bytes]  # a row, for its dead letter


class Table(Protocol):
    """A file of rows."""

    path: Path
    kind: str
    names: Sequence[str]  # of its columns
    fixed: bool  # whether no row has others
    records: int  # rows; where lines are counted, at most: some may be empty, or within a cell

    def rows(self, columns: Collection[str]) -> Iterator[Rows]:
        """From the beginning, blocks of at most BLOCK_ROWS, with these columns only."""


class Events(NamedTuple):
    """What some rows are."""

    batch: EventBatch  # its offsets and timestamps are not set
    problem: Callable[[int], Problem]  # of a row that is no event
    where: Callable[[int], str]  # as in Rows
    text: Callable[[int], bytes]


class File(Protocol):
    """A file of rows, as events."""

    path: Path
    records: int

    def blocks(self) -> Iterator[Events]:
        """From the beginning; never an empty one."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file of text, decompressed where it is gzip, whatever its name."""
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.open(file) as text:
                yield text  # type: ignore[misc]  # it reads like any other
    except (gzip.BadGzipFile, zlib.error) as error:
        raise UsageError(f"{path}: cannot be decompressed ({error}): copy or write the file again") from error
    except EOFError:
        raise UsageError(f"{path}: the file ends within its compressed data: copy or write it again") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error


def lines_in(path: Path) -> int:
    """How many lines a file of text has."""
    count, last = 0, b"\n"
    with opened(path) as file:
        while block := file.read(1 << 20):
            count, last = count + block.count(b"\n"), block[-1:]
    return count + (last != b"\n")
