"""Avro container files, block by block: written atomically and reproducibly, read as a stream with errors that help.

A file is a header (magic, metadata with the writer's schema, sync marker) and blocks (count, size, data, sync marker).
"""

from __future__ import annotations

import bz2
import json
import lzma
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import SchemaParseException

from streammon.adapters.schema_files import MALFORMED, Schema, full_name, parsed, read_datum, schema_identity
from streammon.core.errors import UsageError
from streammon.scopes import ClosedOrDiscarded

T = TypeVar("T")

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
BLOCK_BYTES = 1 << 20

_METADATA = parse_schema({"type": "map", "values": "bytes"})
_LONG = parse_schema("long")
_LONG_BYTES = 10  # at most
_METADATA_BYTES = 1 << 20  # at most: read before anything about the file is known

_COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.compress(data, wbits=-zlib.MAX_WBITS),
}
_DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.decompress(data, wbits=-zlib.MAX_WBITS),
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
}


class ContainerHeader(NamedTuple):
    schema: Any  # of the writer, as in the file
    codec: str
    metadata: dict[str, bytes]  # what is not Avro's own
    sync: bytes
    length: int  # bytes up to the first block


class Block(NamedTuple):
    """A block, decompressed: buffer[low:high]. What is not compressed is not copied: blocks may share a buffer."""

    schema: Any
    codec: str  # of the file
    buffer: bytes
    low: int
    high: int
    records: int
    start: int  # byte of the file at which it begins

    @property
    def data(self) -> bytes:
        return self.buffer[self.low : self.high]


class ContainerWriter(ClosedOrDiscarded, Generic[T]):
    """Writes items of one schema to `PATH.partial`, which becomes PATH on a close without error and vanishes otherwise.

    Equal arguments and items give equal bytes: the sync marker is the caller's.
    """

    def __init__(
        self,
        path: Path,
        schema: Schema,
        to_record: Callable[[T], Mapping[str, Any]],
        *,
        sync: bytes,
        codec: str = "null",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        if codec not in _COMPRESS:
            raise UsageError(f"{path}: cannot write codec {codec}; choose one of {', '.join(_COMPRESS)}")
        assert len(sync) == SYNC_BYTES
        self.path = path
        self._partial = path.with_name(path.name + ".partial")
        self._schema, self._to_record, self._sync, self._compress = schema, to_record, sync, _COMPRESS[codec]
        self._block, self._count = BytesIO(), 0
        header = {"avro.schema": json.dumps(schema.definition, separators=(",", ":")), "avro.codec": codec}
        with self._disk():
            self._file: BinaryIO = self._partial.open("wb")
            self._file.write(MAGIC)
            entries = {name: text.encode() for name, text in (header | dict(metadata or {})).items()}
            schemaless_writer(self._file, _METADATA, entries)
            self._file.write(sync)

    def write(self, items: Iterable[T]) -> None:
        """Append items."""
        schema, to_record = self._schema.plain, self._to_record
        for item in items:
            schemaless_writer(self._block, schema, to_record(item))
            self._appended()

    def write_data(self, items: Iterable[bytes]) -> None:
        """Append items that are Avro data of this schema already."""
        for data in items:
            self._block.write(data)
            self._appended()

    def _appended(self) -> None:
        self._count += 1
        if self._block.tell() >= BLOCK_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._flush()
        with self._disk():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._partial.replace(self.path)

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):  # a full disk refuses the last bytes once more
            self._file.close()
        self._partial.unlink(missing_ok=True)

    def _flush(self) -> None:
        if not self._count:
            return
        data = self._compress(self._block.getvalue())
        with self._disk():
            schemaless_writer(self._file, _LONG, self._count)
            schemaless_writer(self._file, _LONG, len(data))
            self._file.write(data)
            self._file.write(self._sync)
        self._block, self._count = BytesIO(), 0

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if hasattr(self, "_file"):
                self.discard()
            raise UsageError(f"cannot write {self.path}: {error.strerror}") from error


