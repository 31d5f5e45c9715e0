"""What some recorded files hold: found in one quick pass over each, places and topics only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from streammon.adapters.containers import read_container_blocks, read_header
from streammon.adapters.envelope_blocks import OFFSET, PARTITION, TIMESTAMP, refuse_topics, walked
from streammon.adapters.envelopes import SCHEMA, is_recorded
from streammon.adapters.schema_files import full_name, load_schema, schema_identity
from streammon.core.errors import UsageError

MOST_PARTITIONS = 1 << 20  # more than a cluster can have


class Span(NamedTuple):
    """What is to be read of a partition: offsets first to end - 1."""

    first: int
    end: int
    records: int  # at most
    begins: int  # timestamp of the first record, microseconds


class Stretch(NamedTuple):
    """A block of a file, and what it holds."""

    start: int  # byte of the file at which it begins
    partitions: NDArray[np.int64]
    last: NDArray[np.int64]  # greatest offset of each


class RecordedFile(NamedTuple):
    path: Path
    topic: str
    spans: dict[int, Span]
    blocks: list[Stretch]


@dataclass(frozen=True)
class RecordedLog:
    """Records of one topic, in one or several files, which are in an order in which every partition's offsets rise."""

    topic: str
    files: Sequence[RecordedFile]
    spans: Mapping[int, Span]  # of all files together
    hole: str | None = None  # offsets between two files that neither holds; None where there are none

    @classmethod
    def open(cls, paths: Sequence[Path], heard: Callable[[int], None] = lambda records: None) -> RecordedLog:
        """Reads the files once. `heard` is told, now and then, of so many more records."""
        files = [_scan(path, heard) for path in paths]
        for file in files[1:]:
            if file.topic != files[0].topic:
                raise UsageError(
                    f"{file.path} is of topic {file.topic}, and {files[0].path} of {files[0].topic}: replay one topic"
                )
        ordered = _in_order(files)
        return cls(files[0].topic, ordered, _joined(ordered), _hole(ordered))

    @property
    def records(self) -> int:
        return sum(span.records for span in self.spans.values())

    @property
    def identity(self) -> list[Any]:
        """What tells it from other recordings: JSON values."""
        return [[file.path.name, file.path.stat().st_size, file.path.stat().st_mtime_ns] for file in self.files]


def check_recorded(path: Path) -> None:
    """Raises UsageError where a file holds no envelopes, or such as this version does not know."""
    schema = read_header(path).schema
    if not is_recorded(schema):
        raise UsageError(
            f"{path}: holds no recorded envelopes but {full_name(schema)}: give a file that "
            "`streammon simulate` or `streammon record` wrote"
        )
    if schema_identity(schema) != load_schema(SCHEMA).identity:
        raise UsageError(f"{path}: another version of streammon recorded it: record again, or use that version")


def _scan(path: Path, heard: Callable[[int], None]) -> RecordedFile:
    check_recorded(path)
    seen = np.zeros((4, 0), np.int64)  # by partition: see _follow
    topic = b""
    blocks: list[Stretch] = []
    for block in read_container_blocks(path):
        found = walked(path, [block])
        if not block.records:
            continue
        if found.topic != topic and blocks:
            refuse_topics(path, topic, found.topic)
        topic = found.topic
        seen = _with_room(seen, found.columns[PARTITION], path)
        here = np.full(seen.shape[1], -1, np.int64)
        odd = _follow(found.columns, seen, here)
        if odd >= 0:
            partition, offset = found.columns[[PARTITION, OFFSET], odd].tolist()
            raise UsageError(
                f"{path}: offset {offset} of partition {partition} comes after offset {seen[LAST, partition]}: a "
                "recording holds the records of a partition once and in order; record again"
            )
        partitions = np.flatnonzero(here >= 0)
        blocks.append(Stretch(block.start, partitions, here[partitions]))
        heard(block.records)
    if not blocks:
        raise UsageError(f"{path}: holds no records: record again when the topic holds some")
    first, last, count, begins = seen.tolist()
    spans = {p: Span(first[p], last[p] + 1, count[p], begins[p]) for p in range(seen.shape[1]) if count[p]}
    return RecordedFile(path, topic.decode(), spans, blocks)


FIRST, LAST, COUNT, BEGINS = range(4)  # rows of `seen`


@njit(cache=True, nogil=True)
def _follow(columns, seen, here):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """Note first and last offset, count and first timestamp of each partition, and in `here` the last offset of these
    rows. Returns the first row whose offset does not follow; -1 where there is none.
    """
    for row in range(columns.shape[1]):
        p, offset = columns[PARTITION, row], columns[OFFSET, row]
        if seen[COUNT, p] == 0:
            seen[FIRST, p], seen[BEGINS, p] = offset, columns[TIMESTAMP, row]
        elif offset <= seen[LAST, p]:
            return row
        seen[LAST, p] = here[p] = offset
        seen[COUNT, p] += 1
    return -1


def _with_room(seen: NDArray[np.int64], partition: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
    least, most = int(partition.min()), int(partition.max())
    if least < 0 or most >= MOST_PARTITIONS:
        wrong = least if least < 0 else most
        raise UsageError(f"{path}: holds a record of partition {wrong}, which cannot be: record again")
    if most < seen.shape[1]:
        return seen
    grown = np.zeros((len(seen), most + 1), np.int64)
    grown[:, : seen.shape[1]] = seen
    return grown


def _pieces(files: Sequence[RecordedFile]) -> dict[int, list[tuple[Span, RecordedFile]]]:
    """What the files hold of each partition, in order of offsets."""
    found: dict[int, list[tuple[Span, RecordedFile]]] = {}
    for file in files:
        for partition, span in file.spans.items():
            found.setdefault(partition, []).append((span, file))
    return {partition: sorted(found[partition], key=lambda piece: piece[0]) for partition in sorted(found)}


def _in_order(files: Sequence[RecordedFile]) -> list[RecordedFile]:
    """Every partition's offsets rise from file to file."""
    number = {id(file): n for n, file in enumerate(files)}
    order: TopologicalSorter[int] = TopologicalSorter(dict.fromkeys(range(len(files)), ()))
    for partition, pieces in _pieces(files).items():
        for (a, before), (b, after) in pairwise(pieces):
            if b.first < a.end:
                raise UsageError(
                    f"{before.path} and {after.path} both hold offset {b.first} of partition {partition}: "
                    "give each record once"
                )
            order.add(number[id(after)], number[id(before)])
    try:
        return [files[n] for n in order.static_order()]
    except CycleError as error:
        names = ", ".join(sorted({str(files[n].path) for n in error.args[1]}))
        raise UsageError(
            f"{names}: one is ahead in one partition and behind in another, so they cannot be read one after the "
            "other: record the topic to one file, or each partition to its own"
        ) from error


def _joined(files: Sequence[RecordedFile]) -> dict[int, Span]:
    return {
        partition: Span(
            pieces[0][0].first, pieces[-1][0].end, sum(span.records for span, _ in pieces), pieces[0][0].begins
        )
        for partition, pieces in _pieces(files).items()
    }


def _hole(files: Sequence[RecordedFile]) -> str | None:
    """One offset may be a transaction's own; more between two files look like a file that was forgotten."""
    for partition, pieces in _pieces(files).items():
        for (a, before), (b, after) in pairwise(pieces):
            if b.first > a.end + 1:
                return (
                    f"offsets {a.end} to {b.first - 1} of partition {partition} lie in no file "
                    f"(between {before.path} and {after.path})"
                )
    return None
