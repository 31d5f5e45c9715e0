"""Whether what the demo promises holds for any seed, not for one that was picked: `make seeds`.

    python -m tests.demo.seeds --count 10        # seeds drawn now, and printed
    python -m tests.demo.seeds --seed 7 --seed 8 # these

For each seed the demo's stream with each kind of drift alone, with those of the demo together, and with none, through
the replay engine, with the thresholds of examples/digits.yaml, which no seed was used to choose. Each kind has to raise
its own rule in its own lane, from its own start on, and nothing else anywhere; no drift raises nothing.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from streammon import replay
from streammon.adapters.envelopes import EnvelopeWriter
from streammon.adapters.file_sink import ALERTS
from streammon.adapters.files import read_outputs
from streammon.baselines.store import save
from streammon.core.outputs import AlertEvent, AlertState
from streammon.demo import scenario
from streammon.demo.scenario import KINDS, RULES, Scenario
from streammon.incidents import Incident
from streammon.simulate import network
from streammon.simulate.images import Scans
from streammon.simulate.output import TOPIC, _envelopes

END = 1_769_860_800_000_000  # of every stream: the clock has no part in it
MINUTES = 40
VARIANTS: tuple[tuple[str, ...], ...] = ((), *((kind,) for kind in RULES), KINDS)


class Outcome(NamedTuple):
    """What came of one stream."""

    kinds: tuple[str, ...]
    delays: dict[str, int]  # windows of its rule from a kind's start to the end of the one that fired
    wrong: list[str]  # in words; empty: as promised


def check(
    seed: int, folder: Path, minutes: int = MINUTES, variants: Sequence[tuple[str, ...]] = VARIANTS
) -> Iterator[Outcome]:
    """Every variant of one seed. Network and baselines are made once: they depend on the seed alone."""
    with _trained_once():
        for number, kinds in enumerate(variants):
            story = Scenario(now=END, seed=seed, kinds=kinds, minutes=minutes)
            reference, live = story.chunks()
            if number:
                list(reference)  # the baselines of the first variant: drift has not begun
            else:
                (folder / scenario.SETTINGS).write_text(scenario.settings_text(), encoding="utf-8")
                for baseline in scenario.baselines(reference):
                    save(baseline, folder / scenario.BASELINES / baseline.model_id, replace=True)
            offsets = [0] * scenario.PARTITIONS
            with EnvelopeWriter(folder / "events.avro", bytes(16)) as writer:
                for chunk in live:
                    writer.write(_envelopes(chunk, TOPIC, offsets))
            settings = scenario.settings(folder, {})
            log = replay.of_files([folder / "events.avro"], settings)
            summary = replay.run(settings, log, folder / "out")
            alerts = list(read_outputs(folder / "out" / ALERTS, AlertEvent))
            unread = [] if summary.windows == story.windows else [f"{summary.windows} windows of {story.windows}"]
            yield Outcome(kinds, delays(alerts, story.incidents), unread + surprises(alerts, story.incidents))


def delays(alerts: Sequence[AlertEvent], incidents: Sequence[Incident]) -> dict[str, int]:
    """Of each kind that was found, in windows."""
    found: dict[str, int] = {}
    for incident in incidents:
        fired = [a for a in alerts if a.rule_id == incident.rule and a.state is AlertState.FIRING]
        if fired:
            found[incident.kind] = min(-(-(alert.end - incident.start) // alert.spec.size) for alert in fired)
    return found


def surprises(alerts: Sequence[AlertEvent], incidents: Sequence[Incident]) -> list[str]:
    """What is not as promised, in words: an alert that no incident explains, an incident without its alert."""
    unexplained = [
        f"{alert.rule_id} {alert.state} in {'/'.join(alert.series)}: {alert.summary}"
        for alert in alerts
        if not any(
            alert.rule_id == incident.rule
            and incident.touches(alert.series.model_id, alert.series.lane, alert.start, alert.end)
            for incident in incidents
        )
    ]
    found = delays(alerts, incidents)
    return unexplained + [f"{each.kind}: no {each.rule}" for each in incidents if each.kind not in found]


@contextmanager
def _trained_once() -> Iterator[None]:
    trained: dict[int, network.Network] = {}
    train = network.Network

    def of(scans: Scans, seed: int) -> network.Network:
        if seed not in trained:
            trained[seed] = train(scans, seed)
        return trained[seed]

    with patch.object(network, "Network", of):
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.demo.seeds", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10, metavar="N", help="seeds to draw (default 10)")
    parser.add_argument("--seed", type=int, action="append", metavar="S", help="this one instead; may be repeated")
    parser.add_argument("--minutes", type=int, default=MINUTES, metavar="M", help=f"of event time (default {MINUTES})")
    args = parser.parse_args(arguments)
    seeds = args.seed or [secrets.randbelow(2**31) for _ in range(args.count)]
    names = ["+".join(kinds) or "none" for kinds in VARIANTS]
    print("windows until each kind was found; a dot: nothing was injected, and nothing raised\n")
    print(f"{'seed':>10}", *names, "seconds", sep="  ", flush=True)
    failed: list[str] = []
    for seed in seeds:
        started = time.monotonic()
        print(f"{seed:>10}", end="", flush=True)
        with tempfile.TemporaryDirectory(prefix="streammon-seeds-") as folder:
            for name, outcome in zip(names, check(seed, Path(folder), args.minutes), strict=True):
                cell = "+".join(str(outcome.delays.get(kind, "-")) for kind in outcome.kinds) or "."
                print(f"  {cell + '!' * bool(outcome.wrong):>{len(name)}}", end="", flush=True)
                failed += [f"seed {seed}, {name}: {wrong}" for wrong in outcome.wrong]
        print(f"  {time.monotonic() - started:7.1f}", flush=True)
    print("", *failed, f"{len(seeds)} seeds, {len(failed)} surprises", sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
