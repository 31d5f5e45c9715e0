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

from streammon.adapters import containers as container
from streammon.adapters.avro.blocks import Block, ColumnDecoder
from streammon.adapters.avro.columns import ColumnSet
from streammon.adapters.avro.schema import load_schema
from streammon.adapters.containers import read_container_blocks, read_header
from streammon.adapters.envelopes import is_recorded
from streammon.adapters.schema_files import full_name
from streammon.core.errors import Code, UsageError

PLACES = ColumnSet(ints=("partition", "offset", "timestamp"), strings=("topic",), times=frozenset({"timestamp"}))
PARTITION, OFFSET, TIMESTAMP = range(3)
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


def envelope_decoder(path: Path, columns: ColumnSet) -> ColumnDecoder:
    header = read_header(path)
    if not is_recorded(header.schema):
        raise UsageError(
            f"{path}: holds no recorded envelopes but {full_name(header.schema)}: give a file that "
            "`streammon simulate` or `streammon record` wrote"
        )
    return ColumnDecoder([load_schema(header.schema, str(path))], columns)


def decoded(path: Path, decoder: ColumnDecoder, buffer: NDArray[np.uint8], block: container.Block) -> Block:
    """The envelopes of a block."""
    found = decoder.decode_block(buffer, block.low, block.high, block.records)
    if found.code is not Code.OK:
        raise UsageError(f"{path}: a recorded envelope cannot be read ({found.code.name})")
    return found


def _scan(path: Path, heard: Callable[[int], None]) -> RecordedFile:
    decoder = envelope_decoder(path, PLACES)
    seen = np.zeros((4, 0), np.int64)  # by partition: see _follow
    topic: bytes | None = None
    blocks = []
    for raw in read_container_blocks(path):
        block = decoded(path, decoder, np.frombuffer(raw.buffer or b"\0", np.uint8), raw)
        if not block.rows:
            continue
        topic = _topic(block, 0) if topic is None else topic
        seen = _with_room(seen, block, path)
        here = np.full(seen.shape[1], -1, np.int64)
        columns = block.columns
        odd = _follow(
            columns.ints,
            block.buffer,
            columns.string_start,
            columns.string_length,
            np.frombuffer(topic or b"\0", np.uint8)[: len(topic)],
            seen,
            here,
        )
        if odd >= 0:
            raise UsageError(f"{path}: {_oddity(block, odd, topic, seen)}")
        partitions = np.flatnonzero(here >= 0)
        blocks.append(Stretch(raw.start, partitions, here[partitions]))
        heard(block.rows)
    if topic is None:
        raise UsageError(f"{path}: holds no records: record again when the topic holds some")
    first, last, count, begins = seen.tolist()
    spans = {p: Span(first[p], last[p] + 1, count[p], begins[p]) for p in range(seen.shape[1]) if count[p]}
    return RecordedFile(path, topic.decode(), spans, blocks)


FIRST, LAST, COUNT, BEGINS = range(4)  # rows of `seen`


@njit(cache=True, nogil=True)
def _follow(ints, buffer, start, length, topic, seen, here):  # type: ignore[no-untyped-def]  # compiled: numba infers the types
    """Note first and last offset, count and first timestamp of each partition, and in `here` the last offset of these
    rows. Returns the first row of another topic, or whose offset does not follow; -1 where there is none.
    """
    for row in range(len(ints)):
        if length[row, 0] != len(topic):
            return row
        for i in range(len(topic)):
            if buffer[start[row, 0] + i] != topic[i]:
                return row
        p, offset = ints[row, PARTITION], ints[row, OFFSET]
        if seen[COUNT, p] == 0:
            seen[FIRST, p], seen[BEGINS, p] = offset, ints[row, TIMESTAMP]
        elif offset <= seen[LAST, p]:
            return row
        seen[LAST, p] = here[p] = offset
        seen[COUNT, p] += 1
    return -1


def _with_room(seen: NDArray[np.int64], block: Block, path: Path) -> NDArray[np.int64]:
    least, most = int(block.columns.ints[:, PARTITION].min()), int(block.columns.ints[:, PARTITION].max())
    if least < 0 or most >= MOST_PARTITIONS:
        raise UsageError(f"{path}: holds a record of partition {min(least, most)}, which cannot be: record again")
    if most < seen.shape[1]:
        return seen
    grown = np.zeros((len(seen), most + 1), np.int64)
    grown[:, : seen.shape[1]] = seen
    return grown


def _topic(block: Block, row: int) -> bytes:
    start, length = int(block.columns.string_start[row, 0]), int(block.columns.string_length[row, 0])
    return bytes(block.buffer[start : start + length])


def _oddity(block: Block, row: int, topic: bytes, seen: NDArray[np.int64]) -> str:
    if (other := _topic(block, row)) != topic:
        names = ", ".join(sorted(name.decode() for name in (topic, other)))
        return f"holds several topics, {names}: record one topic to a file"
    partition, offset = (int(block.columns.ints[row, column]) for column in (PARTITION, OFFSET))
    return (
        f"offset {offset} of partition {partition} comes after offset {seen[LAST, partition]}: a recording holds "
        "the records of a partition once and in order; record again"
    )


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
