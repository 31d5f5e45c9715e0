"""The story that the demo tells, as data: no broker, no thread, no clock.

    [ the good hour: baselines ][ clean ......... | covariate .. | class_mix .. | latency .. ][ tail ]
                                start            half, in one lane of one model         finish

One stream of one simulated service, so that baselines and demo share the network and no event. From `start` on it is
what the worker sees: every window from there to `finish` closes, because the stream goes on for a moment longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from streammon import assembly, incidents
from streammon.adapters.event_encoder import encode
from streammon.adapters.records import record_batch
from streammon.baselines.collect import Collector
from streammon.baselines.store import save
from streammon.core.baseline import Baseline
from streammon.core.errors import UsageError
from streammon.core.outputs import Series
from streammon.core.ports import Origin
from streammon.incidents import Incident
from streammon.settings import Settings, load, plan
from streammon.settings.document import parse
from streammon.simulate.config import VERSION, Simulation
from streammon.simulate.stream import CHUNK, Chunk, stream
from streammon.simulate.timing import MAX_DISORDER

RULES: Mapping[str, str] = {  # of examples/digits.yaml: which one is there for which kind of drift
    "covariate": "feature-drift",
    "class_mix": "class-mix",
    "latency": "slow",
    "errors": "server-errors",
    "missing": "missing-features",
}
KINDS = ("covariate", "class_mix", "latency")
MODEL, LANE = "digits-0", "canary"  # where it drifts
MODELS, LANES = 2, ("prod", "canary")
SERIES = MODELS * len(LANES)
PARTITIONS = 3  # the models lie in two of them

SECOND, MINUTE = 1_000_000, 60_000_000  # microseconds
STEP = 5  # minutes: the longest window of the policy, so that no window holds both clean and drifted events
EVENTS_PER_MINUTE = 2_500  # 375 in the lane that drifts: the policy's rules want 300
REFERENCE_EVENTS = 4 * CHUNK  # behind the baselines
TAIL = 20 * SECOND  # beyond the last window's end: the policy's allowed lateness, and what disorder takes

SETTINGS, INCIDENTS, BASELINES = "settings.yaml", "incidents.json", "baselines"

_POLICY = Path("examples") / "digits.yaml"
_ITS_BASELINES = "baselines: [baselines/digits-0]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`minutes` of event time, the first half clean; the stream ends at `now` (microseconds) or up to STEP minutes
    before."""

    now: int
    seed: int = 1
    kinds: tuple[str, ...] = KINDS
    minutes: int = 40

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in RULES:
                raise UsageError(f"demo: no rule watches drift {kind!r}; there are {', '.join(RULES)}, or none")
        least = 2 * STEP * max(1, len(self.kinds))
        if self.minutes % STEP or self.minutes < least:
            raise UsageError(
                f"demo: {self.minutes} minutes do not do: give a multiple of {STEP}, at least {least} for "
                f"{len(self.kinds)} kinds of drift"
            )
        _ = self.simulation  # which refuses what else is wrong

    @property
    def finish(self) -> int:
        """End of the last windows, microseconds."""
        return (self.now - TAIL) // (STEP * MINUTE) * (STEP * MINUTE)

    @property
    def start(self) -> int:
        """Start of the first windows, microseconds."""
        return self.finish - self.minutes * MINUTE

    @property
    def events(self) -> int:
        """That the worker sees."""
        return (self.finish + TAIL - self.start - MAX_DISORDER) * EVENTS_PER_MINUTE // MINUTE

    @property
    def models(self) -> tuple[str, ...]:
        return tuple(f"digits-{number}" for number in range(MODELS))

    @property
    def windows(self) -> int:
        """That close: of a minute and of STEP minutes, in every series."""
        return SERIES * (self.minutes + self.minutes // STEP)

    @property
    def simulation(self) -> Simulation:
        """The whole stream, the good hour included."""
        total = REFERENCE_EVENTS + self.events
        span = total * MINUTE // EVENTS_PER_MINUTE
        end = self.finish + TAIL
        return Simulation(
            events=total,
            end=end,
            models=MODELS,
            partitions=PARTITIONS,
            seed=self.seed,
            lanes=LANES,
            span=span / SECOND,
            drift=self.kinds,
            drift_at=tuple((onset - (end - span)) / span for onset in self._onsets),
            only=(MODEL, LANE),
        )

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """What is injected, in the order of its beginning."""
        onsets = self.simulation.onsets
        return tuple(
            Incident(kind=kind, model=MODEL, lane=LANE, start=onsets[kind], rule=RULES[kind]) for kind in self.kinds
        )

    @property
    def _onsets(self) -> list[int]:
        """One after the other in the second half, each when windows begin."""
        half = self.minutes / 2
        minutes = [half + number * half / len(self.kinds) for number in range(len(self.kinds))]
        return [self.start + int(minute) // STEP * STEP * MINUTE for minute in minutes]

    def chunks(self) -> tuple[Iterator[Chunk], Iterator[Chunk]]:
        """The good hour, to be read first, and what the worker sees. Trains the network (a second)."""
        chunks = stream(self.simulation)
        return islice(chunks, REFERENCE_EVENTS // CHUNK), chunks


def prepare(scenario: Scenario, folder: Path) -> Iterator[Chunk]:
    """Write settings, incidents and baselines into a folder; returns what the worker is to see."""
    (folder / SETTINGS).write_text(settings_text(), encoding="utf-8")
    incidents.write(folder / INCIDENTS, scenario.incidents)
    reference, live = scenario.chunks()
    for baseline in baselines(reference):
        save(baseline, folder / BASELINES / baseline.model_id, replace=True)
    return live


def settings_text() -> str:
    """examples/digits.yaml, with a baseline for each model. Paths in it are relative to its folder."""
    package = Path(__file__).parents[1]
    for directory in (package, package.parent):  # the wheel has it inside, a checkout beside
        if (directory / _POLICY).is_file():
            text = (directory / _POLICY).read_text(encoding="utf-8")
            break
    else:
        raise UsageError(f"no {_POLICY} in {package} nor beside it: the installation is incomplete, install it again")
    named = ", ".join(f"{BASELINES}/digits-{number}" for number in range(MODELS))
    return text.replace(_ITS_BASELINES, f"baselines: [{named}]")


def settings(folder: Path, overrides: Mapping[str, Any]) -> Settings:
    """The settings that `prepare` wrote, with `overrides` over them. The environment decides what neither says."""
    written = parse((folder / SETTINGS).read_text(encoding="utf-8"), SETTINGS).data
    paths = [str(folder.absolute() / path) for path in written["baselines"]]
    return load(None, {**written, "baselines": paths, **overrides})


def baselines(chunks: Iterable[Chunk]) -> list[Baseline]:
    """One for each model, as `streammon baseline build` makes them from a recording."""
    the_plan = plan(load(None, {**parse(settings_text(), SETTINGS).data, "baselines": []}), "")
    decoder = assembly.decoder(the_plan)
    models = [f"digits-{number}" for number in range(MODELS)]
    layouts = [the_plan.layout(Series(model, VERSION, "*")) for model in models]
    collectors = [Collector(model, VERSION, layout.features) for model, layout in zip(models, layouts, strict=True)]
    for chunk in chunks:
        partition, offset = np.zeros(len(chunk), np.int64), np.arange(len(chunk))
        batch = record_batch(encode(chunk.columns), chunk.key, partition, offset, chunk.timestamp * 1000, _nowhere)
        decoded = decoder.decode(batch)
        for collector in collectors:
            collector.add(decoded)
    return [collector.build() for collector in collectors]


def _nowhere(row: int) -> Origin:
    """Asked for bad records only, of which the simulator makes none."""
    raise AssertionError(f"event {row} of the simulator cannot be decoded")
