"""The changelog of a partition as Kafka records: keys and values, to bytes and back.

A key is JSON text, `[kind, [model_id, model_version, lane] or "-", item, chunk]`, without spaces, so that one thing
always has the same key. A value is Avro in single-object encoding. The arrays of a pane are joined and compressed (they
are mostly zeros); what is still too large for one record is cut into chunks, each a record of its own.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple, assert_never

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.schema_files import load_schema
from streammon.core.errors import UsageError
from streammon.core.outputs import Series
from streammon.core.ports import ChangelogKey, ChangelogRecords
from streammon.core.state import FORMAT, ActiveBaseline, ClockState, HeaderState, PaneState, RuleState, State

CHUNK_BYTES = 512 * 1024
NONE = "-"  # in a key, where series or item do not apply

KINDS = ("pane", "clock", "rule", "header")

_DTYPES = {name: np.dtype(name).newbyteorder("<") for name in ("int32", "int64", "float64")}
_REMEDY = "the state cannot be used; rebuild it from the input, or upgrade streammon if a newer version wrote it"


class States(NamedTuple):
    """The contents of a changelog."""

    panes: list[PaneState]
    clocks: list[ClockState]
    rules: list[RuleState]
    headers: dict[str, HeaderState]  # by item of the key


def encode_key(key: ChangelogKey) -> bytes:
    return json.dumps(key, separators=(",", ":"), ensure_ascii=False).encode()


def decode_key(data: bytes) -> ChangelogKey:
    try:
        kind, series, item, chunk = json.loads(data)
        if kind not in KINDS:
            raise ValueError(f"kind {kind!r}")
        return ChangelogKey(kind, series if series == NONE else Series(*series), str(item), int(chunk))
    except (ValueError, TypeError) as error:
        raise UsageError(f"changelog key {data[:200]!r} is unknown to this version ({error}): {_REMEDY}") from error


def changelog_key(state: State, header: str = NONE) -> ChangelogKey:
    """The key of a state, of its chunk 0. `header` tells several headers of one partition apart."""
    match state:
        case PaneState():
            level = f"/{state.level}" if state.level else ""
            return ChangelogKey("pane", state.series, f"{state.start}{level}")
        case ClockState():
            return ChangelogKey("clock", state.series, NONE)
        case RuleState():
            return ChangelogKey("rule", state.series, state.rule_id)
        case HeaderState():
            return ChangelogKey("header", NONE, header)
        case _:
            assert_never(state)


def tombstones(key: ChangelogKey, chunks: int = 1, since: int = 0) -> ChangelogRecords:
    """Removes chunks `since` to `chunks` - 1 of a thing."""
    return {key._replace(chunk=chunk): None for chunk in range(since, chunks)}


def encode_changelog(state: State, header: str = NONE, chunks_before: int = 0) -> ChangelogRecords:
    """The records of a state. `chunks_before` is how many chunks it took last time: those left over get a tombstone."""
    key = changelog_key(state, header)
    schema = load_schema(f"changelog_{key.kind}")
    records = [schema.to_bytes(record) for record in _records(state)]
    return {key._replace(chunk=chunk): value for chunk, value in enumerate(records)} | tombstones(
        key, chunks_before, since=len(records)
    )


def decode_changelog(values: Mapping[ChangelogKey, bytes]) -> States:
    """The states in a changelog; chunks beyond those that chunk 0 announces are left out.

    Headers are judged first, so that a state in another format is refused as such.
    """
    states = States([], [], [], {})
    for key, value in values.items():
        if key.kind == "header":
            states.headers[key.item] = _read_header(_read(key, value))
    for key, value in values.items():
        if key.chunk != 0:
            continue
        if key.kind == "pane":
            first = _read(key, value)
            states.panes.append(_read_pane(first, _joined(key, first, values)))
        elif key.kind == "clock":
            states.clocks.append(ClockState(**_arguments(ClockState, _read(key, value))))
        elif key.kind == "rule":
            states.rules.append(_read_rule(_read(key, value)))
    return states


def _read(key: ChangelogKey, value: bytes) -> dict[str, Any]:
    try:
        return load_schema(f"changelog_{key.kind}").from_bytes(value)
    except UsageError as error:
        raise UsageError(f"changelog {encode_key(key).decode()}: {error}: {_REMEDY}") from error


def _records(state: State) -> list[dict[str, Any]]:
    record = {name: getattr(state, name) for name in state.__slots__}
    if not isinstance(state, HeaderState):
        record |= record.pop("series")._asdict()
    match state:
        case PaneState():
            return _pane_records(state, record)
        case ClockState():
            return [record | {name: _sorted(getattr(state, name)) for name in ("late_reported", "last_full")}]
        case RuleState():
            memories = [{"feature": feature, **memory} for feature, memory in sorted(state.memories.items())]
            return [record | {"memories": memories}]
        case HeaderState():
            baselines = [ActiveBaseline(*item)._asdict() for item in state.active_baselines]
            return [record | {"active_baselines": baselines, "counters": _sorted(state.counters)}]
        case _:
            assert_never(state)


def _pane_records(state: PaneState, record: dict[str, Any]) -> list[dict[str, Any]]:
    layout = [{"name": name, "dtype": array.dtype.name, "shape": array.shape} for name, array in state.fields.items()]
    joined = b"".join(array.astype(_dtype(array.dtype.name), copy=False).tobytes() for array in state.fields.values())
    data = zlib.compress(joined, level=1)
    pieces = [data[low : low + CHUNK_BYTES] for low in range(0, len(data), CHUNK_BYTES)]
    return [
        record | {"chunk": chunk, "chunks": len(pieces), "fields": layout if chunk == 0 else [], "data": piece}
        for chunk, piece in enumerate(pieces)
    ]


def _joined(key: ChangelogKey, first: dict[str, Any], values: Mapping[ChangelogKey, bytes]) -> bytes:
    """The bytes of a pane's arrays."""
    pieces = [first["data"]]
    for chunk in range(1, first["chunks"]):
        value = values.get(key._replace(chunk=chunk))
        if value is None:
            raise UsageError(
                f"changelog {encode_key(key).decode()}: chunk {chunk} of {first['chunks']} is missing: {_REMEDY}"
            )
        pieces.append(_read(key, value)["data"])
    try:
        data = zlib.decompress(b"".join(pieces))
    except zlib.error as error:  # its checksum also sees chunks of different snapshots
        raise UsageError(f"changelog {encode_key(key).decode()}: the data is damaged ({error}): {_REMEDY}") from error
    if len(data) != sum(prod(item["shape"]) * _dtype(item["dtype"]).itemsize for item in first["fields"]):
        raise UsageError(f"changelog {encode_key(key).decode()}: {len(data)} bytes do not fill its arrays: {_REMEDY}")
    return data


