"""KS, PSI, KL and JS against scipy and numpy on the same counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from streammon.core.drift.js import JS
from streammon.core.drift.kl import KL
from streammon.core.drift.ks import KS
from streammon.core.drift.psi import PSI
from tests.core.drift import oracle
from tests.core.drift.samples import Counts, full, outcome, pairs

Pair = tuple[Counts, Counts]


def close(value: float) -> object:
    """Relative 1e-12, or the rounding of shares near 1."""
    return pytest.approx(value, rel=1e-12, abs=1e-14)


@given(pairs(300).filter(full))
def test_ks_on_counts(pair: Pair) -> None:
    found = outcome(KS, *pair)
    distance = oracle.ks_of_counts(*pair)
    assert found["ks"] == found["ks.effect"] == pytest.approx(distance, rel=0, abs=1e-15)
    assert found["ks.p"] == pytest.approx(oracle.kolmogorov_p(distance, pair[0].sum(), pair[1].sum()), abs=1e-9)


@pytest.mark.parametrize("n, m, values", [(1, 30, 3), (7, 30, 5), (200, 1_000, 256), (3_000, 999, 40)])
def test_ks_is_exact_where_a_cell_holds_one_value(n: int, m: int, values: int) -> None:
    """The samples behind the counts, ties and all, given to scipy."""
    rng = np.random.default_rng(n)
    current = np.bincount(rng.integers(0, values, n), minlength=values)
    reference = np.bincount(rng.binomial(values - 1, 0.5, m), minlength=values)
    assert outcome(KS, current, reference)["ks"] == pytest.approx(
        oracle.ks_of_samples(current, reference), rel=0, abs=1e-15
    )


@given(pairs().filter(full))
def test_psi(pair: Pair) -> None:
    found = outcome(PSI, *pair)
    psi = oracle.psi(*oracle.shares(*pair))
    assert found["psi"] == close(psi)
    assert found["psi_excess"] == found["psi.effect"] == close(psi - oracle.psi_null_mean(*pair))
    assert found["psi.low_n"] == (oracle.least_expected(*pair) < 5)
    if found["psi.low_n"]:
        assert math.isnan(found["psi.p"])
    else:
        assert found["psi.p"] == pytest.approx(oracle.chi2_p(*pair), abs=1e-9)


@given(pairs().filter(full))
def test_kl(pair: Pair) -> None:
    assert outcome(KL, *pair)["kl"] == close(oracle.kl(*oracle.shares(*pair)))


@given(pairs().filter(full))
def test_js(pair: Pair) -> None:
    """The value is the divergence, the effect the distance, which alone is what scipy calls jensenshannon."""
    found = outcome(JS, *pair)
    distance = oracle.js_distance(*oracle.shares(*pair))
    assert found["js"] == close(distance**2)
    assert found["js.effect"] == pytest.approx(math.sqrt(found["js"]), rel=1e-15)
    assert 0 <= found["js"] <= math.log(2)


def test_equal_shares_are_no_drift() -> None:
    """Exactly: three times the reference's counts have D = 0, p = 1."""
    reference = np.array([10, 20, 70, 0, 30])
    assert outcome(KS, 3 * reference, reference) == {"ks": 0, "ks.effect": 0, "ks.p": 1}
    assert outcome(PSI, 3 * reference, reference)["psi.p"] == 1
    for test in (PSI, KL, JS):
        assert outcome(test, reference, reference)[test.statistics[0]] == 0


def test_no_common_cell_is_the_greatest_drift() -> None:
    current, reference = np.array([0, 10**9]), np.array([10**9, 0])
    assert outcome(KS, current, reference) == {"ks": 1, "ks.effect": 1, "ks.p": 0}
    assert outcome(JS, current, reference)["js"] == pytest.approx(math.log(2), abs=1e-6)
    assert outcome(PSI, current, reference)["psi.p"] == 0


def test_kl_is_of_the_current_from_the_reference() -> None:
    """Current mass where the reference has hardly any weighs more than the other way round."""
    narrow, wide = np.array([100, 0]), np.array([50, 50])
    assert outcome(KL, wide, narrow)["kl"] > 2 * outcome(KL, narrow, wide)["kl"]


def test_one_group_cannot_drift() -> None:
    one = np.array([0, 100, 0])
    assert outcome(PSI, one, one) == {"psi": 0, "psi.effect": 0, "psi.p": 1, "psi.low_n": False, "psi_excess": 0}
