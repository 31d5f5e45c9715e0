"""The scans, their features, and the network that reads them."""

from __future__ import annotations

import numpy as np
import pytest

from streammon.simulate.images import FEATURE_NAMES, INK, Scans, blur, expose, load_scans, summarise
from streammon.simulate.network import EMBEDDING, Network

SEED = 5


@pytest.fixture(scope="module")
def parts() -> tuple[Scans, Scans]:
    return load_scans(SEED)


@pytest.fixture(scope="module")
def network(parts: tuple[Scans, Scans]) -> Network:
    return Network(parts[0], SEED)


def test_no_scan_is_both_learned_from_and_served(parts: tuple[Scans, Scans]) -> None:
    """The parts are disjoint, pixel for pixel, and together they are all 1,797 scans."""
    training, held_out = ({row.tobytes() for row in part.pixels} for part in parts)
    assert not training & held_out
    assert len(training) + len(held_out) == 1_797


def test_the_network_reads_what_it_has_not_learned_from(parts: tuple[Scans, Scans], network: Network) -> None:
    """More than nine held-out scans in ten, also when exposed anew."""
    pixels, label = parts[1]
    for seen in (pixels, expose(pixels, np.random.default_rng(1))):
        assert np.mean(network.infer(seen).probs.argmax(axis=1) == label) > 0.9


def test_inference_gives_probabilities_and_embeddings(parts: tuple[Scans, Scans], network: Network) -> None:
    """Ten probabilities that sum to one, and 64 activations of which none is always off."""
    probs, embedding = network.infer(parts[1].pixels)
    assert probs.shape[1] == 10
    np.testing.assert_allclose(probs.sum(axis=1), 1, atol=1e-5)
    assert embedding.shape[1] == EMBEDDING
    assert (embedding.std(axis=0) > 0).all()


def test_training_is_a_function_of_the_seed(parts: tuple[Scans, Scans], network: Network) -> None:
    """The same bits for the same seed, others for another."""
    pixels = parts[1].pixels
    again, other = Network(parts[0], SEED), Network(parts[0], SEED + 1)
    assert again.infer(pixels).embedding.tobytes() == network.infer(pixels).embedding.tobytes()
    assert other.infer(pixels).embedding.tobytes() != network.infer(pixels).embedding.tobytes()


def test_features_of_an_image_that_can_be_computed_by_hand() -> None:
    """One dark pixel in row 2, column 5, and an empty image."""
    pixels = np.zeros((2, 64), np.float32)
    pixels[0, 2 * 8 + 5] = 1
    dot, empty = (dict(zip(FEATURE_NAMES, row.tolist(), strict=True)) for row in summarise(pixels))
    assert dot == pytest.approx(
        {
            "mean": 1 / 64,
            "sd": np.sqrt(1 / 64 - 1 / 64**2),
            "ink_share": 1 / 64,
            "saturated_share": 1 / 64,
            "blank_columns": 7,
            "row_centre": 2,
            "column_centre": 5,
            "row_spread": 0,
            "column_spread": 0,
            "upper_left": 0,
            "upper_right": 1 / 16,
            "lower_left": 0,
            "lower_right": 0,
            "row_edges": 2 / 56,
            "column_edges": 2 / 56,
            "asymmetry": 2 / 64,
        }
    )
    assert all(value == (8 if name == "blank_columns" else 0) for name, value in empty.items())


def test_some_features_have_ties(parts: tuple[Scans, Scans]) -> None:
    """Shares of pixels are multiples of 1/64, and one value of `blank_columns` is an atom."""
    features = summarise(expose(parts[1].pixels, np.random.default_rng(2)))
    ink = features[:, FEATURE_NAMES.index("ink_share")] * 64
    np.testing.assert_array_equal(ink, np.round(ink))
    counts = np.unique(features[:, FEATURE_NAMES.index("blank_columns")], return_counts=True)[1]
    assert counts.max() > len(features) / 3


def test_blurring_spreads_ink_without_making_any() -> None:
    """A pixel goes to its nine neighbours in equal parts."""
    pixels = np.zeros((1, 64), np.float32)
    pixels[0, 3 * 8 + 3] = 1
    blurred = blur(pixels)
    assert blurred.sum() == pytest.approx(1)
    assert np.count_nonzero(blurred) == 9
    assert blurred.max() < INK