def read_header(path: Path) -> ContainerHeader:
    """What a container file says about itself."""
    with _opened(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise UsageError(f"{path} is not an Avro container file: it does not start with 'Obj' and version 1")
        start = BytesIO(file.read(_METADATA_BYTES))
        try:
            metadata: dict[str, bytes] = schemaless_reader(start, _METADATA, None)  # type: ignore[assignment]
            schema = json.loads(metadata["avro.schema"])
            codec = metadata.get("avro.codec", b"null").decode()
        except (*MALFORMED, RecursionError) as error:
            raise UsageError(f"{path}: the header is damaged ({error}): copy or write the file again") from error
        sync = start.read(SYNC_BYTES)
        if len(sync) < SYNC_BYTES:
            raise UsageError(f"{path}: the file ends within its header: copy or write it again")
    if codec not in _DECOMPRESS:
        raise UsageError(f"{path}: codec {codec} is not supported; write the file with one of {', '.join(_DECOMPRESS)}")
    own = {name: value for name, value in metadata.items() if not name.startswith("avro.")}
    return ContainerHeader(schema, codec, own, sync, len(MAGIC) + start.tell())


def read_container_blocks(path: Path, starts: Iterable[int] | None = None, at_once: int = 0) -> Iterator[Block]:
    """The blocks of a container file, one at a time in memory, or `at_once` bytes of them, which share a buffer. With
    `starts` those that begin at these bytes.
    """
    return _blocks(path, read_header(path), starts, at_once)


def read_records(path: Path, schema: Schema) -> Iterator[dict[str, Any]]:
    """The records of a file of this schema in any version. Not for large files: see `read_container_blocks`."""
    header = read_header(path)
    if (name := full_name(header.schema)) != schema.full_name:
        raise UsageError(f"{path} holds {name}, not {schema.full_name}: give a file of the right kind")
    return _records(path, header, schema)


def _records(path: Path, header: ContainerHeader, schema: Schema) -> Iterator[dict[str, Any]]:
    try:
        writer = parsed(header.schema)
    except SchemaParseException as error:
        raise UsageError(f"{path}: the schema in its header is damaged ({error}): write the file again") from error
    reader = None if schema_identity(header.schema) == schema.identity else schema.plain
    for block in _blocks(path, header):
        stream = BytesIO(block.data)
        for _ in range(block.records):
            yield read_datum(stream, writer, reader, str(path))


class _Damaged(Exception):
    """What is wrong with a block."""


class _Stretch:
    """Some bytes of a file, in memory. Not mapped: the page faults took longer than the copy."""

    def __init__(self, file: BinaryIO, at_once: int) -> None:
        self.size = os.fstat(file.fileno()).st_size
        self._file, self._at_once = file, at_once
        self.buffer, self._start = b"", 0

    def holding(self, start: int, size: int) -> int:
        """Where byte `start` of the file is in `buffer`, with `size` bytes, or all that are left."""
        size = min(size, self.size - start)
        if not self._start <= start <= start + size <= self._start + len(self.buffer):
            self.buffer, self._start = os.pread(self._file.fileno(), max(size, self._at_once), start), start
        return start - self._start


def _blocks(
    path: Path, header: ContainerHeader, starts: Iterable[int] | None = None, at_once: int = 0
) -> Iterator[Block]:
    with _opened(path) as file:
        stretch = _Stretch(file, at_once)
        number = records = 0
        for start in _following(stretch, header) if starts is None else starts:
            try:
                block = _read_block(stretch, start, header)
            except _Damaged as damage:
                before = f"block {number} (from byte {start}) {damage}; the {records} records before it are whole"
                raise UsageError(f"{path}: {before}. Copy or write the file again") from damage
            yield block
            number, records = number + 1, records + block.records


def _following(stretch: _Stretch, header: ContainerHeader) -> Iterator[int]:
    """Where blocks begin: the first one, then wherever the one before it ended."""
    start = header.length
    while start < stretch.size:
        yield start
        low, _, length = _head(stretch, start)
        start = low + length + SYNC_BYTES


def _head(stretch: _Stretch, start: int) -> tuple[int, int, int]:
    """Of the block from byte `start`: the byte at which its data begin, its records, and the length of its data."""
    at = stretch.holding(start, 2 * _LONG_BYTES)
    head = BytesIO(stretch.buffer[at : at + 2 * _LONG_BYTES])
    count, length = _read_long(head), _read_long(head)
    return start + head.tell(), count, length


def _read_block(stretch: _Stretch, start: int, header: ContainerHeader) -> Block:
    try:
        low, count, length = _head(stretch, start)
    except EOFError:
        raise _Damaged("is truncated: the file ends within its head") from None
    if count < 0 or length < 0:
        raise _Damaged(f"is damaged: it claims {count} records in {length} bytes")
    if (missing := low + length + SYNC_BYTES - stretch.size) > 0:
        raise _Damaged(f"is truncated: {missing} bytes are missing")
    at = stretch.holding(start, low - start + length + SYNC_BYTES) + low - start
    high = at + length
    if stretch.buffer[high : high + SYNC_BYTES] != header.sync:
        raise _Damaged("is damaged: it does not end with the sync marker of the file")
    if header.codec == "null":
        return Block(header.schema, header.codec, stretch.buffer, at, high, count, start)
    try:
        data = _DECOMPRESS[header.codec](stretch.buffer[at:high])
    except (zlib.error, OSError, EOFError, ValueError, lzma.LZMAError) as error:
        raise _Damaged(f"is damaged: {header.codec} cannot decompress it ({error})") from error
    return Block(header.schema, header.codec, data, 0, len(data), count, start)


def _read_long(file: BinaryIO) -> int:
    """A number in Avro's variable-length zig-zag encoding."""
    value = 0
    for index in range(_LONG_BYTES):
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << 7 * index
        if byte[0] < 0x80:
            break
    return (value >> 1) ^ -(value & 1)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    with file:
        yield file
