"""The state of an engine as of its position, as things of the changelog, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streammon.core.aggregates import AGGREGATES
from streammon.core.baseline import Baseline, Layout
from streammon.core.engine import Engine
from streammon.core.errors import UsageError
from streammon.core.panes import BARE
from streammon.core.plan import Plan
from streammon.core.state import FORMAT, ClockState, HeaderState, PaneState
from streammon.core.timeline import SEVERAL, P


def panes(engine: Engine) -> list[PaneState]:
    """Every live pane."""
    out = []
    for number, series in enumerate(engine.series.names):
        for pane_number, pane in sorted(engine.series.live[number].items()):
            start = engine.pane_start(pane_number)
            stamps = [engine.panes.stamp([pane], k) for k in range(2)]
            out.append(
                PaneState(
                    series=series,
                    pane=pane_number,
                    start=start,
                    end=start + engine.plan.pane_width,
                    n=int(engine.panes.table.n[pane]),
                    baseline_id=engine.panes.baseline(pane),
                    data_hash=stamps[0][0],
                    git_commit=stamps[1][0],
                    mixed_data_hash=stamps[0][1],
                    mixed_git_commit=stamps[1][1],
                    fields={name: array.copy() for name, array in engine.panes.state(pane).items()},
                )
            )
    return out


def clocks(engine: Engine) -> list[ClockState]:
    """Every series."""
    c, now = engine.series.clocks, engine.clocks_now()
    return [
        ClockState(
            series=series,
            own=int(c.own[number]),
            clock=int(now[number]),
            p0=int(c.p0[number]),
            late=int(c.late[number]),
            late_reported={
                spec.text: int(engine.series.late_reported[number, k]) for k, spec in enumerate(engine.specs)
            },
        )
        for number, series in enumerate(engine.series.names)
    ]


def restore(
    plan: Plan,
    partition: int,
    baselines: Mapping[str, Baseline],
    header: HeaderState,
    clock_states: Iterable[ClockState],
    pane_states: Iterable[PaneState],
) -> Engine:
    """The engine that was captured."""
    if header.format != FORMAT:
        raise UsageError(f"partition {partition}: state of format {header.format}, this version reads format {FORMAT}")
    if header.plan_hash != plan.hash:
        raise UsageError(
            f"partition {partition} of {plan.topic}: the state was written under another plan "
            f"({header.plan_hash}; these settings have {plan.hash}). Windows, lateness, models, input and mapping "
            "cannot change while state is kept: restore the old settings, or start another group"
        )
    engine = Engine(plan, partition, baselines)
    engine.position = header.position
    if header.progress is not None:
        engine.progress[P] = header.progress
    for active in header.active_baselines:
        engine.activate(active)
    for clock in clock_states:
        _restore_clock(engine, clock)
    for pane in sorted(pane_states, key=lambda pane: pane.pane):  # the ring of open panes keeps the latest
        _restore_pane(engine, pane, baselines)
    engine.reschedule()
    return engine


def _restore_clock(engine: Engine, state: ClockState) -> None:
    engine.new_series(state.series)
    number, c = engine.series.numbers[state.series], engine.series.clocks
    c.own[number], c.clock[number], c.p0[number], c.late[number] = state.own, state.clock, state.p0, state.late
    engine.series.mark[number] = state.clock - engine.plan.allowed_lateness
    for k, spec in enumerate(engine.specs):
        engine.series.late_reported[number, k] = state.late_reported[spec.text]


def _restore_pane(engine: Engine, state: PaneState, baselines: Mapping[str, Baseline]) -> None:
    number = engine.series.numbers[state.series]
    baseline = None if state.baseline_id is None else baselines[state.baseline_id]
    pane = engine.open_pane(number, state.pane, baseline, _layout_of(engine.series.layouts[number], state))
    engine.panes.table.n[pane] = state.n
    for k, text in enumerate((state.data_hash, state.git_commit)):
        if text is not None:
            engine.panes.set_stamp(pane, k, text)
        if (state.mixed_data_hash, state.mixed_git_commit)[k]:
            engine.panes.table.stamps[pane, k] = SEVERAL
    for name, array in engine.panes.state(pane).items():
        array[...] = state.fields[name]


def _layout_of(layout: Layout, state: PaneState) -> Layout:
    """That of the series, or BARE: a pane that was opened before the series' first baseline has no names."""
    names = {f"{aggregate.name}.{field.name}" for aggregate in AGGREGATES for field in aggregate.fields(layout)}
    return layout if names == state.fields.keys() else BARE
