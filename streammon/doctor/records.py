"""Findings about the newest records of the input: can they be read, and do they come as they should?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.envelopes import LOG_APPEND_TIME
from streammon.adapters.kafka.probe import Sample
from streammon.core.baseline import Baseline
from streammon.core.engine import Engine
from streammon.core.errors import Code
from streammon.core.events import KEY_FITS, KEY_NULL, EventBatch
from streammon.core.plan import Plan
from streammon.core.ports import Explain, RecordBatch
from streammon.core.state import ActiveBaseline
from streammon.core.timeline import LATE
from streammon.doctor.finding import Finding, fail, ok, unknown, warn
from streammon.simulate.partitioner import partition_of
from streammon.text import shown

Partitioner = Callable[[bytes, int], int]

CLOCKS_APART = 1.0  # seconds


def of_records(
    sample: Sample,
    events: EventBatch,
    plan: Plan,
    baselines: Mapping[str, Baseline],
    partitions: int,
    explain: Explain,
    now: float,
) -> Iterator[Finding]:
    """`events`: the sample, decoded. `now`: of the local clock, seconds since the epoch."""
    yield from of_verdicts(sample, verdicts(sample.batch, events, plan, baselines), explain)
    yield of_keys(events)
    yield of_partitioner(sample, partitions)
    yield of_clock(sample, now)


def verdicts(
    batch: RecordBatch, events: EventBatch, plan: Plan, baselines: Mapping[str, Baseline]
) -> NDArray[np.uint8]:
    """[n] Code of each record, as a worker that began here would judge it. None is late: clocks are unknown."""
    found = [np.zeros(0, np.uint8)]
    for run in batch.runs:
        engine = Engine(plan, run.partition, baselines)
        for each in baselines.values():
            engine.activate(
                ActiveBaseline(each.baseline_id, each.model_id, each.model_version, each.content_hash, None)
            )
        verdict = engine.feed(events.rows(run.low, run.high)).verdict
        found.append(np.where(verdict == LATE, Code.OK, verdict).astype(np.uint8))
    return np.concatenate(found)


def of_verdicts(sample: Sample, verdict: NDArray[np.uint8], explain: Explain) -> Iterator[Finding]:
    """A finding for each code, with the first such record as an example."""
    total = len(verdict)
    bad = np.flatnonzero((verdict != Code.OK) & (verdict != Code.TOMBSTONE))
    if not len(bad):
        yield ok("records", f"all of the newest {total:,} can be read")
        return
    for code, count in sorted(Counter(verdict[bad].tolist()).items()):
        row = int(np.flatnonzero(verdict == code)[0])
        batch = sample.batch
        _, message = explain(batch.origin(row).value, Code(code), int(batch.timestamp[row]))
        said = fail if 2 * len(bad) > total else warn
        yield said(
            "records",
            f"{count:,} of the newest {total:,} would be dead letters, {Code(code).name}; the first at partition "
            f"{sample.partition[row]}, offset {batch.offset[row]:,}: {shown(message)}",
            "compare input and models in the settings with what the producers write",
        )


def of_keys(events: EventBatch) -> Finding:
    good = events.key[events.code == Code.OK]
    if not len(good):
        return unknown("keys", "no record could be read")
    fits, null = int((good == KEY_FITS).sum()), int((good == KEY_NULL).sum())
    if fits == len(good):
        return ok("keys", f"model_id in all of {len(good):,}")
    return warn(
        "keys",
        f"{len(good) - fits:,} of {len(good):,} are not model_id ({null:,} of them null): events of one model get to "
        "several partitions, where each counts them apart",
        "producers: set the record's key to model_id",
    )


def of_partitioner(sample: Sample, partitions: int) -> Finding:
    keyed = [(key, int(p)) for key, p in zip(sample.keys, sample.partition, strict=True) if key is not None]
    if not keyed or partitions < 2:
        return unknown("partitioner", "no keys" if not keyed else "one partition, so any will do")
    share = {
        "murmur2": agreement(keyed, partitions, partition_of),
        "crc32": agreement(keyed, partitions, lambda key, count: crc32(key) % count),
    }
    if share["murmur2"] == 1:
        return ok("partitioner", f"murmur2 explains the partition of all {len(keyed):,} keys")
    text = f"murmur2 of the key explains the partition of {share['murmur2']:.0%} of {len(keyed):,} records"
    if share["crc32"] == 1:
        text += "; crc32 explains all: librdkafka's default, consistent_random"
    elif share["crc32"] > share["murmur2"]:
        text += f"; crc32, librdkafka's default, of {share['crc32']:.0%}"
    return warn(
        "partitioner",
        f"{text}. Producers that do not agree put one model into two partitions",
        "producers on librdkafka: set partitioner to murmur2_random, as Java clients have it",
    )


def agreement(keyed: Iterable[tuple[bytes, int]], partitions: int, chosen: Partitioner) -> float:
    """Share of records that lie where the partitioner would have put them."""
    agree = [chosen(key, partitions) == partition for key, partition in keyed]
    return sum(agree) / len(agree)


def of_clock(sample: Sample, now: float) -> Finding:
    """Only the broker's own timestamps say something about its clock, and only one bound."""
    if sample.timestamp_types != {LOG_APPEND_TIME}:
        return unknown("clocks", "timestamps are the producers', so the broker's clock cannot be compared with ours")
    newest = float(sample.batch.timestamp.max()) / 1e6
    if newest > now + CLOCKS_APART:
        return warn(
            "clocks",
            f"the broker stamped a record {newest - now:.1f} s ahead of this machine's clock",
            "synchronise the clocks (NTP)",
        )
    return ok("clocks", f"the newest record is {max(0.0, now - newest):.1f} s old by our clock")
