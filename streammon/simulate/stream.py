"""Events as columns. Every event is a real inference: a scan that the network has not learned from, freshly exposed.

The stream is a pure function of the configuration. Each chunk has random numbers of its own, one generator per concern,
and draws as many with drift as without: what drift does not touch is bit for bit the same in both streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha1

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.event_encoder import Coded, EventColumns, Lists
from streammon.core.errors import UsageError
from streammon.simulate import drift
from streammon.simulate.config import DRIFT_KINDS, VERSION, Simulation
from streammon.simulate.hashing import digits, hash_rows, mix
from streammon.simulate.images import CLASSES, FEATURE_NAMES, expose, load_scans, summarise
from streammon.simulate.partitioner import partition_of
from streammon.simulate.timing import Course

CHUNK = 10_000  # events
CLASS_NAMES = tuple(str(number) for number in range(CLASSES))
USERS = 5_000
GAUGES_EVERY = 10  # one event in ten carries gauges
DEADLINE_MS = 1_000.0  # of a request; one that ran into it took that long
NEVER = np.iinfo(np.int64).max  # when drift that is not asked for begins

_LATENCY_MS = 12.0  # median in the first lane; each further lane is slower
_LANE_FACTOR = 1.15
_LATENCY_LOG_SD = 0.35
_CLIENTS = {"web": 0.5, "android": 0.25, "ios": 0.2, "batch": 0.05}
_REGIONS = {"eu": 0.5, "us": 0.3, "ap": 0.2}


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records, in the order in which they arrive."""

    columns: EventColumns
    key: list[bytes]  # model_id
    partition: NDArray[np.int64]
    timestamp: NDArray[np.int64]  # of the record, milliseconds, never going back
    label: NDArray[np.int64]  # the true class, 0 to 9
    drifted: NDArray[np.bool_]  # whether drift of any kind touches the event

    def __len__(self) -> int:
        return len(self.timestamp)


def stream(config: Simulation) -> Iterator[Chunk]:
    """All events, CHUNK at a time. The network is trained at once (seconds), not when the first chunk is asked for."""
    service = Service(config)
    return (service.serve(first, min(first + CHUNK, config.events)) for first in range(0, config.events, CHUNK))


