"""What is made of a cluster's state, against cases whose verdict is written down beside them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from confluent_kafka import KafkaError

from streammon.adapters.kafka.probe import Cluster, Group, protocol
from streammon.adapters.kafka.topics import Span, Topic
from streammon.doctor import cluster
from streammon.doctor.finding import Finding, Level

BROKER = "kafka:9092"
DAY = 86_400_000  # ms


def topic(role: str, **changes: object) -> Topic:
    """As `topics create` makes it on three brokers, with two replicas that must be in sync."""
    settings = {
        "message.timestamp.type": "LogAppendTime",
        "cleanup.policy": "compact" if role == "changelog" else "delete",
        "retention.ms": "-1" if role == "journal" else str(7 * DAY),
        "retention.bytes": "-1",
        "min.insync.replicas": "2",
        "max.message.bytes": "1048588",
    }
    good = Topic(role, f"my-{role}", partitions=4, replication=3, in_sync=3, settings=settings)
    settings |= {
        name.replace("_", "."): str(changes.pop(name)) for name in [*changes] if "_" in name and name != "in_sync"
    }
    return replace(good, **changes)  # type: ignore[arg-type]  # fields by name


ALL = ("events", "metrics", "alerts", "dead_letters", "journal", "changelog")


def examined(*changed: Topic) -> list[Finding]:
    """What is said of all topics, some changed, and of the late topic if it is among those."""
    by_role = {role: topic(role) for role in ALL} | {each.role: each for each in changed}
    return list(cluster.of_topics(list(by_role.values()), BROKER, 3))


def test_topics_as_they_should_be() -> None:
    found = examined()
    assert {each.level for each in found} == {Level.OK}
    assert [each.check for each in found] == ["topics", "partitions", "replication", "timestamps", "journal"]


@pytest.mark.parametrize(
    "changed, level, said, fix",
    [
        (topic("events", message_timestamp_type="CreateTime"), Level.WARN, "clock is ahead", "type=LogAppendTime"),
        (topic("events", cleanup_policy="compact"), Level.WARN, "only the latest record", "cleanup.policy=delete"),
        (topic("metrics", cleanup_policy="compact,delete"), Level.WARN, "only the latest", "cleanup.policy=delete"),
        (topic("late", cleanup_policy="compact"), Level.WARN, "only the latest record", "cleanup.policy=delete"),
        (topic("changelog", cleanup_policy="delete"), Level.FAIL, "state older than", "cleanup.policy=compact"),
        (topic("changelog", cleanup_policy="compact,delete"), Level.FAIL, "compact,delete", "policy=compact"),
        (topic("changelog", max_message_bytes=500_000), Level.FAIL, "500,000", "max.message.bytes=1048576"),
        (topic("late", max_message_bytes=700_000), Level.FAIL, "700,000", "max.message.bytes=1048576"),
        (topic("dead_letters", max_message_bytes=700_000), Level.FAIL, "700,000", "max.message.bytes=1048576"),
        (topic("journal", cleanup_policy="compact"), Level.FAIL, "all decisions but", "cleanup.policy=delete"),
        (topic("journal", retention_ms=6 * DAY), Level.FAIL, "shorter time than my-events", "retention.ms=-1"),
        (topic("journal", retention_bytes=10**9), Level.FAIL, "bounded in size", "retention.bytes=-1"),
        (topic("journal", partitions=3), Level.FAIL, "my-journal has 3, my-events has 4", "another group"),
        (topic("changelog", partitions=5), Level.FAIL, "my-changelog has 5", "another group"),
        (topic("alerts", replication=1, in_sync=1, min_insync_replicas=1), Level.WARN, "lost with its broker", "3"),
        (topic("alerts", in_sync=2), Level.WARN, "2 of 3 replicas are in sync", "brokers"),
        (topic("alerts", in_sync=1), Level.FAIL, "nothing can be written", "bring back"),
        (topic("alerts", min_insync_replicas=4), Level.FAIL, "nothing can be written", "replicas=2"),
        (topic("alerts", min_insync_replicas=1), Level.WARN, "a commit may be lost", "replicas=2"),
        (topic("alerts", min_insync_replicas=3), Level.WARN, "one broker away stops", "replicas=2"),
        (topic("alerts", leaderless=[2]), Level.FAIL, "without a leader (2)", "bring back"),
        (topic("alerts", error=KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART)), Level.FAIL, "no my-alerts", "create"),
        (topic("alerts", error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)), Level.UNKNOWN, "my-alerts", ""),
        (topic("alerts", settings=None), Level.UNKNOWN, "DescribeConfigs is not allowed", ""),
    ],
)
def test_a_topic_that_is_otherwise(changed: Topic, level: Level, said: str, fix: str) -> None:
    """One finding, about that topic, that says what is wrong and the way to mend it; the rest stays good."""
    (found,) = [each for each in examined(changed) if each.level is not Level.OK]
    assert found.level is level
    assert said in found.text
    assert changed.name in found.text
    assert fix in " ".join(found.fixes)
    assert not fix or found.fixes


@pytest.mark.parametrize("more", [(), ("late",)])
def test_topics_that_are_alike_share_a_line(more: tuple[str, ...]) -> None:
    """Whether there is a late topic or not."""
    single = [topic(role, replication=1, in_sync=1, min_insync_replicas=1) for role in ALL + more]
    (found,) = [each for each in cluster.of_topics(single, BROKER, 1) if each.check == "replication"]
    assert found.level is Level.OK  # one broker cannot have more
    assert found.text.startswith("all topics: one replica")


@pytest.mark.parametrize(
    "kept, needed, good",
    [(-1, -1, True), (-1, DAY, True), (DAY, DAY, True), (DAY, -1, False), (DAY, 2 * DAY, False), (2 * DAY, DAY, True)],
)
def test_the_journal_is_kept_as_long_as_the_input(kept: int, needed: int, good: bool) -> None:
    found = examined(topic("journal", retention_ms=kept), topic("events", retention_ms=needed))
    assert [each.level for each in found if each.check == "journal"] == [Level.OK if good else Level.FAIL]


@pytest.mark.parametrize(
    "fetch, produce, offsets, release",
    [
        (18, 13, 5, "4.1"),
        (17, 12, 5, "4.0"),
        (17, 11, 5, "3.9"),
        (12, 9, 3, "2.7"),
        (11, 8, 3, "2.5"),
        (11, 8, 2, None),
    ],
)
def test_the_release_of_the_broker(fetch: int, produce: int, offsets: int, release: str | None) -> None:
    """By what it understands; before 2.5 a commit is not checked by the group, which is refused."""
    versions = {"Fetch": fetch, "Produce": produce, "TxnOffsetCommit": offsets}
    found = Cluster(0.01, "c", ("kafka:9092",), versions)
    assert found.release == release
    assert {each.level for each in cluster.of_cluster(found, BROKER)} == {Level.OK, Level.OK if release else Level.FAIL}


def test_a_mixed_cluster_is_as_old_as_its_oldest_broker() -> None:
    lines = ["a/1:   ApiKey Fetch (1) Versions 4..18", "b/2:   ApiKey Fetch (1) Versions 4..17", "nothing"]
    assert protocol(lines) == {"Fetch": 17}


def test_positions_outside_the_log() -> None:
    """Deleted before they were read, or never written: a worker would stop there."""
    spans = {0: Span(10, 90), 1: Span(0, 50), 2: Span(5, 5), 3: Span(0, 9)}
    group = Group(None, "empty", 0, None, {0: 9, 1: 51, 2: 5, 3: 0})
    found = list(cluster.of_group(group, "g", replace(topic("events"), spans=spans)))
    failed = [each.text for each in found if each.level is Level.FAIL]
    assert len(failed) == 2
    assert "my-events 0: the group's position is 9" in failed[0]
    assert "deleted before they were read" in failed[0]
    assert "my-events 1: the group's position is 51" in failed[1]
    assert "never written" in failed[1]


@pytest.mark.parametrize(
    "positions, filled, levels",
    [
        ({}, set(), []),  # a new group
        ({0: 5, 1: 0}, {0, 1}, [Level.OK]),
        ({0: 5, 1: 0}, {0}, [Level.FAIL]),  # deleted, or made anew
        ({0: 5}, {0, 1}, [Level.WARN]),  # an expired position, or another group's state
        ({0: 5}, {1}, [Level.FAIL, Level.WARN]),
    ],
)
def test_positions_and_state_belong_together(positions: dict[int, int], filled: set[int], levels: list[Level]) -> None:
    spans = {partition: Span(3, 9 if partition in filled else 3) for partition in (0, 1)}
    group = Group(None, "empty", 0, None, positions)
    found = list(cluster.of_state(group, topic("events"), replace(topic("changelog"), spans=spans)))
    assert [each.level for each in found] == levels


@pytest.mark.parametrize(
    "session, transaction, said",
    [(18, 12, None), (5, 4, "session_timeout"), (400, 12, "session_timeout"), (300, 299, "transaction_timeout")],
)
def test_time_outs_within_the_broker_s_limits(session: int, transaction: int, said: str | None) -> None:
    limits = dict(zip(cluster.BROKER_SETTINGS, ("6000", "300000", "60000"), strict=True))
    (found,) = cluster.of_timeouts(limits, timedelta(seconds=session), timedelta(seconds=transaction))
    assert found.level is (Level.OK if said is None else Level.FAIL)
    assert said is None or said in found.text
