"""The changelog's keys and values: golden, deterministic, cut into chunks and put together again."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from streammon.adapters.changelog_codec import (
    CHUNK_BYTES,
    States,
    changelog_key,
    decode_changelog,
    decode_key,
    encode_changelog,
    encode_key,
    tombstones,
)
from streammon.adapters.schema_files import load_schema
from streammon.core.errors import UsageError
from streammon.core.outputs import Series
from streammon.core.ports import ChangelogKey, ChangelogRecords
from streammon.core.state import ActiveBaseline, ClockState, HeaderState, PaneState, RuleState, State
from tests.golden import make

PROD = Series("fraud", "2", "prod")
PANE = PaneState(
    series=PROD,
    level=3,
    pane=3572010,
    start=1714564800000000,
    end=1714565280000000,
    n=10,
    baselines=(None, "b"),
    anchored=False,
    layout="0123456789abcdef",
    data_hash=None,
    git_commit="0123abc",
    mixed_data_hash=True,
    mixed_git_commit=False,
    fields={
        "traffic.counts": np.array([3, -4], np.int32),
        "moments.n": np.array([[1, 2**40]], np.int64),
        "latency.max": np.array(0.5),
        "gauges.sum": np.zeros((0, 3)),
    },
)
CLOCK = ClockState(
    series=Series("fraud", "2", "canary"),
    own=1714564800000001,
    clock=1714564800000002,
    p0=-1,
    late=7,
    mark=1714564790000002,
    late_reported={"60000000/60000000/0": 7, "60000000/30000000/0": 6},
    last_full={"60000000/60000000/0": 1714564740000000},
    expired=False,
)
NOTHING: dict[str, int | str | None] = {
    "run": 1,
    "last_start": 1714564800000000,
    "alert_start": None,
    "opened_at": None,
    "number": 0,
    "last_notified": None,
    "last_fired": 1714561200000000,
}
OPEN: dict[str, int | str | None] = {
    "run": 4,
    "last_start": 1714564800000000,
    "alert_start": 1714564680000000,
    "opened_at": 1714564740000000,
    "number": 2,
    "last_notified": 1714564741000000,
    "last_fired": 1714564742000000,
}
RULE = RuleState(PROD, "psi-high", {"age": OPEN, "": NOTHING})
HEADER = HeaderState(
    position=9876543210,
    generation=12,
    keys=345,
    format=3,
    plan_hash="aaaa",
    policy_hash="bbbb",
    progress=None,
    journal_sequence=3,
    active_baselines=(
        ActiveBaseline("a", "fraud", "1", "c1", None),
        ActiveBaseline("b", "fraud", "2", "c2", 1714564800000000),
    ),
    counters={"late": 7, "events": 1000},
)

text = st.text(st.characters(codec="utf-8"), max_size=12)
arrays = st.dictionaries(
    text,
    st.sampled_from(["int32", "int64", "float64", ">f8", ">i4"]).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
    ),
    max_size=4,
)


def values(records: ChangelogRecords) -> dict[ChangelogKey, bytes]:
    """What a compacted topic keeps of the records."""
    return {key: value for key, value in records.items() if value is not None}


def only(states: States) -> State:
    every: list[State] = [*states.panes, *states.clocks, *states.rules, *states.headers.values()]
    assert len(every) == 1
    return every[0]


def plain(state: State) -> Any:
    """Something that can be compared: arrays as their type, shape and bytes."""
    if not isinstance(state, PaneState):
        return state
    arrays = {name: (item.dtype.name, item.shape, item.tobytes()) for name, item in state.fields.items()}
    return [getattr(state, name) for name in PaneState.__slots__ if name != "fields"], arrays


def large_pane(chunks: int, seed: int = 0) -> PaneState:
    """Noise that takes this many chunks and does not compress."""
    noise = np.random.default_rng(seed).integers(0, 2**62, (chunks * CHUNK_BYTES - CHUNK_BYTES // 2) // 8)
    return replace(PANE, fields={"noise": noise, "after": np.arange(5)})


@pytest.mark.parametrize("state", [CLOCK, RULE, HEADER], ids=lambda state: type(state).__name__)
def test_bytes_are_golden(state: State) -> None:
    """What we write today is, byte for byte, what the oracle made from a record written by hand."""
    golden = make.golden(f"changelog_{changelog_key(state).kind}.1").read_bytes()
    assert encode_changelog(state) == {changelog_key(state): golden}
    assert only(decode_changelog({changelog_key(state): golden})) == state


def test_a_golden_pane_is_read_and_written() -> None:
    """zlib may compress in another way some day, so the written data are compared when decompressed."""
    golden = make.golden("changelog_pane.1").read_bytes()
    assert plain(only(decode_changelog({changelog_key(PANE): golden}))) == plain(PANE)
    (written,) = values(encode_changelog(PANE)).values()
    ours, theirs = (load_schema("changelog_pane").from_bytes(value) for value in (written, golden))
    assert zlib.decompress(ours.pop("data")) == zlib.decompress(theirs.pop("data"))
    assert ours == theirs


@pytest.mark.parametrize(
    "key, expected",
    [
        (changelog_key(PANE), b'["pane",["fraud","2","prod"],"1714564800000000/3",0]'),
        (changelog_key(replace(PANE, level=0)), b'["pane",["fraud","2","prod"],"1714564800000000",0]'),
        (changelog_key(CLOCK), b'["clock",["fraud","2","canary"],"-",0]'),
        (changelog_key(RULE), b'["rule",["fraud","2","prod"],"psi-high",0]'),
        (changelog_key(HEADER), b'["header","-","-",0]'),
        (changelog_key(HEADER, "commit"), b'["header","-","commit",0]'),
        (
            ChangelogKey("clock", Series('a"\n', "-", "größe"), "-", 3),
            '["clock",["a\\"\\n","-","größe"],"-",3]'.encode(),
        ),
    ],
)
def test_keys_are_fixed_text(key: ChangelogKey, expected: bytes) -> None:
    """Compaction compares bytes: one thing must have one key for ever."""
    assert encode_key(key) == expected
    assert decode_key(expected) == key


@given(st.builds(ChangelogKey, st.just("rule"), st.builds(Series, text, text, text), text, st.integers(0, 9)))
def test_keys_survive(key: ChangelogKey) -> None:
    assert decode_key(encode_key(key)) == key


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"7",
        b"[]",
        b'["clock","-","-"]',
        b'["shard","-","-",0]',
        b'["clock",["a"],"-",0]',
        b'["rule",7,"x",0]',
    ],
)
def test_foreign_keys_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"changelog key .* is unknown to this version"):
        decode_key(data)


@given(arrays)
def test_panes_survive(fields: dict[str, Any]) -> None:
    """Any shape, NaN and other byte orders included; what comes back is writable and in the machine's byte order."""
    state = only(decode_changelog(values(encode_changelog(replace(PANE, fields=fields)))))
    native = {name: array.astype(array.dtype.name) for name, array in fields.items()}
    assert plain(state) == plain(replace(PANE, fields=native))
    assert isinstance(state, PaneState)
    assert all(array.flags.writeable and array.flags.aligned for array in state.fields.values())


