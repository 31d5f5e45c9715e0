"""Numbers worked out elsewhere: deciles of normal samples, 5,000 of (0, 1) against 2,000 of (.3, 1.2)."""

from __future__ import annotations

import numpy as np
import pytest

from streammon.core.drift.js import JS
from streammon.core.drift.kl import KL
from streammon.core.drift.psi import PSI
from tests.core.drift import oracle
from tests.core.drift.samples import Counts, outcome

MANY = 10**7  # times every count: then smoothing leaves no trace in six digits


@pytest.fixture(scope="module")
def pair() -> tuple[Counts, Counts]:
    rng = np.random.default_rng(7)
    reference, current = rng.normal(0, 1, 5000), rng.normal(0.3, 1.2, 2000)
    inner = np.quantile(reference, np.linspace(0.1, 0.9, 9), method="linear")  # what lies outside is in the end groups

    def counts(values: np.ndarray) -> Counts:
        return np.bincount(np.searchsorted(inner, values, side="right"), minlength=10)

    return counts(current), counts(reference)


def test_the_oracle(pair: tuple[Counts, Counts]) -> None:
    p, q = oracle.shares(*pair, smoothing=0)
    assert round(oracle.psi(p, q), 6) == 0.113930
    assert round(oracle.kl(p, q), 6) == 0.060641
    assert round(oracle.kl(q, p), 6) == 0.053289
    assert round(oracle.js_distance(p, q), 6) == 0.118427
    assert round(oracle.js_distance(p, q) ** 2, 6) == 0.014025
    assert round(oracle.psi(*oracle.shares(*pair)), 6) == 0.113403


def test_psi(pair: tuple[Counts, Counts]) -> None:
    assert round(outcome(PSI, *pair)["psi"], 6) == 0.113403
    assert round(outcome(PSI, pair[0] * MANY, pair[1] * MANY)["psi"], 6) == 0.113930


def test_kl_both_ways(pair: tuple[Counts, Counts]) -> None:
    current, reference = pair[0] * MANY, pair[1] * MANY
    assert round(outcome(KL, current, reference)["kl"], 6) == 0.060641
    assert round(outcome(KL, reference, current)["kl"], 6) == 0.053289


def test_js(pair: tuple[Counts, Counts]) -> None:
    found = outcome(JS, pair[0] * MANY, pair[1] * MANY)
    assert round(found["js"], 6) == 0.014025
    assert round(found["js.effect"], 6) == 0.118427
