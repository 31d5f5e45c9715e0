"""The consumer of alerts on a real broker: what it sees, how often, and where it goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer

from streammon.core.errors import UsageError
from streammon.core.outputs import AlertEvent, AlertState, Measurement, Series, WindowSpec
from streammon.sdk import AlertConsumer, MetricConsumer, consumer
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import committed, eventually
from tests.conftest import Topics
from tests.golden.make import content
from tests.golden.oracle import single_object
from tests.sdk.published import alert, publish

pytestmark = pytest.mark.broker

SHORT = {"session.timeout.ms": 1500, "heartbeat.interval.ms": 300}  # members hear soon of a new one and of a dead one

# A bot that is busy with its second alert for ever.
BOT = f"""
import sys, time
from streammon.sdk import AlertConsumer
bootstrap, group, topic = sys.argv[1:]
for alert in AlertConsumer(bootstrap, group=group, topic=topic, start="earliest", kafka={SHORT}):
    print(alert.number, flush=True)
    if alert.number == 1:
        time.sleep(600)
"""


def seen(bootstrap: str, group: str | None, topic: str, **options: Any) -> list[tuple[str, int]]:
    """All that a consumer sees, up to what is there now; from the beginning if the group is new."""
    options = {"start": "earliest", "timeout": 0, **options}
    with AlertConsumer(bootstrap, group=group, topic=topic, **options) as alerts:
        return [(each.alert_id, each.number) for each in alerts]


def test_an_alert_comes_as_it_was_published(broker: Broker, topics: Topics) -> None:
    """Each field of the record is there, typed, and events of one partition come in its order."""
    topic = topics.create("alerts")
    evidence = [{"name": "feature.psi", "value": 0.25, "feature": "income", "n": 900}]
    values = [alert(0, git_commit="c0ffee", evidence=evidence), alert(1, state="ONGOING"), alert(2, state="RESOLVED")]
    publish(broker.bootstrap, topic, values)
    with AlertConsumer(broker.bootstrap, group=None, topic=topic, start="earliest", timeout=0) as alerts:
        first, *others = alerts
    expected = AlertEvent(
        alert_id="a1",
        number=0,
        state=AlertState.FIRING,
        rule_id="slow",
        severity="P1",
        measurement=Measurement("latency.p95", 42.5, n=900, threshold=35.0),
        consecutive=2,
        opened_at=1_714_564_860_000_000,
        topic="inference-events",
        partition=0,
        series=Series("fraud", "3", "canary"),
        spec=WindowSpec(60_000_000, 60_000_000, 0),
        start=1_714_564_800_000_000,
        closing_position=77,
        plan_hash="aaaa",
        policy_hash="bbbb",
        baseline_id=None,
        data_hash=None,
        git_commit="c0ffee",
        evidence=(Measurement("feature.psi", 0.25, feature="income", n=900),),
        action="rollback",
        summary="p95 42.5 ms > 35",
    )
    assert first == expected
    assert [each.state for each in others] == [AlertState.ONGOING, AlertState.RESOLVED]


def test_states_and_severities_leave_the_others_out(broker: Broker, topics: Topics) -> None:
    """What is not wanted is passed over, and the position moves over it."""
    topic, group = topics.create("alerts"), topics.name("bot")
    values = [
        alert(0, alert_id="p1", severity="P1"),
        alert(0, alert_id="p2", severity="P2"),
        alert(1, alert_id="p1", state="RESOLVED"),
    ]
    publish(broker.bootstrap, topic, values)
    options: dict[str, Any] = {"states": ("FIRING",), "severities": "P1"}
    assert seen(broker.bootstrap, group, topic, **options) == [("p1", 0)]
    assert committed(broker.bootstrap, group, topic) == {0: 3}


def test_an_aborted_transaction_was_never_published(broker: Broker, topics: Topics) -> None:
    """What a worker wrote in a transaction that was aborted is not seen; what it wrote in the next one is."""
    topic = topics.create("alerts")
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "transactional.id": topics.name("worker"), "log_level": 3}
    )
    producer.init_transactions(30)
    for number, end in ((0, producer.abort_transaction), (1, producer.commit_transaction)):
        producer.begin_transaction()
        producer.produce(topic, alert(number), b"fraud")
        assert producer.flush(30) == 0  # it lies in the log, whatever becomes of it
        end(30)
    assert seen(broker.bootstrap, None, topic) == [("a1", 1)]


def test_an_alert_comes_again_to_the_next_process_when_its_handler_was_killed(broker: Broker, topics: Topics) -> None:
    """The position behind an alert is committed when the next one is asked for: before, a kill shows it again."""
    topic, group = topics.create("alerts"), topics.name("bot")
    publish(broker.bootstrap, topic, map(alert, range(3)))
    with bot(broker.bootstrap, group, topic) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["0\n", "1\n"]
        eventually(lambda: committed(broker.bootstrap, group, topic) == {0: 1}, "the first alert is committed")
        process.kill()
        process.wait()
    assert seen(broker.bootstrap, group, topic, kafka=SHORT) == [("a1", 1), ("a1", 2)]
    assert seen(broker.bootstrap, group, topic) == []


def test_ctrl_c_ends_a_waiting_bot_within_a_second(broker: Broker, topics: Topics) -> None:
    """KeyboardInterrupt rises from the loop while it waits for alerts."""
    topic = topics.create("alerts")
    publish(broker.bootstrap, topic, [alert(0)])
    with bot(broker.bootstrap, topics.name("bot"), topic) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "0\n"
        process.send_signal(signal.SIGINT)
        # Python's own end of a process with this client takes a little more.
        _, told = process.communicate(timeout=5)
    assert "KeyboardInterrupt" in told


def test_what_breaks_out_of_the_loop_comes_again_unless_it_is_committed(broker: Broker, topics: Topics) -> None:
    """`break` leaves the event in hand unfinished; `commit` finishes it."""
    topic, group = topics.create("alerts"), topics.name("bot")
    publish(broker.bootstrap, topic, map(alert, range(2)))

    def first(commit: bool) -> int:
        with AlertConsumer(broker.bootstrap, group=group, topic=topic, start="earliest") as alerts:
            number = next(alerts).number
            if commit:
                alerts.commit()
            return number

    assert [first(commit=False), first(commit=True), first(commit=False)] == [0, 0, 1]


def test_two_members_share_the_partitions_and_no_alert_is_lost_or_seen_twice(broker: Broker, topics: Topics) -> None:
    """A second member takes a partition over where the first one left it."""
    topic, group = topics.create("alerts", partitions=2), topics.name("bot")
    members = [AlertConsumer(broker.bootstrap, group=group, topic=topic, start="earliest", kafka=SHORT) for _ in "12"]

    def send(low: int, high: int) -> None:
        for partition in range(2):
            values = [alert(number, alert_id=f"p{partition}") for number in range(low, high)]
            publish(broker.bootstrap, topic, values, partition)

    with followed(members[0]) as first:
        send(0, 20)
        eventually(lambda: len(first) == 40, "the first member alone sees everything")
        with followed(members[1]) as second:
            sent = 20
            while len(second) < 10:  # until the second one has its share
                send(sent, sent + 5)
                sent += 5
            eventually(lambda: len(first) + len(second) >= 2 * sent, "both together have seen all")
    by_member = [[(each.alert_id, each.number) for each in events] for events in (first, second)]
    everything = [(f"p{partition}", number) for partition in range(2) for number in range(sent)]
    assert sorted(by_member[0] + by_member[1]) == everything
    assert len({name for name, _ in by_member[1]}) == 1


def test_a_member_commits_before_its_partitions_are_handed_over(
    broker: Broker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metric events are committed a second's at once, but never left to the next member."""
    monkeypatch.setattr(consumer, "COMMIT_INTERVAL", 3600.0)
    topic, group = topics.create("metrics", partitions=2), topics.name("table")
    record = content("metric_event.1")
    for partition in range(2):
        values = [single_object("metric_event", record | {"event_id": f"{partition} {n}"}) for n in range(50)]
        publish(broker.bootstrap, topic, values, partition)
    members = [MetricConsumer(broker.bootstrap, group=group, topic=topic, kafka=SHORT) for _ in "12"]
    with followed(members[0]) as first:
        eventually(lambda: len(first) == 100, "the first member alone sees everything")
        with followed(members[1]):
            eventually(lambda: committed(broker.bootstrap, group, topic) == {0: 50, 1: 50}, "all is committed")


