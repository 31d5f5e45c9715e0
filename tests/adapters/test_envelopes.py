"""Files: containers are atomic, reproducible, readable by others, and say what is wrong with them."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon.adapters.containers import BLOCK_BYTES, read_container_blocks, read_header
from streammon.adapters.envelopes import (
    CREATE_TIME,
    LOG_APPEND_TIME,
    NOT_AVAILABLE,
    Envelope,
    EnvelopeWriter,
    is_recorded,
    read_envelopes,
)
from streammon.adapters.files import OutputFile, read_outputs
from streammon.adapters.schema_files import load_schema
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from tests.adapters.test_codec import ALERT, METRIC
from tests.golden import make

SYNC = make.SYNC
GOLDEN = [
    Envelope(
        "inference-events",
        3,
        41,
        1714564800123,
        LOG_APPEND_TIME,
        b"fraud",
        b"\xc3\x01\x00\x01\x02",
        (("trace", b"\x00\xff"), ("trace", None)),
    ),
    Envelope("inference-events", 3, 42, -1, NOT_AVAILABLE, None, None),
]

text = st.text(st.characters(codec="utf-8"), max_size=8)
data = st.none() | st.binary(max_size=20)
envelope = st.builds(
    Envelope,
    topic=text,
    partition=st.integers(0, 2**31 - 1),
    offset=st.integers(0, 2**63 - 1),
    timestamp=st.integers(-1, 2**60),
    timestamp_type=st.sampled_from([CREATE_TIME, LOG_APPEND_TIME, NOT_AVAILABLE]),
    key=data,
    value=data,
    headers=st.lists(st.tuples(text, data), max_size=3).map(tuple),
)


def stream(count: int, size: int = 1000) -> list[Envelope]:
    return [
        Envelope("events", 0, offset, offset, CREATE_TIME, b"k", bytes([offset % 256]) * size)
        for offset in range(count)
    ]


def write(path: Path, envelopes: list[Envelope], codec: str = "null") -> bytes:
    with EnvelopeWriter(path, SYNC, codec) as writer:
        writer.write(envelopes)
    return path.read_bytes()


def test_a_recorded_file_is_golden(tmp_path: Path) -> None:
    """Block for block what the oracle made (the header repeats the schema's docs, which may change)."""
    golden, path = make.golden("recorded_envelope.1"), tmp_path / "a.avro"
    written = write(path, GOLDEN)
    assert list(read_envelopes(golden)) == GOLDEN
    assert written[read_header(path).length :] == golden.read_bytes()[read_header(golden).length :]


@given(st.lists(envelope, max_size=5), st.sampled_from(["null", "deflate"]))
def test_envelopes_survive(tmp_path_factory: pytest.TempPathFactory, envelopes: list[Envelope], codec: str) -> None:
    path = tmp_path_factory.mktemp("envelopes") / "a.avro"
    write(path, envelopes, codec)
    assert list(read_envelopes(path)) == envelopes


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_equal_streams_give_equal_files(tmp_path: Path, codec: str) -> None:
    """However the stream was cut into calls of `write`."""
    envelopes = stream(3000)
    whole = write(tmp_path / "a.avro", envelopes, codec)
    with EnvelopeWriter(tmp_path / "b.avro", SYNC, codec) as writer:
        for item in envelopes:
            writer.write([item])
    assert (tmp_path / "b.avro").read_bytes() == whole


@pytest.mark.parametrize("codec", ["null", "deflate"])
def test_other_tools_read_our_files(tmp_path: Path, codec: str) -> None:
    """fastavro's own reader sees the records, with dates where we have numbers."""
    write(tmp_path / "a.avro", stream(10), codec)
    with (tmp_path / "a.avro").open("rb") as file:
        found = list(fastavro.reader(file))
    assert [record["offset"] for record in found] == list(range(10))  # type: ignore[index, call-overload]
    assert found[7]["timestamp"].microsecond == 7000  # type: ignore[index, call-overload, union-attr]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz"])
def test_we_read_files_of_other_tools(tmp_path: Path, codec: str) -> None:
    """Blocks come decompressed, with the writer's own schema; such a file holds no envelopes."""
    schema = {"type": "record", "name": "Click", "fields": [{"name": "x", "type": "int"}]}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [{"x": x} for x in range(60)], codec=codec, sync_interval=16)
    blocks = list(read_container_blocks(tmp_path / "a.avro"))
    assert len(blocks) > 1
    assert b"".join(block.data for block in blocks) == bytes(range(0, 120, 2))
    assert sum(block.records for block in blocks) == 60
    assert {block.codec for block in blocks} == {codec}
    assert not is_recorded(blocks[0].schema)
    with pytest.raises(UsageError, match=r"a\.avro holds Click, not streammon\.v1\.RecordedEnvelope"):
        read_envelopes(tmp_path / "a.avro")


def test_envelopes_of_other_tools_are_envelopes(tmp_path: Path) -> None:
    """fastavro joins namespace and name, and drops the docs: still the same schema."""
    schema = fastavro.parse_schema(load_schema("recorded_envelope").definition)
    record = GOLDEN[0]._asdict() | {"headers": [{"key": "a", "value": b"1"}]}
    with (tmp_path / "a.avro").open("wb") as file:
        fastavro.writer(file, schema, [record])
    assert is_recorded(read_header(tmp_path / "a.avro").schema)
    assert list(read_envelopes(tmp_path / "a.avro")) == [GOLDEN[0]._replace(headers=(("a", b"1"),))]