class Service:
    """The simulated service: the network, the scans that it sees, and who asks for them."""

    def __init__(self, config: Simulation) -> None:
        try:
            from streammon.simulate.network import Network

            training, self._scans = load_scans(config.seed)
        except ModuleNotFoundError as error:
            raise UsageError(f"simulate needs {error.name}: pip install 'streammon[simulate]'") from error
        self._config = config
        self._network = Network(training, config.seed)
        self._spread = self._network.infer(training.pixels).embedding.std(axis=0)
        self._keys = [model.encode() for model in config.model_ids]
        self._partitions = np.array([partition_of(key, config.partitions) for key in self._keys])
        self._course = Course(config.timing, config.start, config.duration, config.events, config.seed)
        self._drifting = _Series(config, config.only)
        self._silenced = _Series(config, config.timing.silent)
        self._commits = tuple(_sha1(f"{model} {VERSION} {config.seed}".encode()) for model in config.model_ids)
        self._data_hash = _sha1(training.pixels.tobytes())
        self._users = tuple(digits(mix(np.arange(1, USERS + 1, dtype=np.uint64))).astype(str).tolist())

    def serve(self, first: int, end: int) -> Chunk:
        """The records of the events with numbers first to end - 1; these must be one chunk of the stream."""
        config, n = self._config, end - first
        random = np.random.default_rng((config.seed, first))
        times, routing, input_, outcomes, sources, delivery = random.spawn(6)
        arrival, made = self._course.moments(np.arange(first, end), times)
        model = routing.integers(config.models, size=n)
        lane = _draw(config.lane_shares, routing, n)
        job = delivery.random(n) < config.timing.batch
        lane[job] = len(config.lanes)
        ts = self._course.clocks(made, job, delivery)
        there = self._drifting.of(model, lane)
        onsets = config.onsets
        rows = {kind: there & (ts >= onsets.get(kind, NEVER)) for kind in DRIFT_KINDS}

        scan = drift.pick(self._scans.label, input_.random(n), rows["class_mix"])
        pixels = drift.dim(expose(self._scans.pixels[scan], input_), rows["covariate"])
        inference = self._network.infer(pixels)
        features = drift.lose(summarise(pixels), sources.random((n, len(FEATURE_NAMES)), np.float32), rows["missing"])

        outcome = drift.fail(outcomes.random(n), rows["errors"])
        status = np.array([answer.http_status for answer in drift.OUTCOMES])[outcome]
        timed_out = np.array([answer.timed_out for answer in drift.OUTCOMES])[outcome]
        answered, accepted = status == 200, status // 100 != 4
        median = _LATENCY_MS * _LANE_FACTOR**lane
        latency = drift.slow(median * outcomes.lognormal(0, _LATENCY_LOG_SD, n), rows["latency"])
        number = np.arange(first, end, dtype=np.uint64)
        columns = EventColumns(
            ts=ts,
            req_id=digits(mix(number + mix(np.array([config.seed], np.uint64)))),
            model_id=Coded(model, config.model_ids),
            model_version=_constant(VERSION, n),
            lane=Coded(lane, config.every_lane),
            data_hash=_constant(self._data_hash, n),
            git_commit=Coded(model, self._commits),
            user_id_hash=Coded((USERS * sources.random(n) ** 2).astype(np.int64), self._users),  # some ask more often
            feature_hash=np.where(accepted, digits(hash_rows(features)), b""),
            latency_ms=np.where(timed_out, DEADLINE_MS, np.minimum(latency, DEADLINE_MS)),
            http_status=status,
            timed_out=timed_out,
            score=np.where(answered, inference.probs.max(axis=1), np.nan),
            prediction=Coded(np.where(answered, inference.probs.argmax(axis=1), CLASSES), (*CLASS_NAMES, None)),
            probs=Lists(inference.probs, answered),
            features=Lists(features, accepted),
            categories=(_category(_CLIENTS, sources, n), _category(_REGIONS, sources, n)),
            embedding=Lists(drift.shift(inference.embedding, self._spread, rows["embedding"]), answered),
            gauges=_gauges(sources, rows["latency"]),
            has_gauges=number % GAUGES_EVERY == 0,
        )
        lost = self._course.gaps(made) & self._silenced.of(model, lane)
        row, at = self._course.records(arrival, lost, delivery)
        return Chunk(
            columns=columns if len(row) == n and not config.timing.duplicates else columns.take(row),
            key=[self._keys[code] for code in model[row].tolist()],
            partition=self._partitions[model[row]],
            timestamp=at // 1000,
            label=self._scans.label[scan][row],
            drifted=np.logical_or.reduce(list(rows.values()))[row],
        )


class _Series:
    """Some of the series: models like a pattern, in one lane or all."""

    def __init__(self, config: Simulation, place: tuple[str, str]) -> None:
        self._models = np.array([fnmatchcase(model, place[0]) for model in config.model_ids])
        self._lanes = np.array([place[1] in ("*", lane) for lane in config.every_lane])

    def of(self, model: NDArray[np.int64], lane: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which events are of them."""
        there: NDArray[np.bool_] = self._models[model] & self._lanes[lane]
        return there


def _draw(shares: Sequence[float], rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """n numbers below len(shares), each as often as its share says."""
    return np.searchsorted(np.cumsum(shares[:-1]), rng.random(n), side="right")


def _category(shares: Mapping[str, float], rng: np.random.Generator, n: int) -> Coded:
    return Coded(_draw(tuple(shares.values()), rng, n), tuple(shares))


def _constant(value: str, n: int) -> Coded:
    return Coded(np.zeros(n, np.int64), (value,))


def _gauges(rng: np.random.Generator, busy: drift.Rows) -> dict[str, NDArray[np.float64]]:
    """What the service says about itself; its queue is longer where it is slow."""
    queue, memory, load = rng.random((3, len(busy)))
    return {
        "queue_length": np.floor(-np.log1p(-queue) * np.where(busy, 12, 3)),
        "gpu_memory_mb": np.round(6_000 + 500 * memory),
        "gpu_utilisation_percent": np.round(40 + 50 * load, 1),
    }


def _sha1(data: bytes) -> str:
    """40 hexadecimal digits, as git names a commit."""
    return sha1(data, usedforsecurity=False).hexdigest()
