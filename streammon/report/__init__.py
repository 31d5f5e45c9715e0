"""The report: metric and alert events as one page that needs nothing else, by `write(source, out)`.

From the source to the page:

    sources.py    a directory or topics          collect.py        metric events to columns
    implied.py    rules that alerts tell         charts.py         which lines, with what beside them (chart.py)
    bands.py      what sampling alone gives      distributions.py  what moved
    thinning.py   fewer points                   captions.py       every picture in words
    evidence.py   what a reader checks           view.py           all of it as safe texts
    page.py       the template, and the limit on its size
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streammon.core.outputs import MetricEvent
    from streammon.report.sources import Source

__all__ = ["Written", "write"]


@dataclass(frozen=True)
class Written:
    """What a page holds."""

    path: str
    bytes: int
    series: int
    windows: int
    alerts: int  # episodes
    charts: int
    left_out: tuple[str, ...]  # sentences, as the page has them


def write(
    source: Source | Path,
    out: Path,
    *,
    model: str = "*",
    lane: str = "*",
    progress: Callable[[int], None] = lambda done: None,
) -> Written:
    """Write the page of a source, or of a directory that a replay or a demo wrote, to the file `out`.

    `model` and `lane` are shell patterns; `progress` hears how many metric events were read. The file appears whole or
    not at all; the same source gives the same bytes. UsageError where something cannot be read or written.
    """
    from streammon.backtest.episodes import episodes
    from streammon.core.errors import UsageError
    from streammon.report import charts, collect, page, sources
    from streammon.report.view import Story

    if isinstance(source, Path):
        source = sources.directory(source)

    def chosen(series: tuple[str, str, str]) -> bool:
        return fnmatchcase(series[0], model) and fnmatchcase(series[2], lane)

    found = episodes(alert for alert in source.alerts if chosen(alert.series))
    rules = () if source.policy is None else source.policy.rules
    observed = collect.collect(
        (metric for metric in _counted(source.metrics, progress) if chosen(metric.series)), charts.wanted(rules, found)
    )
    story = Story(replace(source, alerts=(), metrics=()), observed, found)
    for cut in page.cuts():
        view, data, left_out = story.view(cut)
        content = page.render(view, data)
        if len(content) < page.LIMIT:
            break
    else:
        raise page.too_large(len(content))
    partial = out.with_name(out.name + ".partial")
    try:
        partial.write_bytes(content)
        partial.replace(out)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise UsageError(f"{out}: cannot be written ({error.strerror}): choose another file") from error
    drawn = len(data["lines"]) + len(data["bars"])
    windows = sum(tally.windows for one in observed.values() for tally in one.tallies.values())
    return Written(str(out), len(content), len(observed), windows, len(found), drawn, tuple(left_out))


def _counted(metrics: Iterable[MetricEvent], progress: Callable[[int], None]) -> Iterator[MetricEvent]:
    for done, metric in enumerate(metrics, 1):
        progress(done)
        yield metric