def test_a_repeat_is_dropped(broker: Broker, topics: Topics) -> None:
    """An event that this process has seen is not shown again; another one of the same alert is."""
    topic = topics.create("alerts")
    values = [alert(0), alert(0), alert(1), alert(0), alert(1), alert(0, alert_id="a2")]
    publish(broker.bootstrap, topic, values)
    with AlertConsumer(broker.bootstrap, group=None, topic=topic, start="earliest", timeout=0) as alerts:
        assert [(each.alert_id, each.number) for each in alerts] == [("a1", 0), ("a1", 1), ("a2", 0)]
        assert alerts.repeated == 3


def test_records_that_cannot_be_read_are_passed_over(
    broker: Broker, topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    """JSON, no value, a newer schema and damage are counted and logged; the loop goes on behind them."""
    topic, group = topics.create("alerts"), topics.name("bot")
    good = alert(1)
    values = [alert(0), b'{"alert": 1}', None, b"", good[:2] + b"\x00" * 8 + good[10:], good[:-5], good + b"x", good]
    publish(broker.bootstrap, topic, values)
    with AlertConsumer(broker.bootstrap, group=group, topic=topic, start="earliest", timeout=0) as alerts:
        assert [each.number for each in alerts] == [0, 1]
        assert alerts.skipped == 6
    assert committed(broker.bootstrap, group, topic) == {0: len(values)}
    (line,) = (record.getMessage() for record in caplog.records if record.name == "streammon.sdk")
    assert f"{topic} 0, offset 1 is passed over" in line  # the first one; the others within ten seconds are not told


def test_a_new_group_begins_with_what_comes_and_misses_nothing_from_then_on(broker: Broker, topics: Topics) -> None:
    """Old alerts are not acted on; one that comes while the bot restarts is, though the bot had never seen any."""
    topic, group = topics.create("alerts", partitions=2), topics.name("bot")
    publish(broker.bootstrap, topic, [alert(0)])
    assert seen(broker.bootstrap, group, topic, start="latest") == []
    publish(broker.bootstrap, topic, [alert(1)])
    publish(broker.bootstrap, topic, [alert(0, alert_id="a2")], partition=1)
    assert sorted(seen(broker.bootstrap, group, topic, start="latest")) == [("a1", 1), ("a2", 0)]


@pytest.mark.parametrize("group", ["bot", None])
def test_a_topic_that_does_not_exist_is_a_mistake(broker: Broker, topics: Topics, group: str | None) -> None:
    """A loop would wait for it for ever."""
    with (
        AlertConsumer(broker.bootstrap, group=group and topics.name(group), topic=topics.name("none")) as alerts,
        pytest.raises(UsageError, match="no such topic"),
    ):
        next(alerts)


def test_without_a_group_everything_is_read_each_time(broker: Broker, topics: Topics) -> None:
    """No position is committed under any name."""
    topic = topics.create("alerts", partitions=2)
    publish(broker.bootstrap, topic, [alert(0)], partition=1)
    assert [seen(broker.bootstrap, None, topic) for _ in range(2)] == [[("a1", 0)]] * 2
    assert committed(broker.bootstrap, "streammon-reader", topic) == {}


@contextmanager
def followed(events: AlertConsumer | MetricConsumer) -> Iterator[list[Any]]:
    """What a consumer sees in a thread of its own, until it is closed."""
    found: list[Any] = []

    def follow() -> None:
        for event in events:
            found.append(event)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        events.close()
        thread.join(10)
    assert not thread.is_alive()


@contextmanager
def bot(bootstrap: str, group: str, topic: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", BOT, bootstrap, group, topic], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
