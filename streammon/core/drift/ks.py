"""Two-sample Kolmogorov-Smirnov test on fine ordered cells."""

from __future__ import annotations

from torch import Tensor

from streammon.core.drift.description import Cells, DriftTest, Result
from streammon.core.drift.nulls import kolmogorov_sf


def ks(current: Tensor, reference: Tensor) -> tuple[Result]:
    """D = max |C/n - R/m| over the cells, C and R cumulative counts; p by Kolmogorov's series at sqrt(nm / (n + m)) D.

    Values that share a cell are tied, and ties are walked together. So D is exact where a cell holds one value, and
    otherwise too small by at most the greatest share strictly inside one cell. p is asymptotic, a little conservative.
    Hodges, The significance probability of the Smirnov two-sample test, Arkiv för Matematik 3, 1958.
    """
    n, m = current.sum(-1), reference.sum(-1)
    gaps = current.cumsum(-1) / n.unsqueeze(-1) - reference.cumsum(-1) / m.unsqueeze(-1)
    distance = gaps.abs().amax(-1)  # NaN where a side is empty
    return (Result(distance, effect=distance, p=kolmogorov_sf((n * m / (n + m)).sqrt() * distance)),)


KS = DriftTest(("ks",), "ks.{cells}.kolmogorov", Cells.FINE, ks, symmetric=True)
