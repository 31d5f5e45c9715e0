"""Whether a line kept its promise: every output exactly once, as the oracle says, and replay says the same."""

from __future__ import annotations

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
from tests.oracle.files import Record
from tests.oracle.judge import alerts_of

PROCESSES = 2
MAX_LINES = 40


def expect(line: Line) -> oracle.Result:
    """What the oracle says about the input topic as it stands, with all baselines active from the beginning."""
    topic = line.topic("events")
    partitions: dict[int, list[Record]] = {}
    for record in read_all(line.bootstrap, topic):
        partitions.setdefault(record.partition, []).append(
            Record(record.offset, record.timestamp_ms * 1000, record.key, record.value)
        )
    result = oracle.Result()
    spawn = multiprocessing.get_context("spawn")  # a fork would take the client's threads along, dead
    with ProcessPoolExecutor(PROCESSES, spawn) as pool:
        jobs = [pool.submit(oracle.run, {p: partitions[p]}, topic, line.oracle()) for p in sorted(partitions)]
        for job in jobs:
            part = job.result()
            result.metrics |= part.metrics
            result.alerts |= part.alerts
            result.late += part.late
            result.dead_letters += part.dead_letters
            result.tombstones += part.tombstones
    return result


def differences(line: Line, expected: oracle.Result, found: Published) -> list[str]:
    """Empty when every metric event, alert event and dead letter is there once, and nothing else, and state is whole.

    Alerts are judged from the published metric events, which agree with the oracle's but for 1e-9 (latency quantiles:
    1 %): a rule may decide otherwise within that. What lies behind them only the oracle knows, from the events.
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
    lines += journal_differences(line, found)
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


def journal_differences(line: Line, found: Published) -> list[str]:
    """At the beginning of every partition: the policy, and each baseline from the beginning; each once."""
    partitions = end_offsets(line.bootstrap, line.topic("events"))
    kinds = ["policy"] * bool(line.settings["rules"]) + ["baseline"] * len(line.settings["baselines"])
    expected = [(p, 0, sequence, kind) for p in partitions for sequence, kind in enumerate(kinds)]
    entries = [(e["partition"], e["position"], e["sequence"], e["kind"]) for e in found.journal]
    return unequal("journal entry (partition, position, sequence, kind)", expected, entries)


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
    return same_events(
        "metric_event", lambda e: (e["event_id"], e["revision"]), found.metrics, out / "metrics.avro"
    ) + same_events("alert_event", lambda e: (e["alert_id"], e["number"]), found.alerts, out / "alerts.avro")


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
