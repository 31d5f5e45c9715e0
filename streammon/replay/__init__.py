"""Backtest: the runner over recorded events or a topic, with the same engine, suite and judge as live.

logs.py      what is replayed         warm_up.py   from when on it is comparable, where it begins in the middle
job.py       the work of one process  processes.py several of them
folder.py    unfinished work          here         all of it: from a log to files
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from streammon import assembly
from streammon.adapters.codec import to_bytes
from streammon.adapters.covered import Covered
from streammon.adapters.file_sink import ALERTS, METRICS, ReplayFiles
from streammon.adapters.recorded_log import Span
from streammon.adapters.work_files import gather, standing
from streammon.core.commit import CommitPolicy
from streammon.core.errors import Code, Refusal
from streammon.core.journal import JournalEntry
from streammon.replay import processes, warm_up
from streammon.replay.folder import discard, unfinished, work_folder
from streammon.replay.job import COMMITS, Job, Reached
from streammon.replay.logs import Foreign, Log, of_files, of_topic
from streammon.settings import Settings, plan

__all__ = ["Log", "Summary", "describe", "of_files", "of_topic", "run", "unfinished"]

Progress = Callable[[int, int, int | None], None]
"""Is told of records done, records in all, and the event time that was reached (microseconds)."""

RECORDS_A_JOB = 1_000_000  # fewer are not worth the start of a process


@dataclass(frozen=True)
class Summary:
    """What a replay did. `metrics` and `alerts` count events written. Times in microseconds."""

    events: int
    windows: int
    metrics: int
    alerts: int
    late: int
    dead_letters: dict[str, int]  # by reason
    tombstones: int  # records with a null value
    seconds: float  # of work, without the start of processes
    events_per_second: int
    cpu_seconds: float  # of all processes, their start included
    files: int  # 0: a topic
    partitions: int
    jobs: int
    journal: int | None  # entries; None: the settings decided
    comparable: bool  # with what live published
    comparable_from: int | None  # the windows that start then or later; None: all
    why_not_comparable: str | None  # where it is not


def run(
    settings: Settings,
    log: Log,
    out: Path,
    *,
    journal: Sequence[JournalEntry] | None = None,
    jobs: int | None = None,
    resume: bool = False,
    progress: Progress = lambda done, total, reached: None,
    commits: CommitPolicy = COMMITS,
) -> Summary:
    """Replay a log into a directory. `journal`: the decisions of live; None: the settings decide.

    SIGINT and SIGTERM leave the unfinished work there, and then do what they do; `resume` goes on with it.
    """
    the_plan = plan(settings, log.topic)
    baselines = assembly.baselines(settings.baselines, the_plan)
    if not isinstance(log, Foreign):  # which was looked at with the mapping of its columns
        assembly.decoder(the_plan)  # refuses what cannot be read before anything is written
    since = warm_up.since(the_plan, log.spans)
    entries = None if journal is None else tuple(entry for entry in journal if _concerns(entry, log.spans))
    about = {
        "plan": the_plan.hash,
        "policy": the_plan.policy.hash,
        "baselines": sorted(baseline.content_hash for baseline in baselines.values()),
        "late topic": settings.topics.late is not None,
        "journal": None if entries is None else _digest(entries),
        "records": log.identity,
    }
    with work_folder(out, about, resume) as folder:
        before = {partition: standing(folder, partition) for partition in log.spans}
        left = [partition for partition, (_, finished) in before.items() if not finished]
        done = sum(_records(counts) for counts, _ in before.values())
        total = sum(span.records for span in log.spans.values())
        shares = _shared(left, log.spans, _jobs(jobs, len(left), total - done))
        every = [Job(settings, the_plan, log, entries, since, folder, share, commits) for share in shares]
        seconds, cpu = log.seconds, 0.0
        if every:
            try:
                worked = _work(every, lambda now, reached: progress(done + now, total, reached))
            except Refusal:
                if not resume and not any(_records(standing(folder, p)[0]) for p in log.spans):
                    discard(folder)  # it had hardly begun
                raise
            seconds, cpu = seconds + worked.seconds, worked.cpu
        started = time.monotonic()
        covered = Covered({p: (span.first, span.end) for p, span in log.spans.items()}, since, log.why_not)
        hashes = {"streammon.plan": the_plan.hash, "streammon.policy": the_plan.policy.hash}
        with ReplayFiles(out, hashes | covered.metadata(), log.topic, settings.topics.late is not None) as files:
            counts, written = gather(folder, list(log.spans), files)
    seconds += time.monotonic() - started
    dead = {code.name: counts[code.name] for code in sorted(Code, key=lambda code: code.name) if counts[code.name]}
    tombstones = dead.pop(Code.TOMBSTONE.name, 0)
    why = log.why_not or _nothing(since, counts["windows"], written[METRICS])
    return Summary(
        counts["events"],
        counts["windows"],
        written[METRICS],
        written[ALERTS],
        counts["late"],
        dead,
        tombstones,
        round(seconds, 3),
        round((_records(counts) - done) / max(seconds, 1e-9)),
        round(cpu + time.process_time(), 3),
        log.files,
        len(log.spans),
        max(1, len(every)),
        None if entries is None else len(entries),
        comparable=why is None,
        comparable_from=max(since.values(), default=None),
        why_not_comparable=why,
    )


def describe(summary: Summary) -> dict[str, object]:
    """For `--json`."""
    return asdict(summary)


def _work(jobs: Sequence[Job], reached: Reached) -> processes.Worked:
    """Does not return where it was interrupted."""
    with processes.interruptible() as interrupt:
        worked = processes.run(jobs, reached, lambda: bool(interrupt))
    if not worked.finished:
        raise KeyboardInterrupt  # whoever handles the signal thought nothing of it
    return worked


def _jobs(asked: int | None, partitions: int, records: int) -> int:
    """How many processes; by default as many as have something to do."""
    useful = min(len(os.sched_getaffinity(0)), 1 + records // RECORDS_A_JOB)
    return max(1, min(asked or useful, partitions))


def _shared(partitions: Sequence[int], spans: Mapping[int, Span], jobs: int) -> list[tuple[int, ...]]:
    """The partitions of each job: the longest first, to whoever has least.

    >>> _shared([0, 1, 2], {0: Span(0, 9, 9, 0), 1: Span(0, 5, 5, 0), 2: Span(0, 3, 3, 0)}, 2)
    [(0,), (1, 2)]
    """
    shares: list[list[int]] = [[] for _ in range(jobs)]
    for partition in sorted(partitions, key=lambda p: (-spans[p].records, p)):
        min(shares, key=lambda share: sum(spans[p].records for p in share)).append(partition)
    return [tuple(sorted(share)) for share in shares if share]


def _records(counts: Counter[str]) -> int:
    return counts.total() - counts["windows"]


def _concerns(entry: JournalEntry, spans: Mapping[int, Span]) -> bool:
    """A live journal grows on; what it says of later records is another matter."""
    return entry.partition in spans and entry.position <= spans[entry.partition].end


def _digest(journal: Sequence[JournalEntry]) -> str:
    digest = blake2b(digest_size=16)
    for entry in sorted(journal, key=lambda entry: (entry.partition, entry.sequence)):
        digest.update(to_bytes(entry))
    return digest.hexdigest()


def _nothing(since: Mapping[int, int], windows: int, metrics: int) -> str | None:
    """Where warming up took the whole of it."""
    if not since or metrics or not windows:
        return None
    return "it begins in the middle and ends before a window that live saw the same (docs/replay.md); replay more"
