"""Backtest: the runner over recorded events, with the same engine, suite and judge as live."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from streammon import assembly
from streammon.adapters.file_sink import FileSink
from streammon.adapters.recorded_source import JournalStore, RecordedSource, read_journal
from streammon.core.commit import CommitPolicy
from streammon.core.errors import Code
from streammon.explain import explainer
from streammon.runner import Runner
from streammon.settings import Settings, plan

COMMIT_EVERY = CommitPolicy(interval=1.0, least=1.0, snapshot_interval=1e9, snapshot_events=1 << 62)


@dataclass(frozen=True)
class Summary:
    """What a replay did. `metrics` and `alerts` count events written."""

    events: int
    windows: int
    metrics: int
    alerts: int
    late: int
    dead_letters: dict[str, int]  # by reason
    tombstones: int  # records with a null value
    seconds: float
    events_per_second: float
    comparable: bool  # with what live published: every partition from offset 0
    why_not_comparable: str | None  # where it is not


def run(
    settings: Settings, recording: Path, out: Path, journal: Path | None, progress: Callable[[int, int], None]
) -> Summary:
    """Replay a file into a directory. `progress` hears of (records done, records in all)."""
    source = RecordedSource(recording)
    the_plan = plan(settings, source.topic)
    baselines = assembly.baselines(settings.baselines, the_plan)
    decoder = assembly.decoder(the_plan)
    entries = [] if journal is None else read_journal(journal, source.topic)
    suite = assembly.suite(settings)
    started = time.monotonic()
    hashes = {"streammon.plan": the_plan.hash, "streammon.policy": the_plan.policy.hash}
    with FileSink(out, hashes, source.topic, settings.input.framing != "raw") as sink:
        runner = Runner(
            plan=the_plan,
            baselines=baselines,
            source=source,
            sink=sink,
            store=JournalStore(entries),
            decoder=decoder,
            explain=explainer(decoder, the_plan, baselines),
            suite=suite,
            policy=COMMIT_EVERY,
            now=time.monotonic,
            start_at=lambda partitions: {partition: source.first[partition] for partition in partitions},
            decides=journal is None,
        )

        def advance() -> bool:
            progress(runner.tally.events, source.records)
            return False

        runner.run(stopping=advance)
    seconds = time.monotonic() - started
    tally = runner.tally
    refused = Counter(tally.rejected)
    tombstones = refused.pop(Code.TOMBSTONE.name, 0)
    why = _why_not_comparable(source)
    return Summary(
        tally.events,
        tally.windows,
        tally.metrics,
        tally.alerts,
        tally.late,
        dict(sorted(refused.items())),
        tombstones,
        round(seconds, 3),
        round(tally.events / max(seconds, 1e-9)),
        comparable=why is None,
        why_not_comparable=why,
    )


def _why_not_comparable(source: RecordedSource) -> str | None:
    later = [f"partition {partition} begins at offset {first}" for partition, first in source.first.items() if first]
    if not later:
        return None
    more = f" (and {len(later) - 1} more)" if len(later) > 1 else ""
    return f"{later[0]}{more}; what came before it is not in the recording"


def describe(summary: Summary) -> dict[str, object]:
    """For `--json`."""
    return asdict(summary)