def _read_pane(record: dict[str, Any], data: bytes) -> PaneState:
    arrays: dict[str, NDArray[Any]] = {}
    position = 0
    for item in record["fields"]:
        dtype, count = _dtype(item["dtype"]), prod(item["shape"])
        view = np.frombuffer(data, dtype, count, position).reshape(item["shape"])
        arrays[item["name"]] = view.astype(item["dtype"])  # a copy: writable, aligned
        position += count * dtype.itemsize
    return PaneState(**_arguments(PaneState, record | {"fields": arrays, "baselines": tuple(record["baselines"])}))


def _dtype(name: str) -> np.dtype[Any]:
    if name not in _DTYPES:
        raise UsageError(f"changelog: an array of type {name}, which this version does not know: {_REMEDY}")
    return _DTYPES[name]


def _read_rule(record: dict[str, Any]) -> RuleState:
    memories = {memory.pop("feature"): memory for memory in record["memories"]}
    return RuleState(**_arguments(RuleState, record | {"memories": memories}))


def _read_header(record: dict[str, Any]) -> HeaderState:
    if record["format"] != FORMAT:
        raise UsageError(
            f"changelog: format {record['format']} is not the one that this version reads ({FORMAT}): {_REMEDY}"
        )
    baselines = tuple(ActiveBaseline(**item) for item in record["active_baselines"])
    return HeaderState(**_arguments(HeaderState, record | {"active_baselines": baselines}))


def _arguments(kind: type[State], record: dict[str, Any]) -> dict[str, Any]:
    """What the dataclass asks for; fields that this version does not know are left out."""
    if kind is not HeaderState:
        record = record | {"series": Series(*[record[name] for name in Series._fields])}
    return {name: record[name] for name in kind.__slots__}


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    """In order of the key, so that equal states have equal bytes."""
    return dict(sorted(counts.items()))