def test_equal_states_have_equal_bytes() -> None:
    """The order in which a dictionary was filled does not show."""
    reordered = replace(CLOCK, late_reported=dict(sorted(CLOCK.late_reported.items())))
    assert encode_changelog(reordered) == encode_changelog(CLOCK)
    swapped = RuleState(RULE.series, RULE.rule_id, {"": NOTHING, "age": OPEN})
    assert encode_changelog(swapped) == encode_changelog(RULE)


def test_a_whole_changelog_is_sorted_by_kind() -> None:
    """Keys in any order; headers by their item."""
    commit = replace(HEADER, position=1)
    records = encode_changelog(HEADER, "snapshot") | encode_changelog(commit, "commit")
    for state in (RULE, CLOCK, PANE):
        records |= encode_changelog(state)
    states = decode_changelog(values(records))
    assert states.headers == {"snapshot": HEADER, "commit": commit}
    assert (states.rules, states.clocks, len(states.panes)) == ([RULE], [CLOCK], 1)


@pytest.mark.parametrize("chunks", [1, 2, 3])
def test_a_large_pane_is_cut_into_chunks(chunks: int) -> None:
    """Each is a record that fits, says how many there are, and finds its place in any order of reading."""
    pane = large_pane(chunks)
    records = values(encode_changelog(pane))
    assert [key.chunk for key in records] == list(range(chunks))
    for value in records.values():
        assert len(value) < CHUNK_BYTES + 1000
        assert load_schema("changelog_pane").from_bytes(value)["chunks"] == chunks
    backwards = dict(reversed(records.items()))
    assert plain(only(decode_changelog(backwards))) == plain(pane)


def test_a_pane_that_shrank_buries_its_old_chunks() -> None:
    """Else they would stay in the topic for ever; where a reader meets them, it leaves them out."""
    before = encode_changelog(large_pane(3))
    after = encode_changelog(PANE, chunks_before=3)
    key = changelog_key(PANE)
    assert {key.chunk: value is None for key, value in after.items()} == {0: False, 1: True, 2: True}
    assert plain(only(decode_changelog(values(before | after)))) == plain(PANE)
    assert plain(only(decode_changelog(values(before) | values(after)))) == plain(PANE)
    assert tombstones(key, 2) == {key: None, key._replace(chunk=1): None}


def test_a_missing_chunk_is_refused() -> None:
    records = values(encode_changelog(large_pane(3)))
    del records[changelog_key(PANE)._replace(chunk=1)]
    with pytest.raises(UsageError, match=r'\["pane",.*: chunk 1 of 3 is missing: .*rebuild'):
        decode_changelog(records)


def test_chunks_of_two_snapshots_are_refused() -> None:
    """The checksum sees what the counts cannot."""
    records = values(encode_changelog(large_pane(2))) | {
        key: value for key, value in values(encode_changelog(large_pane(2, seed=1))).items() if key.chunk == 1
    }
    with pytest.raises(UsageError, match="the data is damaged"):
        decode_changelog(records)


def test_another_format_is_refused_before_anything_else() -> None:
    """Even when other values cannot be read either: the message names both formats."""
    future = values(encode_changelog(replace(HEADER, format=4)))
    with pytest.raises(UsageError, match=r"format 4 is not the one that this version reads \(3\).*upgrade"):
        decode_changelog({changelog_key(CLOCK): b"?"} | future)


def test_a_damaged_value_is_refused_with_its_key() -> None:
    with pytest.raises(UsageError, match=r'changelog \["clock",\["fraud","2","canary"\],"-",0\]: .*rebuild'):
        decode_changelog({changelog_key(CLOCK): values(encode_changelog(CLOCK))[changelog_key(CLOCK)][:-1]})


def test_an_array_of_another_type_is_refused() -> None:
    with pytest.raises(UsageError, match="an array of type complex128"):
        encode_changelog(replace(PANE, fields={"a.b": np.zeros(2, complex)}))
