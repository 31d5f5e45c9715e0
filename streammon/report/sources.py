"""Where a report's data come from: a directory of recorded outputs, or the topics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streammon import incidents as incident_files
from streammon.adapters.file_sink import ALERTS
from streammon.backtest import published
from streammon.baselines.store import JSON_FILE
from streammon.baselines.store import load as load_baseline
from streammon.core.baseline import Baseline
from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.core.plan import Policy
from streammon.incidents import Incident
from streammon.settings import Settings, load, plan

SETTINGS, INCIDENTS, BASELINES = "settings.yaml", "incidents.json", "baselines"


@dataclass(frozen=True)
class Source:
    """What a report is made of. Without `policy` thresholds are those that alerts name."""

    name: str  # for people
    alerts: Iterable[AlertEvent]  # read before metrics
    metrics: Iterable[MetricEvent]
    policy: Policy | None = None
    baselines: Mapping[str, Baseline] = field(default_factory=dict)  # by id
    incidents: tuple[Incident, ...] = ()


def directory(path: Path, settings: Settings | None = None, incidents: Path | None = None) -> Source:
    """What a replay or a demo wrote to `path`.

    metrics.avro and alerts.avro are needed; settings.yaml, incidents.json and baselines/ beside them serve where
    `settings` and `incidents` are not given.
    """
    run = published.directory(path)
    if run.alerts is None:
        raise UsageError(f"{path}: there is no {ALERTS} in it: name a directory that `streammon replay --out` wrote")
    if settings is None and (path / SETTINGS).is_file():
        settings = load(path / SETTINGS)
    if incidents is None and (path / INCIDENTS).is_file():
        incidents = path / INCIDENTS
    found = sorted(file.parent for file in (path / BASELINES).glob(f"*/{JSON_FILE}"))
    return Source(
        run.name,
        run.alerts(),
        run.metrics(),
        *_known(settings, found),
        () if incidents is None else incident_files.read(incidents),
    )


def topics(settings: Settings, incidents: Path | None = None) -> Source:
    """What the metric and alert topics hold now, read_committed."""
    run = published.topics(settings)
    assert run.alerts is not None
    return Source(
        run.name,
        run.alerts(),
        run.metrics(),
        *_known(settings, []),
        () if incidents is None else incident_files.read(incidents),
    )


def _known(settings: Settings | None, beside: list[Path]) -> tuple[Policy | None, dict[str, Baseline]]:
    """The policy, and the baselines by id: those of the settings and those beside the recording."""
    named = [] if settings is None else [path for path in settings.baselines if path.is_dir()]
    policy = None if settings is None else plan(settings).policy
    return policy, {baseline.baseline_id: baseline for baseline in map(load_baseline, [*named, *beside])}
