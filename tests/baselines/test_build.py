"""From columns to a baseline, against numpy and exact fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from streammon.baselines.build import MIN_EVENTS, build
from streammon.baselines.content import ARRAYS, problem
from streammon.core.baseline import FINE_BINS, GROUPS, SCORE_BINS, Baseline
from streammon.core.errors import UsageError
from tests.baselines.samples import Floats, reference, same, samples


def of_feature(values: Floats) -> Baseline:
    """A baseline of one feature."""
    scores = np.full(MIN_EVENTS, 0.5)
    return build(model_id="m", model_version="1", features=values[:, None], scores=scores, classes={}, created_at=0)


@given(samples)
@settings(max_examples=150, deadline=None)
def test_any_feature_gives_a_baseline_that_fits_together(values: Floats) -> None:
    """Every value is missing, infinite or in a bin."""
    baseline = of_feature(values)
    assert problem(baseline) is None
    assert baseline.missing[0] == np.isnan(values).sum()
    assert baseline.non_finite[0] == (np.abs(values) > 1e100).sum()
    bins = int(baseline.bins[0])
    assert baseline.counts[0, 1 : bins + 1].sum() == (np.abs(values) <= 1e100).sum()
    assert np.isinf(baseline.edges[0, bins + 1 :]).all()
    assert baseline.edges.shape == (1, FINE_BINS + 1)


@given(samples)
@settings(max_examples=150, deadline=None)
def test_mean_and_variance_are_those_of_exact_arithmetic(values: Floats) -> None:
    """In fractions, with n - 1, over magnitudes up to 1e100."""
    baseline = of_feature(values)
    kept = [Fraction(v) for v in values[np.abs(values) <= 1e100].tolist()]
    mean, variance = float(baseline.mean[0]), float(baseline.variance[0])
    if not kept:
        assert mean == 0
    else:
        exact = sum(kept, Fraction()) / len(kept)
        scale = max(map(abs, kept))
        assert abs(Fraction(mean) - exact) <= scale * Fraction(1, 10**13) + Fraction(1, 10**320)
    if len(kept) < 2:
        assert np.isnan(variance)
    else:
        spread = sum(((v - exact) ** 2 for v in kept), Fraction()) / (len(kept) - 1)
        error = abs(Fraction(variance) - spread)
        assert error <= Fraction(1, 10**9) * spread + (scale * Fraction(1, 10**12)) ** 2 + Fraction(1, 10**307)


@pytest.mark.parametrize("n", [100, 1_000, 1_003, 2_999])
def test_a_constant_feature_has_no_variance(n: int) -> None:
    """Although the rounded mean of n times 0.1 is not always 0.1."""
    baseline = of_feature(np.full(n, 0.1))
    assert (baseline.bins[0], baseline.mean[0], baseline.variance[0]) == (1, 0.1, 0.0)
    assert baseline.edges[0, :2].tolist() == [0.1, np.nextafter(0.1, 1)]


def test_variance_far_from_zero_keeps_its_digits() -> None:
    values = 1e8 + np.random.default_rng(0).normal(size=5_000)
    assert of_feature(values).variance[0] == pytest.approx(np.var(values - 1e8, ddof=1), rel=1e-6)


def test_values_whose_squares_would_poison_sums_count_as_non_finite() -> None:
    values = np.concatenate((np.linspace(0, 1, 200), [1e300, -1.7e308, np.inf]))
    baseline = of_feature(values)
    assert baseline.non_finite[0] == 3
    assert (baseline.mean[0], baseline.edges[0, 0]) == (pytest.approx(0.5), 0.0)


def test_a_feature_that_is_always_missing_has_no_bins() -> None:
    baseline = of_feature(np.full(150, np.nan))
    assert (baseline.bins[0], baseline.missing[0], baseline.mean[0]) == (0, 150, 0.0)
    assert baseline.counts.sum() == 0
    assert baseline.groups.sum() == 0


def test_scores_are_counted_in_hundred_bins_of_the_unit_interval() -> None:
    """A score of 1 belongs to the last bin; scores out of range are no cells, but moments see all finite ones."""
    scores = np.array([0.0, 0.004, 0.01, 0.29, 0.995, 1.0, -0.01, 1.5, np.nan, np.inf] * 10)
    baseline = reference(n=100, scores=scores)
    expected = [0] * SCORE_BINS
    for score in scores.tolist():
        if 0 <= score <= 1:
            expected[min(int(score * 100), 99)] += 1
    assert baseline.score_counts.tolist() == expected
    assert baseline.score_counts[99] == 20
    finite = scores[np.abs(scores) <= 1e100]
    assert baseline.mean[-1] == pytest.approx(finite.mean(), rel=1e-14)
    assert baseline.variance[-1] == pytest.approx(finite.var(ddof=1), rel=1e-14)


def test_score_groups_hold_about_a_tenth_each() -> None:
    baseline = reference(n=20_000)
    mass = np.bincount(baseline.score_groups, weights=baseline.score_counts)
    assert len(mass) == GROUPS
    assert mass.min() > 0
    assert np.abs(mass / 20_000 - 0.1).max() < 0.04  # a score bin of beta(2, 5) holds up to .025


def test_classes_are_sorted_and_the_unseen_one_is_last_and_empty() -> None:
    baseline = reference(classes={"no": 7, "ja": 3, "": 1})
    assert baseline.class_names == ("", "ja", "no")
    assert baseline.class_counts.tolist() == [1, 3, 7, 0]


def test_events_without_features_and_scores_are_fine() -> None:
    baseline = build(
        model_id="m", model_version="", features=np.empty((0, 0)), scores=np.full(100, np.nan), classes={}, created_at=5
    )
    assert problem(baseline) is None
    assert baseline.n == 100
    assert baseline.mean.tolist() == [0.0]


def test_the_order_of_events_does_not_matter() -> None:
    """Partitions of a topic are read in any interleaving; the baseline and its id stay the same."""
    rng = np.random.default_rng(5)
    features = np.where(rng.random((3_000, 2)) < 0.3, -0.0, rng.lognormal(0, 4, (3_000, 2)))
    features[rng.random((3_000, 2)) < 0.1] = 0.0
    scores = rng.random(3_000)
    shuffled = rng.permutation(3_000)
    names = ("a", "b")
    first = reference(features=features, scores=scores, feature_names=names, classes={"a": 1, "b": 2})
    second = reference(
        features=features[shuffled], scores=scores[shuffled], feature_names=names, classes={"b": 2, "a": 1}
    )
    assert same(first, second)


@pytest.mark.parametrize(
    "change",
    [
        {"model_id": "other"},
        {"model_version": "4"},
        {"data_hash": None},
        {"git_commit": "c0ffee"},
        {"created_at": 1},
        {"feature_names": ("amount", "refunds", "years")},
        {"embedding": 63},
        {"classes": {"no": 1}},
        {"seed": 1},
    ],
)
def test_different_content_has_a_different_hash(change: dict[str, object]) -> None:
    changed = reference(**change)  # type: ignore[arg-type]
    assert changed.content_hash != reference().content_hash
    assert changed.baseline_id == f"{changed.model_id}@{changed.model_version}#{changed.content_hash[:12]}"


def test_arrays_have_the_dtypes_and_shapes_that_the_interface_promises() -> None:
    """`problem` compares with one table; here the table is written out again."""
    baseline = reference()
    found = {name: (getattr(baseline, name).dtype.str[1:], getattr(baseline, name).shape) for name in ARRAYS}
    assert found == {
        "edges": ("f8", (3, 257)),
        "bins": ("i4", (3,)),
        "counts": ("i8", (3, 258)),
        "groups": ("i4", (3, 258)),
        "missing": ("i8", (3,)),
        "non_finite": ("i8", (3,)),
        "mean": ("f8", (4,)),
        "variance": ("f8", (4,)),
        "class_counts": ("i8", (3,)),
        "score_counts": ("i8", (100,)),
        "score_groups": ("i4", (100,)),
    }


@pytest.mark.parametrize(
    "change, words",
    [
        ({"n": 99}, "99 events are too few"),
        ({"feature_names": ("a", "b")}, "2 names for 3 values"),
        ({"feature_names": ("a", "b", "a")}, "used twice"),
    ],
)
def test_what_makes_no_baseline_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        reference(**change)  # type: ignore[arg-type]
