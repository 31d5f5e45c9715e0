"""The pictures: scikit-learn's digits (1,797 scans of 8 x 8 pixels), what arrives at the service, what is measured.

Pixels are float32 from 0 (paper) to 1 (ink), 64 to a row. The network learns from one part of the scans; the
service sees only the other part, again and again, each time with another exposure and other noise.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIDE = 8
CLASSES = 10
TRAINING_SCANS = 1_000
INK = 0.25  # a pixel darker than this counts as ink
EXPOSURE_SD = 0.1  # of the logarithm of the gain
NOISE_SD = 0.06  # per pixel

Pixels = NDArray[np.float32]  # [n, 64]

FEATURE_NAMES = (
    "mean",
    "sd",
    "ink_share",  # multiples of 1/64
    "saturated_share",  # of pixels at full ink; multiples of 1/64
    "blank_columns",  # without ink; whole numbers, most often 2: an atom
    "row_centre",  # of the ink, 0 at the top
    "column_centre",
    "row_spread",  # standard deviation of the ink about its centre, pixels
    "column_spread",
    "upper_left",  # mean of a quadrant
    "upper_right",
    "lower_left",
    "lower_right",
    "row_edges",  # mean absolute step from a pixel to the one below it
    "column_edges",
    "asymmetry",  # mean absolute difference from the mirror image
)


class Scans(NamedTuple):
    """Images with their classes."""

    pixels: Pixels
    label: NDArray[np.int64]  # [n], 0 to 9


def load_scans(seed: int) -> tuple[Scans, Scans]:
    """The digits in two disjoint parts, split by the seed: for training, and held out for the service."""
    from sklearn.datasets import load_digits  # takes a second to import

    digits = load_digits()
    pixels = (digits.data / 16).astype(np.float32)
    label = digits.target.astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(label))
    training, held_out = order[:TRAINING_SCANS], order[TRAINING_SCANS:]
    return Scans(pixels[training], label[training]), Scans(pixels[held_out], label[held_out])


def expose(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """The same scans taken once more: another gain per image, other noise per pixel, cut to what a sensor can say."""
    gain = np.exp(EXPOSURE_SD * rng.standard_normal((len(pixels), 1), dtype=np.float32))
    noise = NOISE_SD * rng.standard_normal(pixels.shape, dtype=np.float32)
    exposed: Pixels = np.clip(pixels * gain + noise, 0, 1)
    return exposed


def blur(pixels: Pixels) -> Pixels:
    """Each pixel becomes the mean of the 3 x 3 pixels around it; the paper goes on beyond the border."""
    padded = np.pad(pixels.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    total = np.zeros((len(pixels), SIDE, SIDE), np.float32)
    for row in range(3):
        for column in range(3):
            total += padded[:, row : row + SIDE, column : column + SIDE]
    return (total / np.float32(9)).reshape(pixels.shape)


def summarise(pixels: Pixels) -> NDArray[np.float32]:
    """The features of each image, [n, 16], in the order of FEATURE_NAMES."""
    image = pixels.reshape(-1, SIDE, SIDE)
    half = SIDE // 2
    ink = image > INK
    row_centre, row_spread = _moments(image.sum(axis=2))
    column_centre, column_spread = _moments(image.sum(axis=1))
    columns = (
        pixels.mean(axis=1),
        pixels.std(axis=1),
        ink.mean(axis=(1, 2)),
        (pixels >= 1).mean(axis=1),
        (~ink.any(axis=1)).sum(axis=1),
        row_centre,
        column_centre,
        row_spread,
        column_spread,
        image[:, :half, :half].mean(axis=(1, 2)),
        image[:, :half, half:].mean(axis=(1, 2)),
        image[:, half:, :half].mean(axis=(1, 2)),
        image[:, half:, half:].mean(axis=(1, 2)),
        np.abs(np.diff(image, axis=1)).mean(axis=(1, 2)),
        np.abs(np.diff(image, axis=2)).mean(axis=(1, 2)),
        np.abs(image - image[:, :, ::-1]).mean(axis=(1, 2)),
    )
    return np.stack(columns, axis=1).astype(np.float32)


def _moments(profile: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centre and spread of the ink along one axis, pixels; profile is the ink per row or column, [n, 8]."""
    at = np.arange(SIDE, dtype=np.float32)
    weight = profile / np.maximum(profile.sum(axis=1, keepdims=True), np.float32(1e-6))  # an empty image: zeros
    centre = (weight * at).sum(axis=1)
    variance = (weight * (at - centre[:, None]) ** 2).sum(axis=1)
    return centre, np.sqrt(variance)
