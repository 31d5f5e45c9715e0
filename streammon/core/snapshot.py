"""The state of an engine as of its position, as things of the changelog, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streammon.core.baseline import Baseline, Layout
from streammon.core.engine import Engine
from streammon.core.errors import UsageError
from streammon.core.outputs import Series
from streammon.core.panes import BARE
from streammon.core.plan import Plan
from streammon.core.series import Past, SeriesBook
from streammon.core.state import FLOOR, FORMAT, ClockState, HeaderState, PaneState
from streammon.core.timeline import NEVER, SEVERAL, P
from streammon.core.windows import Block


def panes(engine: Engine) -> list[PaneState]:
    """Every live pane and block."""
    out = []
    for number, series in enumerate(engine.series.names):
        for block, held in sorted(engine.series.held[number].items()):
            pane = held.pane
            stamps = [engine.panes.stamp([pane], k) for k in range(2)]
            out.append(
                PaneState(
                    series=series,
                    level=block.level,
                    pane=block.number,
                    start=held.low,
                    end=held.high,
                    n=int(engine.panes.table.n[pane]),
                    baselines=tuple(sorted(engine.panes.baselines[pane], key=lambda name: (name is not None, name))),
                    anchored=bool(engine.panes.table.baseline[pane] >= 0),
                    layout=engine.panes.layout(pane).digest,
                    data_hash=stamps[0][0],
                    git_commit=stamps[1][0],
                    mixed_data_hash=stamps[0][1],
                    mixed_git_commit=stamps[1][1],
                    fields={name: array.copy() for name, array in engine.panes.state(pane).items()},
                )
            )
    return out


def clocks(engine: Engine) -> list[ClockState]:
    """Every series, those that have expired too."""
    book, now = engine.series, engine.clocks_now()
    live = {series: book.past_of(number, int(now[number])) for number, series in enumerate(book.names)}
    return [_clock(book, series, past, False) for series, past in live.items()] + [
        _clock(book, series, past, True) for series, past in book.past.items()
    ]


def _clock(book: SeriesBook, series: Series, past: Past, expired: bool) -> ClockState:
    texts = [spec.text for spec in book.specs]
    full = {text: start for text, start in zip(texts, past.full, strict=True) if start > -NEVER}
    reported = dict(zip(texts, past.late_reported, strict=True))
    return ClockState(series, past.own, past.clock, past.p0, past.late, past.mark, reported, full, expired)


def counters(engine: Engine) -> dict[str, int]:
    """What a header holds besides."""
    return {FLOOR: engine.series.floor} if engine.series.floor > -NEVER else {}


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
    engine.series.floor = header.counters.get(FLOOR, -NEVER)
    for clock in clock_states:
        engine.series.past[clock.series] = _past(engine.series, clock)
    for clock in clock_states:
        if not clock.expired and clock.series not in engine.series.numbers:  # a roll-up comes with its first member
            engine.new_series(clock.series)
    known = [BARE, *(shape.layout for shape in plan.models), *(baseline.layout for baseline in baselines.values())]
    layouts = {layout.digest: layout for layout in known}
    for pane in sorted(pane_states, key=lambda pane: (pane.level, pane.pane)):  # the ring keeps the latest
        _restore_pane(engine, pane, baselines, layouts)
    engine.resume()
    return engine


def _past(book: SeriesBook, state: ClockState) -> Past:
    reported = tuple(state.late_reported[spec.text] for spec in book.specs)
    full = tuple(state.last_full.get(spec.text, -NEVER) for spec in book.specs)
    return Past(state.own, state.clock, state.p0, state.late, state.mark, reported, full)


def _restore_pane(
    engine: Engine, state: PaneState, baselines: Mapping[str, Baseline], layouts: Mapping[str, Layout]
) -> None:
    if state.layout not in layouts:
        raise UsageError(
            f"partition {engine.partition}: state of {' '.join(state.series)} has names of features or classes that "
            "neither `models` nor a baseline in the settings has: name the baselines that it was built on"
        )
    number = engine.series.numbers[state.series]
    built_on = [None if name is None else baselines[name] for name in state.baselines]
    pane = engine.panes.restore(state.pane << state.level, layouts[state.layout], built_on, state.anchored, state.n)
    engine.hold(number, Block(state.level, state.pane), pane)
    for k, text in enumerate((state.data_hash, state.git_commit)):
        if text is not None:
            engine.panes.set_stamp(pane, k, text)
        if (state.mixed_data_hash, state.mixed_git_commit)[k]:
            engine.panes.table.stamps[pane, k] = SEVERAL
    for name, array in engine.panes.state(pane).items():
        array[...] = state.fields[name]
