"""Metric and alert events in files: what a replay writes and what comparisons and reports read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

from streammon.adapters.codec import OutputT, from_record, schema_of, to_record
from streammon.adapters.containers import SYNC_BYTES, ContainerWriter, read_records


class OutputFile(ContainerWriter[OutputT]):
    """Writes outputs of one kind with the schema of their topic."""

    def __init__(self, path: Path, kind: type[OutputT], metadata: Mapping[str, str]) -> None:
        # The sync marker follows from the metadata, so that equal replays give equal files.
        sync = blake2b(repr((kind.__name__, sorted(metadata.items()))).encode(), digest_size=SYNC_BYTES).digest()
        super().__init__(path, schema_of(kind), to_record, sync=sync, metadata=metadata)


def read_outputs(path: Path, kind: type[OutputT]) -> Iterator[OutputT]:
    """The outputs in a file, whichever version of the schema wrote it."""
    return (from_record(kind, record) for record in read_records(path, schema_of(kind)))
