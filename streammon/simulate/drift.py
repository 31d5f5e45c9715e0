"""What each kind of drift changes, for the rows that it touches; other rows stay bit for bit what they were.

Only `covariate` and `class_mix` act before the network, so that features, predictions and embeddings follow by its own
doing; the others act on what the service reports.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streammon.simulate.images import Pixels, blur

Rows = NDArray[np.bool_]  # [n], which events a drift touches

_BLUR = np.float32(0.3)  # share of the blurred image in the mixture
_BRIGHTNESS = np.float32(0.9)
_FAVOURED_CLASSES = (0, 1, 7)
_FAVOUR = 4.0  # how much more often one of them arrives
_SHIFT = np.float32(0.5)  # of each activation, in its standard deviations
_LATENCY_FACTOR = 2.0
_MISSING_FEATURES = (3, 7, 10, 15)
_MISSING_SHARE = 0.2


class Outcome(NamedTuple):
    """An answer of the service, and how often it happens."""

    http_status: int
    timed_out: bool
    share: float
    drifted_share: float


# The last one takes what the others leave.
OUTCOMES = (
    Outcome(400, False, 0.003, 0.003),
    Outcome(429, False, 0.002, 0.002),
    Outcome(500, False, 0.001, 0.03),
    Outcome(503, False, 0.001, 0.02),
    Outcome(504, True, 0.001, 0.01),
    Outcome(200, False, 0.992, 0.935),
)


def dim(pixels: Pixels, rows: Rows) -> Pixels:
    """`covariate`: a camera out of focus, with less light."""
    changed = pixels.copy()
    before = pixels[rows]
    changed[rows] = _BRIGHTNESS * ((1 - _BLUR) * before + _BLUR * blur(before))
    return changed


def pick(label: NDArray[np.int64], draw: NDArray[np.float64], rows: Rows) -> NDArray[np.int64]:
    """`class_mix`: which scan arrives, by a uniform draw in [0, 1) per event; the favoured classes come more often."""
    weight = np.where(np.isin(label, _FAVOURED_CLASSES), _FAVOUR, 1.0)
    bounds = np.cumsum(weight) / weight.sum()
    even = (draw * len(label)).astype(np.int64)
    favoured = np.minimum(np.searchsorted(bounds, draw, side="right"), len(label) - 1)
    return np.where(rows, favoured, even)


def shift(embedding: NDArray[np.float32], spread: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """`embedding`: the service reports its activations after another normalisation; spread is the sd of each, [64].

    Every other activation moves down, so that the sum of all stays about the same.
    """
    sign = np.where(np.arange(len(spread)) % 2, np.float32(-1), np.float32(1))
    return embedding + rows[:, None] * (_SHIFT * spread * sign)


def slow(latency_ms: NDArray[np.float64], rows: Rows) -> NDArray[np.float64]:
    """`latency`: everything takes twice as long."""
    return np.where(rows, latency_ms * _LATENCY_FACTOR, latency_ms)


def fail(draw: NDArray[np.float64], rows: Rows) -> NDArray[np.int64]:
    """`errors`: the number of each event's outcome in OUTCOMES, by a uniform draw in [0, 1) per event."""
    calm = np.cumsum([outcome.share for outcome in OUTCOMES[:-1]])
    drifted = np.cumsum([outcome.drifted_share for outcome in OUTCOMES[:-1]])
    return np.where(rows, np.searchsorted(drifted, draw, side="right"), np.searchsorted(calm, draw, side="right"))


def lose(features: NDArray[np.float32], draw: NDArray[np.float32], rows: Rows) -> NDArray[np.float32]:
    """`missing`: a broken source makes some features NaN now and then, by a uniform draw per event and feature."""
    changed = features.copy()
    for column in _MISSING_FEATURES:
        changed[rows & (draw[:, column] < _MISSING_SHARE), column] = np.nan
    return changed
