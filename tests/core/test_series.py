"""The book of series: every key is found again, however many there are and however their hashes fall."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streammon.core.baseline import Layout
from streammon.core.engine import Engine
from streammon.core.events import EventBatch
from streammon.core.outputs import Series
from streammon.core.series import SeriesBook
from streammon.core.timeline import find_series, key_hash
from tests.core.batches import events
from tests.core.hand import plan

PLAN = plan()


def keys(*series: Series) -> EventBatch:
    return events([{**key._asdict(), "ts": 0} for key in series])


def found(book: SeriesBook, batch: EventBatch) -> list[int]:
    """Number of each event's series, -1 where it is not known."""
    columns = batch.buffer, batch.string_start, batch.string_length
    hashes = [np.uint64(key_hash(*columns, row)) for row in range(len(batch))]  # a Python int would not fit
    return [int(find_series(book.table, *columns, row, h)) for row, h in enumerate(hashes)]


def test_five_thousand_series_are_found_again() -> None:
    """The table is never more than half full, so with so many keys, many share a place and are told apart."""
    names = [Series(f"model{k % 100}", f"{k // 100}", "prod") for k in range(5_000)]
    book = SeriesBook(PLAN)
    for name in names:
        book.add(name, Layout())
    assert found(book, keys(*names)) == list(range(5_000))
    assert found(book, keys(*[name._replace(lane="canary") for name in names[:500]])) == [-1] * 500
    assert 2 * len(book) <= len(book.table.places)
    mask = len(book.table.places) - 1
    homes = [int(h) & mask for h in book.table.hash[:5_000]]
    assert len(set(homes)) < 5_000, "no two share a place: this proves nothing"


def test_an_engine_counts_five_thousand_series_apart() -> None:
    """Each has one event in its first window, and all of them close where the partition has moved on."""
    engine = Engine(plan(max_series=10_000), 0, {})
    names = [f"m{k}" for k in range(5_000)]
    engine.feed(events([{"ts": k % 60, "model_id": name} for k, name in enumerate(names)]))
    fed = engine.feed(events([{"ts": 10_000, "model_id": "last"}], first=5_000))
    headers = [header for group in fed.closed for header in group.headers]
    assert sorted(header.series.model_id for header in headers) == sorted(names)
    assert {(header.start, header.n) for header in headers} == {(0, 1)}


@given(st.lists(st.tuples(*[st.text("ab", max_size=3)] * 3), unique=True, max_size=80))
def test_keys_that_read_alike_are_not_the_same(parts: list[tuple[str, str, str]]) -> None:
    """("a", "b", "") and ("ab", "", "") have the same bytes, but not the same lengths."""
    book = SeriesBook(PLAN)
    names = [Series(*part) for part in parts]
    for name in names:
        book.add(name, Layout())
    assert found(book, keys(*names)) == list(range(len(names)))


def test_a_part_that_is_null_is_empty() -> None:
    book = SeriesBook(PLAN)
    book.add(Series("m", "", ""), Layout())
    assert found(book, events([{"model_id": "m"}, {"model_id": "m", "model_version": "", "lane": ""}])) == [0, 0]