def test_blocks_are_bounded(tmp_path: Path) -> None:
    """A reader holds one block at a time: about a megabyte, whatever the file's size."""
    write(tmp_path / "a.avro", stream(5000))
    blocks = list(read_container_blocks(tmp_path / "a.avro"))
    assert len(blocks) == 5
    assert all(len(block.data) < BLOCK_BYTES + 2000 for block in blocks)
    assert is_recorded(blocks[0].schema)


def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "a.avro", [])
    assert list(read_container_blocks(tmp_path / "a.avro")) == []


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """Until close there is a .partial; after an error there is nothing, and an older file stays as it was."""
    path = tmp_path / "a.avro"
    old = write(path, stream(1))
    with EnvelopeWriter(path, SYNC) as writer:
        writer.write(stream(5000))
        assert path.read_bytes() == old
        assert (tmp_path / "a.avro.partial").exists()
    new = path.read_bytes()
    assert len(new) > len(old)
    with pytest.raises(ZeroDivisionError), EnvelopeWriter(path, SYNC) as writer:
        writer.write(item._replace(offset=1 // (4000 - item.offset)) for item in stream(5000))
    assert [file.name for file in tmp_path.iterdir()] == ["a.avro"]
    assert path.read_bytes() == new


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot write .*a\.avro: No such file or directory"):
        EnvelopeWriter(tmp_path / "nowhere" / "a.avro", SYNC)
    with pytest.raises(UsageError, match="cannot write codec snappy; choose one of null, deflate"):
        EnvelopeWriter(tmp_path / "a.avro", SYNC, "snappy")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full: Linux only")
def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """The message says so, and the partial file is gone."""
    (tmp_path / "a.avro.partial").symlink_to("/dev/full")
    with (
        pytest.raises(UsageError, match=r"cannot write .*: No space left on device"),
        EnvelopeWriter(tmp_path / "a.avro", SYNC) as writer,
    ):
        writer.write(stream(5000))
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path) -> None:
    """It names the block and what is whole; only at the end of a block is there nothing to see."""
    path = tmp_path / "a.avro"
    whole = write(path, GOLDEN)
    start = read_header(path).length
    for length in [*range(0, start, 50), *range(start, len(whole))]:
        path.write_bytes(whole[:length])
        if length == start:
            assert list(read_envelopes(path)) == []
            continue
        with pytest.raises(
            UsageError,
            match=": block 0 .* is truncated:"
            if length > start
            else "is not an Avro|: the (header is damaged|file ends within)",
        ):
            list(read_envelopes(path))


def test_a_truncated_block_is_named_after_the_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.avro"
    path.write_bytes(write(path, stream(3000))[:-1000])
    blocks = read_container_blocks(path)
    whole = [next(blocks), next(blocks)]
    before = sum(block.records for block in whole)
    message = rf"block 2 \(from byte \d+\) is truncated: 1000 bytes are missing; the {before} records .* Copy or write"
    with pytest.raises(UsageError, match=message):
        next(blocks)


@pytest.mark.parametrize(
    "position, message",
    [
        (-1, "does not end with the sync marker"),
        (-20, "deflate cannot decompress it"),
    ],
)
def test_a_damaged_block_is_refused(tmp_path: Path, position: int, message: str) -> None:
    path = tmp_path / "a.avro"
    whole = bytearray(write(path, stream(10), "deflate"))
    whole[position] ^= 0xFF
    path.write_bytes(whole)
    with pytest.raises(UsageError, match=f"block 0 .* is damaged: .*{message}"):
        list(read_container_blocks(path))


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "No such file or directory"),
        (b"", "is not an Avro container"),
        (b'{"ts": 1}\n', "is not an Avro container"),
        (b"Obj\x01\x00", "header is damaged"),
        (b"Obj\x01\x02\x16avro.schema\x04{}\x00", "ends within its header"),
    ],
)
def test_what_is_no_container_is_refused_at_once(tmp_path: Path, content: bytes | None, message: str) -> None:
    """By the call itself, before the first block is asked for."""
    if content is not None:
        (tmp_path / "a.avro").write_bytes(content)
    with pytest.raises(UsageError, match=rf"a\.avro.*{message}"):
        read_container_blocks(tmp_path / "a.avro")


def test_an_unknown_codec_is_refused(tmp_path: Path) -> None:
    buffer = BytesIO(b"")
    fastavro.schemaless_writer(
        buffer,
        {"type": "map", "values": "bytes"},
        {"avro.schema": b'"int"', "avro.codec": b"brotli"},
    )
    (tmp_path / "a.avro").write_bytes(b"Obj\x01" + buffer.getvalue() + SYNC)
    with pytest.raises(UsageError, match=r"codec brotli is not supported; .* null, deflate, bzip2, xz"):
        read_container_blocks(tmp_path / "a.avro")


def test_outputs_survive_in_files(tmp_path: Path) -> None:
    """With the metadata of the run; equal runs give equal files."""
    for name in ("a", "b"):
        with OutputFile(tmp_path / name, MetricEvent, {"plan_hash": "aaaa", "comparable": "yes"}) as file:
            file.write([METRIC, METRIC])
    assert list(read_outputs(tmp_path / "a", MetricEvent)) == [METRIC, METRIC]
    assert read_header(tmp_path / "a").metadata == {"plan_hash": b"aaaa", "comparable": b"yes"}
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_alerts_are_no_metrics(tmp_path: Path) -> None:
    with OutputFile(tmp_path / "alerts.avro", AlertEvent, {}) as file:
        file.write([ALERT])
    assert list(read_outputs(tmp_path / "alerts.avro", AlertEvent)) == [ALERT]
    with pytest.raises(UsageError, match=r"holds streammon\.v1\.AlertEvent, not streammon\.v1\.MetricEvent"):
        read_outputs(tmp_path / "alerts.avro", MetricEvent)
