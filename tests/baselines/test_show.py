"""What `baseline show` prints."""

from __future__ import annotations

import json

import numpy as np
import pytest

from streammon.baselines.show import describe, table
from tests.baselines.samples import reference


def test_the_facts_of_each_feature_are_those_of_the_data() -> None:
    """Zero-inflated, 5 % missing, three infinite values, -1e300 and 2.5 as extremes."""
    rng = np.random.default_rng(2)
    values = np.where(rng.random(1_000) < 0.6, 0.0, rng.uniform(0, 2, 1_000))
    values[:50], values[50:53], values[53], values[54] = np.nan, np.inf, -7.0, 2.5
    facts = describe(reference(n=1_000, features=values[:, None], feature_names=("x",)))
    (feature,) = facts["features"]
    finite = values[np.isfinite(values)]
    assert feature["missing_rate"] == 0.05
    assert feature["non_finite_rate"] == 0.003
    assert (feature["least"], feature["greatest"]) == (-7.0, 2.5)
    assert feature["mean"] == pytest.approx(finite.mean())
    assert feature["sd"] == pytest.approx(finite.std(ddof=1))
    assert feature["atoms"] >= 1
    assert 0 < feature["ks_error"] <= 2 / 256


def test_what_is_undefined_is_null_in_json_and_a_dash_in_the_table() -> None:
    baseline = reference(scores=np.full(2_000, np.nan), classes={})
    facts = json.loads(json.dumps(describe(baseline), allow_nan=False))
    age = facts["features"][2]
    assert (age["bins"], age["groups"], age["missing_rate"]) == (0, 0, 1.0)
    assert [age[name] for name in ("mean", "sd", "least", "greatest", "ks_error")] == [None] * 5
    assert facts["score"] == {"n": 0, "groups": 0, "mean": None, "sd": None}
    last = table(baseline).splitlines()[-1].split()
    assert last == ["age", "0", "0", "0", "100.00%", "0.00%", "-", "-", "-", "-", "-"]


def test_the_table_has_one_line_per_feature_under_aligned_columns() -> None:
    text = table(reference(created_at=0))
    assert "the last of 1970-01-01 00:00:00.000000 UTC" in text
    assert r"classes    2: no 85.00%, ja \u2713 15.00%" in text  # a sign that is no letter is shown by its number
    header, *rows = text.splitlines()[-4:]
    assert header.split()[0] == "feature"
    assert [row.split()[0] for row in rows] == ["amount", "refunds", "age"]
    assert len({len(line) for line in (header, *rows)}) == 1


def test_many_classes_are_cut_to_the_most_frequent() -> None:
    text = table(reference(classes={f"c{i}": i + 1 for i in range(30)}))
    assert "classes    30: c29 6.45%, c28 6.24%" in text
    assert "20 more" in text


def test_a_baseline_without_features_is_shown_too() -> None:
    text = table(reference(features=np.empty((0, 0)), feature_names=(), embedding=0))
    assert "embedding  -" in text
    assert "ks error" not in text
