"""The model behind the simulated service: a small multilayer perceptron, trained in about a second.

Training and inference run on the CPU with one thread, so that the same seed gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streammon.simulate.images import CLASSES, SIDE, Pixels, Scans, expose

EMBEDDING = 64
_HIDDEN = 128
_EPOCHS = 30
_BATCH = 100
_LEARNING_RATE = 3e-3
_LABEL_SMOOTHING = 0.05  # keeps the top probability away from 1, where drift of the score would be invisible


class Inference(NamedTuple):
    """What the network says about n images."""

    probs: NDArray[np.float32]  # [n, 10]
    embedding: NDArray[np.float32]  # [n, 64], activations of the penultimate layer


class Network:
    """A trained classifier of digits."""

    def __init__(self, scans: Scans, seed: int) -> None:
        """Train on the scans, each epoch with fresh exposures of them."""
        rng = np.random.default_rng(seed)
        with _one_thread(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # initial weights; the caller's generator is left as it was
            self._body = nn.Sequential(
                nn.Linear(SIDE * SIDE, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, EMBEDDING), nn.GELU()
            )
            self._head = nn.Linear(EMBEDDING, CLASSES)
            self._train(scans, rng)

    def _train(self, scans: Scans, rng: np.random.Generator) -> None:
        model = nn.Sequential(self._body, self._head)
        optimiser = torch.optim.Adam(model.parameters(), lr=_LEARNING_RATE)
        loss = nn.CrossEntropyLoss(label_smoothing=_LABEL_SMOOTHING)
        label = torch.from_numpy(scans.label)
        for _ in range(_EPOCHS):
            pixels = torch.from_numpy(expose(scans.pixels, rng))
            order = torch.from_numpy(rng.permutation(len(label)))
            for rows in torch.split(order, _BATCH):
                optimiser.zero_grad()
                loss(model(pixels[rows]), label[rows]).backward()
                optimiser.step()

    def infer(self, pixels: Pixels) -> Inference:
        """Probabilities and embeddings of a batch of images."""
        with _one_thread(), torch.inference_mode():
            embedding = self._body(torch.from_numpy(pixels))
            probs = torch.softmax(self._head(embedding), dim=1)
        return Inference(probs.numpy(), embedding.numpy())


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
