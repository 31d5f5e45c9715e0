"""Which baselines are in force, and from when: activations in the order of the journal."""

from __future__ import annotations

from collections.abc import Mapping

from streammon.core.baseline import Baseline, Layout
from streammon.core.errors import UsageError
from streammon.core.outputs import Series
from streammon.core.state import ActiveBaseline


class ActiveBaselines:
    """Of one partition. `known` are those that may be activated, by id; `place` names the partition in errors."""

    def __init__(self, known: Mapping[str, Baseline], place: str) -> None:
        self.entries: list[ActiveBaseline] = []
        self._known = known
        self._place = place

    def add(self, active: ActiveBaseline) -> Baseline:
        """In force for panes that start at or after `effective_from`."""
        baseline = self._known.get(active.baseline_id)
        if baseline is None or baseline.content_hash != active.content_hash:
            problem = "do not hold it" if baseline is None else "hold one of that name with another content"
            raise UsageError(
                f"baseline {active.baseline_id} is active for {self._place}, but the baselines in the settings "
                f"{problem}: name the directory that it was activated from"
            )
        self.entries.append(active)
        return baseline

    def of(self, series: Series) -> list[Baseline]:
        """Those that a series has or will have, in order of activation."""
        return [self._known[active.baseline_id] for active in self.entries if _is_for(active, series)]

    def at(self, series: Series, pane_start: int, layout: Layout) -> Baseline | None:
        """The one that a pane is built on: the last activated that is effective by its start, if it fits the series."""
        for active in reversed(self.entries):
            if _is_for(active, series) and (active.effective_from is None or active.effective_from <= pane_start):
                baseline = self._known[active.baseline_id]
                return baseline if baseline.layout == layout else None
        return None


def _is_for(active: ActiveBaseline, series: Series) -> bool:
    return (active.model_id, active.model_version) == (series.model_id, series.model_version)
