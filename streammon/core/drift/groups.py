"""Counts by group: sums whose last bits are certain, and the smoothed shares that PSI, KL and JS compare.

Bits. A published number must not depend on what else was in the batch. Sums of counts are sums of whole numbers below
2^53, exact in any order. Other sums go through `fold`, whose order is spelt out, not through `torch.sum`, whose order
may change with shape, strides and threads.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

SMOOTHING = 0.5  # added to every group's count: the posterior mean under Jeffreys' prior


class Table(NamedTuple):
    """Counts of both sides by group, float64, and what all formulas need of them."""

    current: Tensor  # [W, F, G]
    reference: Tensor  # [W, F, G]
    occupied: Tensor  # [W, F, G] bool: not empty on both sides. The other groups do not count
    groups: Tensor  # [W, F] number of occupied groups
    n: Tensor  # [W, F] current events
    m: Tensor  # [W, F] reference events
    empty: Tensor  # [W, F] bool: a side has no event, so there is nothing to compare

    @classmethod
    def of(cls, current: Tensor, reference: Tensor) -> Table:
        occupied = current + reference > 0
        n, m = current.sum(-1), reference.sum(-1)
        return cls(current, reference, occupied, occupied.sum(-1).to(n.dtype), n, m, (n == 0) | (m == 0))

    def shares(self) -> tuple[Tensor, Tensor]:
        """p = (c + .5) / (n + .5 G) and q = (r + .5) / (m + .5 G): [W, F, G], meaningless in groups that do not count.

        >>> p, q = Table.of(torch.tensor([[[3.0, 0.0, 0.0]]]), torch.tensor([[[1.0, 5.0, 0.0]]])).shares()
        >>> p[..., :2], q[..., :2]
        (tensor([[[0.8750, 0.1250]]]), tensor([[[0.2143, 0.7857]]]))
        """
        added = SMOOTHING * self.groups
        p = (self.current + SMOOTHING) / (self.n + added).unsqueeze(-1)
        q = (self.reference + SMOOTHING) / (self.m + added).unsqueeze(-1)
        return p, q

    def total(self, terms: Tensor) -> Tensor:
        """Sum of `terms` [W, F, G] over the occupied groups: [W, F], NaN where there is nothing to compare."""
        return fold(terms.where(self.occupied, 0.0)).masked_fill(self.empty, torch.nan)


def by_group(counts: Tensor, group: Tensor, number: int) -> Tensor:
    """Counts [W, F, K] (int64) of cells added up to groups: [W, F, number]. `group` [W, F, K] (int64) is each cell's.

    >>> by_group(torch.tensor([[[3, 4, 5]]]), torch.tensor([[[0, 2, 2]]]), 3)
    tensor([[[3, 0, 9]]])
    """
    return counts.new_zeros((*counts.shape[:-1], number)).scatter_add_(-1, group, counts)


def fold(terms: Tensor) -> Tensor:
    """Sum over the last dimension by halves, [..., K] to [...]: the same additions wherever a row lies in the tensor.

    Pairwise summation; its error grows with log K (Higham, The accuracy of floating point summation, 1993).

    >>> fold(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]))
    tensor([ 6., 15.])
    """
    while (width := terms.shape[-1]) > 1:
        half = (width + 1) // 2
        rest = terms[..., half:]
        terms = terms[..., :half] + (pad(rest, (0, 1)) if width % 2 else rest)
    return terms.squeeze(-1)
