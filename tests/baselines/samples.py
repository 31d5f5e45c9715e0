"""Reference values to build baselines from: drawn by hypothesis, or fixed by a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from streammon.baselines.build import build
from streammon.core.baseline import Baseline

Floats = NDArray[np.float64]

HARD = (
    0.0,
    -0.0,
    5e-324,
    -5e-324,
    2.2e-308,
    1.0,
    float(np.nextafter(1, 2)),
    1e300,
    -1e300,
    1.7976931348623157e308,
    np.inf,
)

_SHAPES: tuple[Callable[[np.random.Generator, int], Floats], ...] = (
    lambda rng, n: rng.normal(size=n),
    lambda rng, n: rng.lognormal(0, 3, n),
    lambda rng, n: rng.normal(size=n).round(1),  # ties, none of them heavy
    lambda rng, n: rng.poisson(0.7, n).astype(float),  # nothing but atoms
    lambda rng, n: np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n)),  # zero-inflated
    lambda rng, n: np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
    lambda rng, n: np.full(n, 0.1),
)


@st.composite
def drawn(draw: st.DrawFn) -> Floats:
    """Any values, hard ones and repeated ones among them, NaN and infinities too."""
    pool = draw(st.lists(st.floats() | st.sampled_from(HARD), min_size=1, max_size=40))
    return np.array(draw(st.lists(st.sampled_from(pool), max_size=300)), dtype=np.float64)


@st.composite
def generated(draw: st.DrawFn) -> Floats:
    """Values of a usual distribution, up to a few thousand."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, 300) | st.integers(1, 3_000))
    return draw(st.sampled_from(_SHAPES))(rng, n)


samples = drawn() | generated()


def reference(seed: int = 0, n: int = 2_000, **changes: Any) -> Baseline:
    """A baseline of three features (continuous, zero-inflated with missing values, never recorded) and two classes."""
    rng = np.random.default_rng(seed)
    inflated = np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n))
    inflated[rng.random(n) < 0.05] = np.nan
    inflated[:3] = np.inf
    columns: dict[str, Any] = {
        "model_id": "fraud",
        "model_version": "3",
        "features": np.column_stack([rng.normal(size=n), inflated, np.full(n, np.nan)]),
        "scores": rng.beta(2, 5, n),
        "classes": {"no": n - 300, "ja ✓": 300},
        "created_at": 1_700_000_000_000_000,
        "feature_names": ("amount", "refunds", "age"),
        "embedding": 64,
        "data_hash": "d4t4",
        "git_commit": None,
    }
    return build(**columns | changes)


def same(a: Baseline, b: Baseline) -> bool:
    """Equal, arrays bit for bit and of one dtype."""
    for field in fields(Baseline):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            if (x.dtype, x.shape, x.tobytes()) != (y.dtype, y.shape, y.tobytes()):
                return False
        elif x != y or type(x) is not type(y):
            return False
    return True
