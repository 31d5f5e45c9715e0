"""What a worker finds when it starts, what it leaves when it stops, and what it refuses, on a real broker."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition

from streammon import worker
from streammon.adapters.kafka.producer import Record
from streammon.core.closing import ClosedGroup
from streammon.core.errors import UsageError
from streammon.core.plan import Plan
from streammon.core.publish import DriftSuite, metric_events
from streammon.settings import load
from streammon.telemetry import LOGGER, Event
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import admin, committed, end_offsets, eventually
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import SECOND, Line, build_baselines, make_line, send
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import inferences
from tests.faults.workers import crew
from tests.oracle.files import BadRecord, decode

pytestmark = pytest.mark.broker

PARTITIONS = 2
OUTPUTS = ("metrics", "alerts", "dead_letters", "journal", "changelog")


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Five models in two partitions, 80 s of event time."""
    return inferences(4_000, models=5, partitions=PARTITIONS, span=80.0, seed=5)


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Line:
    return make_line(broker.bootstrap, topics.prefix, tmp_path, partitions=PARTITIONS)


@pytest.fixture(autouse=True)
def _log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=LOGGER.name)


class _Log(logging.Handler):
    """Hears which partitions are live."""

    def __init__(self) -> None:
        super().__init__()
        self.live: set[int] = set()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == Event.LIVE:
            self.live.add(record.__dict__["fields"]["partition"])


def run_to_end(line: Line, start: str | None = None) -> None:
    """A worker that stops in order once it is live everywhere and the group's positions are at the ends."""
    topic = line.topic("events")
    ends = end_offsets(line.bootstrap, topic)
    log = _Log()
    LOGGER.addHandler(log)
    try:
        worker.run(
            load(line.config),
            start,
            stopping=lambda: log.live == set(ends) and committed(line.bootstrap, line.group, topic) == ends,
        )
    finally:
        LOGGER.removeHandler(log)


def ends_of(line: Line) -> dict[str, dict[int, int]]:
    return {name: end_offsets(line.bootstrap, line.topic(name)) for name in OUTPUTS}


def move(line: Line, positions: dict[int, int]) -> None:
    """What `kafka-consumer-groups --reset-offsets` does."""
    offsets = [TopicPartition(line.topic("events"), number, offset) for number, offset in positions.items()]
    client = admin(line.bootstrap)
    client.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(line.group, offsets)])[line.group].result(30)


def refused(line: Line, *words: str, start: str | None = "earliest") -> None:
    """The worker ends with exit code 2, says these words, and has written nothing."""
    positions, ends = committed(line.bootstrap, line.group, line.topic("events")), ends_of(line)
    with pytest.raises(UsageError) as caught:
        worker.run(load(line.config), start, stopping=lambda: False)
    assert caught.value.exit_code == 2
    for word in words:
        assert word in str(caught.value)
    assert committed(line.bootstrap, line.group, line.topic("events")) == positions
    assert ends_of(line) == ends


