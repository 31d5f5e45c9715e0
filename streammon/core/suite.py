"""The drift suite: all tests on all windows that close together, in launches of one fixed shape.

A published number must not depend on what else closed with its window. So every launch has the same shape, windows
padded with zero counts to `LAUNCH`, and a window's numbers come from its own counts alone (drift/groups.py). Float64
throughout; no matrix products, so no TF32. The class of device may change the last bits, so `method` names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streammon.core.baseline import GROUPS
from streammon.core.drift import TESTS, Cells, DriftTest, Result
from streammon.core.drift.groups import by_group
from streammon.core.measures import CellCounts, Column

LAUNCH = 32  # windows


class Suite:
    """Runs `TESTS` on one device: "cpu", "cuda", or "auto" for cuda where there is one."""

    def __init__(self, device: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)

    def run(self, distributions: Sequence[CellCounts]) -> list[list[Column]]:
        """Columns of each distribution, in the order of `TESTS`; nominal ones have no fine cells, so no test on those.

        Where a window or its reference is empty, value, effect and p are NaN.

        >>> reference = np.array([[[30, 50, 20]]])
        >>> cells = np.array([[[0, 1, 2]]], dtype=np.int32)
        >>> classes = CellCounts("prediction.class_", None, reference // 2, reference, cells)
        >>> [columns] = Suite("cpu").run([classes])
        >>> [column.name for column in columns]
        ['prediction.class_psi', 'prediction.class_psi_excess', 'prediction.class_kl', 'prediction.class_js']
        >>> columns[0].p, columns[0].n, columns[0].method
        (array([[1.]]), array([[50]]), 'psi.classes.smooth.cpu')
        """
        by_shape: dict[tuple[int, int, bool], list[int]] = {}
        for i, each in enumerate(distributions):
            _, features, cells = each.current.shape
            by_shape.setdefault((features, cells, each.ordinal), []).append(i)
        columns: list[list[Column]] = [[] for _ in distributions]
        with torch.inference_mode():
            for indices in by_shape.values():
                found = self._of_one_shape([distributions[i] for i in indices])
                for i, its_columns in zip(indices, found, strict=True):
                    columns[i] = its_columns
        return columns

    def _of_one_shape(self, distributions: list[CellCounts]) -> Iterator[list[Column]]:
        ordinal = distributions[0].ordinal
        tests = [test for test in TESTS if ordinal or test.cells is Cells.GROUPS]
        launches = [
            _launch(tests, current, reference, groups if ordinal else None)
            for current, reference, groups in zip(
                self._split([each.current for each in distributions]),
                self._split([each.reference for each in distributions]),
                self._split([each.groups for each in distributions]),
                strict=True,
            )
        ]
        found = [_joined(parts) for parts in zip(*launches, strict=True)]
        names = [(name, self._method(test, ordinal)) for test in tests for name in test.statistics]
        start = 0
        for each in distributions:
            rows = slice(start, start + len(each.current))
            start = rows.stop
            n, m = each.current.sum(-1), each.reference.sum(-1)
            yield [
                Column(
                    each.prefix + name,
                    n=n,
                    reference_n=m,
                    features=each.features,
                    method=method,
                    **{field: array[rows] for field, array in arrays.items()},
                )
                for (name, method), arrays in zip(names, found, strict=True)
            ]

    def _split(self, arrays: list[NDArray[Any]]) -> tuple[Tensor, ...]:
        """Arrays [W, F, K] one behind the other, padded with zeros, as int64 tensors [LAUNCH, F, K] on the device."""
        windows = sum(map(len, arrays))
        rows = np.zeros((max(1, -(-windows // LAUNCH)) * LAUNCH, *arrays[0].shape[1:]), np.int64)
        np.concatenate(arrays, out=rows[:windows])
        return torch.split(torch.from_numpy(rows).to(self._device), LAUNCH)

    def _method(self, test: DriftTest, ordinal: bool) -> str:
        groups = f"{GROUPS}groups" if ordinal else "classes"
        return f"{test.method.format(cells='fine' if test.cells is Cells.FINE else groups)}.{self._device.type}"


def _launch(tests: Sequence[DriftTest], current: Tensor, reference: Tensor, groups: Tensor | None) -> list[Result]:
    """One result per statistic from int64 counts [LAUNCH, F, K]. `groups` None: every cell is its own group."""
    counts = {Cells.FINE: (current.double(), reference.double())}
    counts[Cells.GROUPS] = counts[Cells.FINE]
    if groups is not None:
        counts[Cells.GROUPS] = (
            by_group(current, groups, GROUPS).double(),
            by_group(reference, groups, GROUPS).double(),
        )
    return [result for test in tests for result in test.compute(*counts[test.cells])]


def _joined(parts: Sequence[Result]) -> dict[str, NDArray[Any]]:
    """The fields that a statistic has, by name: the launches' [LAUNCH, F] one behind the other."""
    return {
        field: torch.cat(tensors).cpu().numpy()
        for field, tensors in zip(Result._fields, zip(*parts, strict=True), strict=True)
        if tensors[0] is not None
    }
