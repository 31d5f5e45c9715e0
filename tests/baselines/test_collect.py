"""Collecting events: the same baseline as from columns written out, however the events are cut into batches."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammon.baselines.build import build
from streammon.baselines.collect import Collector
from streammon.core.baseline import Baseline
from streammon.core.errors import Code, UsageError
from tests.baselines.batches import Row, batch_of


def events(n: int, seed: int = 0, **constant: Any) -> list[dict[str, Any]]:
    """Events of model `fraud`, version 3, with two features, some of them without a score, a class or features."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        row: dict[str, Any] = {"model_id": "fraud", "model_version": "3", "ts": int(rng.integers(10**15))}
        row |= {"data_hash": "d4t4", "git_commit": "c0ffee", "embedding": [0.5] * 8}
        if i % 10:
            row["features"] = [float(rng.normal()), np.nan if i % 4 == 0 else float(i % 3)]
        if i % 7:
            row["score"] = float(rng.random())
        if i % 5:
            row["prediction"] = ["no", "ja", "maybe ✓", ""][i % 4]
        rows.append(row | constant)
    return rows


NOISE: list[Row] = [
    {"model_id": "frauds", "model_version": "3", "ts": 2 * 10**15, "features": [1.0]},
    {"model_id": "fraue", "model_version": "9", "prediction": "other"},
    {"model_id": "", "model_version": "3"},
    {"model_id": "fraud", "model_version": "7", "code": Code.DIMENSION, "features": [1.0] * 9, "ts": 3 * 10**15},
]


def collect(*batches: list[Row] | list[dict[str, Any]], version: str | None = None, **options: Any) -> Baseline:
    collector = Collector("fraud", version, **options)
    for rows in batches:
        collector.add(batch_of(rows))
    return collector.build()


def from_columns(rows: list[dict[str, Any]]) -> Baseline:
    """The baseline that rows give, one by one."""
    return build(
        model_id="fraud",
        model_version="3",
        features=np.array([row["features"] for row in rows if "features" in row]),
        scores=np.array([row.get("score", np.nan) for row in rows]),
        classes=Counter(row["prediction"] for row in rows if "prediction" in row),
        created_at=max(row["ts"] for row in rows),
        embedding=8,
        data_hash="d4t4",
        git_commit="c0ffee",
    )


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_any_split_into_batches_gives_the_baseline_of_the_columns(data: st.DataObject) -> None:
    """Other models, look-alikes and records that are no events leave no trace."""
    ours = events(150)
    rows: list[Row] = list(ours)
    for other in NOISE:
        rows.insert(data.draw(st.integers(0, len(rows))), other)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    batches = [rows[low:high] for low, high in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    baseline = collect(*batches)
    expected = from_columns(ours)
    assert baseline.class_names == expected.class_names
    assert baseline.class_counts.tolist() == expected.class_counts.tolist()
    assert baseline.baseline_id == expected.baseline_id


def test_a_slice_of_a_batch_is_enough() -> None:
    """Views of one large batch, as the loop hands them over."""
    rows = events(200)
    whole = batch_of(rows)
    collector = Collector("fraud")
    for low in range(0, 200, 30):
        collector.add(whole.rows(low, min(low + 30, 200)))
    assert collector.n == 200
    assert collector.build().content_hash == from_columns(rows).content_hash


def test_several_versions_need_a_choice() -> None:
    """The message names the versions and the option; with a choice, only its events count."""
    mixed = [*events(120), *events(130, seed=1, model_version="4"), *events(110, seed=2, model_version=None)]
    with pytest.raises(UsageError, match=r"3 versions here, '', '3', '4': choose one with --version"):
        collect(mixed)
    assert collect(mixed, version="4").n == 130
    assert collect(mixed, version="3").content_hash == from_columns(events(120)).content_hash


def test_a_null_version_is_the_empty_one() -> None:
    rows = [*events(60, model_version=None), *events(50, model_version="")]
    assert collect(rows).model_version == ""
    assert collect(rows, version="").n == 110
    assert collect([*rows, *events(120)], version="").n == 110


def test_a_hash_that_is_not_the_same_in_all_events_is_left_out() -> None:
    rows = [*events(60), *events(60, data_hash="0ther"), *events(60, data_hash="0ther", git_commit=None)]
    baseline = collect(rows)
    assert (baseline.data_hash, baseline.git_commit) == (None, None)
    assert collect(rows[:120]).git_commit == "c0ffee"


def test_names_come_from_the_caller_also_where_no_event_has_features() -> None:
    rows = [{k: v for k, v in row.items() if k not in ("features", "embedding")} for row in events(100)]
    baseline = collect(rows, feature_names=("a", "b"))
    assert baseline.feature_names == ("a", "b")
    assert baseline.bins.tolist() == [0, 0]
    assert baseline.embedding == 0
    assert collect(rows).feature_names == ()


@pytest.mark.parametrize(
    "rows, version, words",
    [
        ([], None, "no event of model 'fraud' among 0 events: check --model"),
        (NOISE, None, "no event of model 'fraud' among 3 events; there are '', 'frauds', 'fraue': check --model"),
        (events(120), "4", "no event of version '4' of model 'fraud'; there are '3': check --version"),
        (events(99), None, "99 events are too few"),
        (events(120) + events(2, features=[1.0] * 3), None, r"different lengths, 2 \(108 events\), 3 \(2 events\)"),
        (
            events(120) + events(1, embedding=[1.0]),
            None,
            r"embedding of .* different lengths, 1 \(1 events\), 8",
        ),
    ],
)
def test_what_makes_no_baseline_is_refused(rows: list[Row], version: str | None, words: str) -> None:
    """Whole and in crumbs."""
    with pytest.raises(UsageError, match=words):
        collect(rows, version=version)
    with pytest.raises(UsageError, match=words):
        collect(*([row] for row in rows), version=version)


def test_class_names_that_end_alike_stay_apart() -> None:
    """NUL bytes and names of one length are where packed comparison could go wrong."""
    names = ["a\0", "a\1", "a", "\0a", "b\0", "ää", "äö"]
    rows = events(140)
    for i, row in enumerate(rows):
        row["prediction"] = names[i % len(names)]
    baseline = collect(rows)
    assert baseline.class_names == tuple(sorted(names))
    assert baseline.class_counts.tolist() == [20] * len(names) + [0]