def test_a_new_group_is_told_how_to_begin(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Exit code 2, the three commands by name, and nothing has changed."""
    send(line, records[:10])
    with crew(line.config, tmp_path / "logs") as workers:
        process = workers.start()
        assert process.exit_code() == 2
        for command in ("--start earliest", "--start latest", "--start TIME"):
            assert command in process.tail()
    assert committed(line.bootstrap, line.group, line.topic("events")) == {}
    assert ends_of(line) == {name: dict.fromkeys(ends, 0) for name, ends in ends_of(line).items()}


def test_positions_without_state_are_refused(line: Line, records: list[Record]) -> None:
    """Another program has used the group's name."""
    send(line, records[:10])
    move(line, {0: 1, 1: 1})
    refused(line, "the group has position 1", "no state for it in the changelog")


def test_state_without_positions_and_moved_positions_are_refused(line: Line, records: list[Record]) -> None:
    """Whoever moves or deletes the group's positions would make results wrong, and is told so."""
    send(line, records[:1_000])
    run_to_end(line, "earliest")
    positions = committed(line.bootstrap, line.group, line.topic("events"))
    move(line, {1: positions[1] - 5})
    refused(
        line, f"position is {positions[1] - 5}", f"the state says {positions[1]}", "somebody moved the group's offsets"
    )
    move(line, {1: positions[1]})
    run_to_end(line)
    client = admin(line.bootstrap)
    client.delete_consumer_groups([line.group])[line.group].result(30)
    refused(line, "there is state, but the group has no committed position")


def test_another_plan_is_refused_and_another_policy_goes_on(line: Line, records: list[Record]) -> None:
    """Windows cannot change while state is kept; rules can, by a journal entry at the position of the change."""
    send(line, records[:2_500])
    run_to_end(line, "earliest")
    rules = line.settings["rules"]
    refused(line.with_settings("windows", windows=["10s", "30s", "60s"]), "another plan", "restore the old settings")
    refused(line.with_settings("lateness", allowed_lateness="600ms"), "another plan")

    before = committed(line.bootstrap, line.group, line.topic("events"))
    changed = line.with_settings("rules", rules=[rules[0], {**rules[1], "above": 0.02}])
    run_to_end(changed)
    send(line, records[2_500:])
    run_to_end(changed)
    found = published.read(line)
    policies = [e for e in found.journal if e["kind"] == "policy"]
    verdict.none(
        verdict.unequal(
            "policy entry (partition, position, sequence)",
            [(p, position, sequence) for p in range(PARTITIONS) for position, sequence in ((0, 0), (before[p], 1))],
            [(e["partition"], e["position"], e["sequence"]) for e in policies],
        )
    )
    hashes = {e["position"]: json.loads(e["value"])["policy_hash"] for e in policies if e["partition"] == 0}
    for metric in [m for m in found.metrics if m["partition"] == 0]:
        assert metric["policy_hash"] == hashes[0 if metric["closing_position"] <= before[0] else before[0]], metric


def test_a_baseline_that_comes_later_is_journalled(line: Line, records: list[Record], tmp_path: Path) -> None:
    """It is in force from the pane after the model's last event on, also after further restarts; no event is lost."""
    model = "digits-0"
    half = len(records) // 4
    send(line, records[:half])
    run_to_end(line, "earliest")
    before = committed(line.bootstrap, line.group, line.topic("events"))
    (path,) = build_baselines(tmp_path / "baselines", (0,))
    with_baseline = line.with_settings("baseline", baselines=[str(path)])
    # A pane that was opened without the baseline is still open at both of the next two starts.
    for low, high in ((half, half + 20), (half + 20, half + 40), (half + 40, len(records))):
        send(line, records[low:high])
        run_to_end(with_baseline)
    found = published.read(line)
    entries = [e for e in found.journal if e["kind"] == "baseline"]
    verdict.none(verdict.unequal("baseline entry", before.items(), [(e["partition"], e["position"]) for e in entries]))
    (home,) = {m["partition"] for m in found.metrics if m["model_id"] == model}
    (effective,) = [json.loads(e["value"])["effective_from"] for e in entries if e["partition"] == home]
    last = max(time_of(record) for record in records[:half] if record.key == model.encode())
    assert effective % (10 * SECOND) == 0
    assert last < effective <= last + 10 * SECOND
    for metric in found.metrics:
        window = metric["window"]
        if metric["model_id"] != model or window["end"] <= effective:
            assert metric["baseline_state"] == "no_baseline", metric["window"]
        elif window["start"] >= effective:
            assert metric["baseline_state"] == "ok", metric["window"]
        else:
            assert metric["baseline_state"] == "spans_two", metric["window"]
    expected = verdict.expect(line)
    counts = {(m["event_id"], m["n"]) for m in expected.metrics.values()}
    verdict.none(verdict.unequal("window (event_id, n)", counts, [(m["event_id"], m["n"]) for m in found.metrics]))


def time_of(record: Record) -> int:
    """The event's ts, 0 where the record is no event that can be counted."""
    try:
        event = decode(record.value)
    except BadRecord:
        return 0
    counted = event["lane"] != "*" and event["ts"] <= record.timestamp * 1000
    return int(event["ts"]) if counted else 0


def test_a_worker_that_is_told_to_stop_leaves_nothing_to_read_again(
    line: Line, records: list[Record], tmp_path: Path
) -> None:
    """SIGTERM: everything is committed, with a snapshot of that position; the next worker begins there and goes on."""
    send(line, records[:2_000])
    with crew(line.config, tmp_path / "logs") as workers:
        first = workers.start(start="earliest")
        second = workers.prepare()
        await_caught_up(line)
        first.terminate()
        second.go()
        second.await_event("live", PARTITIONS)
        send(line, records[2_000:])
        await_caught_up(line)
        second.terminate()
        restored = second.events("restored")
    ends = {event["partition"]: event["snapshot_position"] for event in restored}
    assert ends == {event["partition"]: event["position"] for event in restored}
    assert sum(ends.values()) == 2_000
    verdict.everything_is_there_once(line)


def test_partitions_that_come_back_at_once_keep_their_state(line: Line, records: list[Record], tmp_path: Path) -> None:
    """A stranger joins the group and leaves again: what it did not get is kept twice, what it got is read back."""
    send(line, records[:2_000])
    stranger = Consumer(
        {
            "bootstrap.servers": line.bootstrap,
            "group.id": line.group,
            "partition.assignment.strategy": "range",
            "enable.auto.commit": False,
            "log_level": 3,
        }
    )
    hasty = line.with_settings("hasty", kafka={**line.settings["kafka"], "heartbeat.interval.ms": 300})
    with crew(hasty.config, tmp_path / "logs") as workers:
        only = workers.start(start="earliest")
        await_caught_up(line)
        stranger.subscribe([line.topic("events")])

        def has_joined() -> bool:
            stranger.poll(0.1)
            return bool(stranger.assignment())

        eventually(has_joined, "the stranger has a partition")
        taken = {where.partition for where in stranger.assignment()}
        stranger.close()
        only.await_event("revoked", 2)
        only.await_event("restored", len(taken))
        send(line, records[2_000:])
        await_caught_up(line)
        only.terminate()
        kept = [event["partition"] for event in only.events("kept")]
        restored = [event["partition"] for event in only.events("restored")]
    assert sorted(kept) == sorted(2 * [number for number in range(PARTITIONS) if number not in taken])
    assert sorted(restored) == sorted(taken)
    verdict.everything_is_there_once(line)


def test_a_worker_that_breaks_commits_nothing_more(
    line: Line, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker leaves its group with a commit; after an error of its own it must not, for its memory is half done."""
    send(line, records[:2_000])

    def break_down(plan: Plan, closed: list[ClosedGroup], suite: DriftSuite) -> Any:
        if closed:
            patch.undo()
            raise RuntimeError("out of memory")
        return metric_events(plan, closed, suite)

    with monkeypatch.context() as patch:
        patch.setattr("streammon.outbox.metric_events", break_down)
        with pytest.raises(RuntimeError, match="out of memory"):
            run_to_end(line, "earliest")
    send(line, records[2_000:])
    run_to_end(line, "earliest")
    verdict.everything_is_there_once(line)
