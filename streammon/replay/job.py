"""The work of one process: the runner over some partitions of a log, into their work files."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streammon import assembly
from streammon.adapters.work_files import WorkFiles
from streammon.core.closing import Header
from streammon.core.commit import CommitPolicy
from streammon.core.errors import Code
from streammon.core.journal import JournalEntry
from streammon.core.plan import Plan
from streammon.core.ports import Fill, Observer
from streammon.explain import explainer
from streammon.replay.logs import Log
from streammon.runner import Runner
from streammon.settings import Settings

# A commit follows from what was counted, not from the time of day. A closed window takes the room of many events.
WINDOW = 100  # events
OBJECTS = 500_000  # that are made between two collections
COMMITS = CommitPolicy(interval=250_000, least=250_000, snapshot_interval=1e18, snapshot_events=10_000_000)

Reached = Callable[[int, int | None], None]
"""Is told of records done since the start, and of the event time that was reached (microseconds)."""


@dataclass(frozen=True)
class Job:
    """What a process needs to know."""

    settings: Settings
    plan: Plan
    log: Log
    journal: tuple[JournalEntry, ...] | None  # None: the settings decide
    since: Mapping[int, int]  # by partition that warms up: windows that start earlier are not published
    directory: Path  # of the work files
    partitions: tuple[int, ...]
    commits: CommitPolicy = COMMITS


def work(job: Job, reached: Reached, stopping: Callable[[], bool]) -> bool:
    """Go on from where the work files are, to the end of the log or until `stopping()`. Whether it is the end."""
    settings, plan = job.settings, job.plan
    baselines = assembly.baselines(settings.baselines, plan)
    source, decoder = job.log.open(plan, job.partitions)
    framed = settings.input.framing != "raw"
    with (
        closing(source),
        closing(WorkFiles(job.directory, plan.topic, job.partitions, job.journal, framed)) as files,
    ):
        counted = Counted(files.counts, reached)
        runner = Runner(
            plan=plan,
            baselines=baselines,
            source=source,
            sink=files,
            store=files,
            decoder=decoder,
            explain=explainer(decoder, plan, baselines),
            suite=assembly.suite(settings),
            policy=job.commits,
            now=lambda: float(counted.work),
            start_at=lambda partitions: {partition: job.log.spans[partition].first for partition in partitions},
            decides=job.journal is None,
            keeps_late=settings.topics.late is not None,
            publishes=published_since(job.since) if job.since else None,
            observer=counted,
        )
        with rare_collections():
            runner.run(stopping)
        if source.finished():
            files.finish()
        return source.finished()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Closed windows are hundreds of thousands of tuples and no cycles: looking through them again and again for cycles
    takes a quarter of a replay. What is there before (torch, for one) is looked through once, at the end.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(OBJECTS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def published_since(since: Mapping[int, int]) -> Callable[[Header], bool]:
    """Whether a window that closed is published (warm_up.py)."""
    return lambda header: header.start >= since.get(header.partition, header.start)


class Counted(Observer):
    """Counts by partition, as far as commits have them or will have, in the counters that commits keep."""

    def __init__(self, counts: Mapping[int, Counter[str]], reached: Reached) -> None:
        self._counts, self._reached = counts, reached
        self._clocks: dict[int, int] = {}
        self._done = self.work = 0  # since the start

    def fed(self, partition: int, events: int, late: int, refused: Mapping[Code, int], windows: int) -> None:
        counts = self._counts[partition]
        counts.update(events=events, late=late, windows=windows)
        counts.update({code.name: rows for code, rows in refused.items()})
        done = events + late + sum(refused.values())
        self._done += done
        self.work += done + WINDOW * windows

    def filled(self, partition: int, fill: Fill, clock: int | None) -> None:
        if clock is not None:
            self._clocks[partition] = clock

    def turned(self) -> None:
        self._reached(self._done, min(self._clocks.values(), default=None))
