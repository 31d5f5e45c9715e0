"""Population stability index, its excess over chance, and a two-sample chi-square p on the same groups."""

from __future__ import annotations

from torch import Tensor

from streammon.core.drift.description import Cells, DriftTest, Result
from streammon.core.drift.groups import Table
from streammon.core.drift.nulls import two_sample_chi2


def psi(current: Tensor, reference: Tensor) -> tuple[Result, Result]:
    """PSI = sum (p - q) ln (p / q) over the smoothed shares; excess = PSI - (G - 1) (1/n + 1/m).

    To first order PSI without drift is (1/n + 1/m) times a chi-square with G - 1 degrees of freedom, so its mean, which
    the excess takes off, depends on n: a customary limit like .2 has no meaning at small n (Yurdakul and Naranjo,
    Statistical properties of the population stability index, J. Risk Model Validation 14 (4), 2020). Smoothing moves
    PSI in small samples, so p comes from Pearson's statistic on the unsmoothed counts.
    """
    table = Table.of(current, reference)
    p, q = table.shares()
    value = table.total((p - q) * (p / q).log())
    excess = value - (table.groups - 1) * (1 / table.n + 1 / table.m)
    chi2_p, low_n = two_sample_chi2(table)
    return Result(value, effect=excess, p=chi2_p, low_n=low_n), Result(excess)


PSI = DriftTest(("psi", "psi_excess"), "psi.{cells}.smooth", Cells.GROUPS, psi, symmetric=True)
