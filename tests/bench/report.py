"""What a benchmark found: one line for a person, one object for a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class Goal(NamedTuple):
    """The bound that a value has to keep."""

    at_least: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        return f">= {self.at_least:g}" if self.at_least is not None else f"<= {self.at_most:g}"

    def met(self, value: float) -> bool:
        return value >= self.at_least if self.at_least is not None else value <= (self.at_most or 0.0)


class Figure(NamedTuple):
    """One measured value. `goal` None: told for information."""

    name: str
    value: float
    unit: str
    goal: Goal | None
    command: str  # that measures it

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.goal.met(self.value)


def table(figures: Sequence[Figure]) -> str:
    """
    >>> print(table([Figure("speed", 2.0, "x", Goal(at_least=1), "")]))
    figure          value  unit  goal
    speed               2  x     >= 1  met
    """
    rows = [
        (f.name, f"{f.value:.4g}" if abs(f.value) < 1e4 else f"{f.value:,.0f}", f.unit, str(f.goal or ""), _verdict(f))
        for f in figures
    ]
    wide = [max(len(row[i]) for row in [*rows, ("figure", " " * 10, "unit", "goal", "")]) for i in range(5)]
    lines = [("figure", "value", "unit", "goal", ""), *rows]
    return "\n".join(
        f"{name:{wide[0]}}  {value:>{wide[1]}}  {unit:{wide[2]}}  {goal:{wide[3]}}  {met}".rstrip()
        for name, value, unit, goal, met in lines
    )


def write(figures: Sequence[Figure], path: Path) -> None:
    """A list of {name, value, unit, goal, met, command}. What is there already and was not measured now stays."""
    known = {item["name"]: item for item in json.loads(path.read_text())} if path.exists() else {}
    for figure in figures:
        goal = None if figure.goal is None else str(figure.goal)
        known[figure.name] = {**figure._asdict(), "goal": goal, "met": figure.met}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(known.values()), indent=2) + "\n")


def _verdict(figure: Figure) -> str:
    return "" if figure.met is None else "met" if figure.met else "MISSED"
