"""Whether a line kept its promise: every output exactly once, as the oracle says, and replay says the same."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from streammon.cli import main
from tests.broker.kafka_tools import committed, end_offsets, read_all
from tests.faults import published
from tests.faults.line import Line
from tests.faults.published import DeadLetter, Event, Published
from tests.oracle import oracle
from tests.oracle.compare import compare_alerts, compare_metrics, order_differences
from tests.oracle.files import Record, load_baseline
from tests.oracle.judge import alerts_of

PROCESSES = 2
MAX_LINES = 40


def expect(line: Line, journal: Iterable[Event] | None = None) -> oracle.Result:
    """What the oracle says about the input topic as it stands, and about the decisions in this journal; without one,
    all baselines are active from the beginning and no partition was ever silent.
    """
    topic = line.topic("events")
    config = line.oracle() | ({} if journal is None else decisions(line, journal))
    partitions: dict[int, list[Record]] = {}
    for record in read_all(line.bootstrap, topic):
        partitions.setdefault(record.partition, []).append(
            Record(record.offset, record.timestamp_ms * 1000, record.key, record.value)
        )
    result = oracle.Result()
    spawn = multiprocessing.get_context("spawn")  # a fork would take the client's threads along, dead
    with ProcessPoolExecutor(PROCESSES, spawn) as pool:
        jobs = [pool.submit(oracle.run, {p: partitions[p]}, topic, config) for p in sorted(partitions)]
        for job in jobs:
            part = job.result()
            result.metrics |= part.metrics
            result.alerts |= part.alerts
            result.late += part.late
            result.dead_letters += part.dead_letters
            result.tombstones += part.tombstones
    return result


def decisions(line: Line, journal: Iterable[Event]) -> dict[str, Any]:
    """The journal, as the oracle takes it. The settings of `line` know every baseline that it names."""
    paths = {load_baseline(Path(path)).baseline_id: path for path in line.settings["baselines"]}
    activations: dict[int, list[tuple[int, str, int | None]]] = {}
    idle: dict[int, list[tuple[int, int]]] = {}
    for entry in sorted(journal, key=lambda entry: entry["sequence"]):
        partition, position, value = entry["partition"], entry["position"], json.loads(entry["value"])
        if entry["kind"] == "baseline":
            active = (position, paths[value["baseline_id"]], value["effective_from"])
            activations.setdefault(partition, []).append(active)
        elif entry["kind"] == "idle":
            idle.setdefault(partition, []).append((position, value["advance"]))
    return {"baselines": [], "activations": activations, "idle": idle}


def differences(
    line: Line, expected: oracle.Result, found: Published, later: Iterable[tuple[int, int, str]] = ()
) -> list[str]:
    """Empty when every metric event, alert event, dead letter and late record is there once, and nothing else, and
    state is whole.

    Alerts are judged from the published metric events, which agree with the oracle's but for 1e-9 (latency quantiles:
    1 %): a rule may decide otherwise within that. What lies behind them only the oracle knows, from the events.

    `later`: see `journal_differences`.
    """
    judged = alerts_of(found.metrics, line.oracle()["rules"])
    for key in judged.keys() & expected.alerts.keys():
        judged[key]["distribution"] = expected.alerts[key]["distribution"]
    alerts = oracle.Result(alerts=judged)
    topic = line.topic("events")
    wanted = [DeadLetter(topic, letter.partition, letter.offset, letter.code) for letter in expected.dead_letters]
    lines = compare_metrics(expected, found.metrics)
    lines += compare_alerts(alerts, found.alerts)
    lines += order_differences(expected, found.metrics, found.alerts)
    lines += unequal("dead letter", wanted, found.dead_letters)
    places = [(late.topic, late.partition, late.offset) for late in found.late]
    lines += unequal("late event", [(topic, *place) for place in expected.late], places)
    lines += journal_differences(line, found, later)
    lines += state_differences(line, found)
    hidden = len(lines) - MAX_LINES
    return lines if hidden <= 0 else [*lines[:MAX_LINES], f"... and {hidden} more differences"]


def everything_is_there_once(line: Line) -> None:
    """What the line has published is what its log demands. Also: positions and state are at the ends."""
    none(differences(line, expect(line), published.read(line)))


def none(lines: list[str]) -> None:
    """Fails with all the lines, if there are any."""
    assert not lines, "\n" + "\n".join(lines)


def unequal(what: str, expected: Iterable[Hashable], actual: Iterable[Hashable]) -> list[str]:
    """Differences between two multisets."""
    want, got = Counter(expected), Counter(actual)
    lines = [f"{what} missing: {item}" for item in (want - got).elements()]
    return lines + [f"{what} extra: {item}" for item in (got - want).elements()]


def journal_differences(line: Line, found: Published, later: Iterable[tuple[int, int, str]] = ()) -> list[str]:
    """At the beginning of every partition the policy and each baseline, and `later` (partition, position, kind) others:
    each once, numbered without a gap. Idle advances come as they may.
    """
    partitions = end_offsets(line.bootstrap, line.topic("events"))
    kinds = ["policy"] * bool(line.settings["rules"]) + ["baseline"] * len(line.settings["baselines"])
    wanted = [*((p, 0, kind) for p in partitions for kind in kinds), *later]
    entries = [(e["partition"], e["position"], e["kind"]) for e in found.journal if e["kind"] != "idle"]
    lines = unequal("journal entry (partition, position, kind)", wanted, entries)
    for p in partitions:
        sequence = [entry["sequence"] for entry in found.journal if entry["partition"] == p]
        lines += [] if sequence == list(range(len(sequence))) else [f"journal {p}: the entries are numbered {sequence}"]
    return lines


def state_differences(line: Line, found: Published) -> list[str]:
    """Positions are at the ends; the changelog says so too, and holds as many things as its header says."""
    ends = end_offsets(line.bootstrap, line.topic("events"))
    positions = committed(line.bootstrap, line.group, line.topic("events"))
    lines = [] if positions == ends else [f"positions {positions}, the ends are {ends}"]
    for partition, end in ends.items():
        live = found.changelog.get(partition, {})
        for item in ("commit", "snapshot"):
            header = live.get(("header", "-", item, 0))
            if header is None:
                lines.append(f"changelog {partition}: no {item} header")
                continue
            if header["position"] != end:
                lines.append(f"changelog {partition}: the {item} header says {header['position']}, the end is {end}")
            keys = sum(key[0] in {"pane", "clock"} and key[-1] == 0 for key in live)
            if item == "snapshot" and header["keys"] != keys:
                lines.append(f"changelog {partition}: the header says {header['keys']} things, {keys} are there")
    return lines


def replay_differences(line: Line, found: Published, folder: Path) -> list[str]:
    """`streammon replay --journal` over what `streammon record` takes from the topics: the same events, bit for bit."""
    events, journal, out = folder / "events.avro", folder / "journal.avro", folder / "replay"
    config = ["--config", str(line.config)]
    _command(["record", *config, "--topic", line.topic("events"), "--out", str(events)])
    _command(["record", *config, "--topic", line.topic("journal"), "--out", str(journal)])
    _command(["replay", *config, "--from", str(events), "--journal", str(journal), "--out", str(out)])
    return replayed_differences(found, out)


def topic_replay_differences(line: Line, found: Published, folder: Path) -> list[str]:
    """`streammon replay --topic` in two processes, with the journal topic: the same events, bit for bit."""
    out = folder / "replay-of-topic"
    topic = ["--topic", line.topic("events"), "--jobs", "2"]
    _command(["replay", "--config", str(line.config), *topic, "--out", str(out)])
    return replayed_differences(found, out)


def replayed_differences(found: Published, out: Path) -> list[str]:
    """Between what live published and the files of a replay."""
    lines = unequal("replayed dead letter", found.dead_letters, published.dead_letters_in(out / "dead_letters.avro"))
    lines += unequal("replayed late event", found.late, published.late_in(out / "late.avro"))
    lines += same_events("metric_event", lambda e: (e["event_id"], e["revision"]), found.metrics, out / "metrics.avro")
    return lines + same_events("alert_event", lambda e: (e["alert_id"], e["number"]), found.alerts, out / "alerts.avro")


def same_events(schema: str, identity: Callable[[Event], Hashable], live: list[Event], file: Path) -> list[str]:
    """Differences between published events and those in a file."""
    replayed = published.read_file(file)
    lines = unequal(f"replayed {schema}", map(identity, live), map(identity, replayed))
    by_identity = {identity(event): event for event in live}
    for event in replayed:
        other = by_identity.get(identity(event))
        if other is not None and published.encode(schema, event) != published.encode(schema, other):
            lines.append(f"{schema} {identity(event)}: {_first_difference(other, event)}")
    hidden = len(lines) - MAX_LINES
    return lines if hidden <= 0 else [*lines[:MAX_LINES], f"... and {hidden} more differences"]


def _first_difference(live: Mapping[str, Any], replayed: Mapping[str, Any]) -> str:
    for name, value in live.items():
        if value != replayed[name]:
            if name == "measurements":
                pairs = zip(value, replayed[name], strict=False)
                return next((f"live {a}, replayed {b}" for a, b in pairs if a != b), "measurements are missing")
            return f"{name}: live {value}, replayed {replayed[name]}"
    return "equal, but not bit for bit"


def _command(arguments: list[str]) -> None:
    code = main(arguments)
    assert code == 0, f"`streammon {' '.join(arguments)}` ended with {code}"
