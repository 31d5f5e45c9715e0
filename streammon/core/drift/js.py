"""Jensen-Shannon divergence."""

from __future__ import annotations

from torch import Tensor

from streammon.core.drift.description import Cells, DriftTest, Result
from streammon.core.drift.groups import Table


def js(current: Tensor, reference: Tensor) -> tuple[Result]:
    """JS = (KL(p ‖ h) + KL(q ‖ h)) / 2 with h = (p + q) / 2, nats, at most ln 2. The effect is its root, a distance.

    With p = h (1 + d) and q = h (1 - d) a group contributes h/2 ((1 + d) ln(1 + d) + (1 - d) ln(1 - d)), which keeps
    more digits than ln(p / h) where p and q are close; rounding below 0 is cut off.
    Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1), 1991; Endres and Schindelin,
    A new metric for probability distributions, IEEE Trans. Inf. Theory 49 (7), 2003.
    """
    table = Table.of(current, reference)
    p, q = table.shares()
    middle = (p + q) / 2
    d = (p - q) / (p + q)
    value = table.total(middle / 2 * ((1 + d) * d.log1p() + (1 - d) * (-d).log1p())).clamp(min=0.0)
    return (Result(value, effect=value.sqrt()),)


JS = DriftTest(("js",), "js.{cells}.smooth", Cells.GROUPS, js, symmetric=True)
