"""Findings about the cluster and its topics. Functions of what an adapter found out: they ask nobody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from streammon.adapters.kafka.probe import Cluster, Group
from streammon.adapters.kafka.topics import Topic
from streammon.doctor.finding import Finding, fail, ok, unknown, warn
from streammon.outline import number

CREATE = "streammon topics create"
LARGEST_RECORD = 600 * 1024  # of the changelog: a chunk of 512 KiB with its frame; metrics and alerts are smaller
LARGEST_MARKED = 832 * 1024  # of dead letters and late records: 3 x 256 KiB as read, and the headers that say why
BROKER_SETTINGS = ("group.min.session.timeout.ms", "group.max.session.timeout.ms", "transaction.max.timeout.ms")


def of_cluster(cluster: Cluster, bootstrap: str) -> Iterator[Finding]:
    brokers = f"{number(len(cluster.brokers), 'broker')} ({', '.join(cluster.brokers)})"
    yield ok("broker", f"{bootstrap} answered in {cluster.seconds * 1000:.0f} ms: cluster {cluster.name}, {brokers}")
    if not cluster.versions:
        yield unknown("kafka version", "the client did not say what the broker understands")
    elif cluster.release is None:
        said = (
            "older than Kafka 2.5: its transactions do not check the consumer group, so two workers could publish twice"
        )
        yield fail("kafka version", said, "use a broker of version 2.5 or later")
    else:
        yield ok("kafka version", f"{cluster.release} or later, as far as its protocol tells")


def of_topics(topics: Sequence[Topic], bootstrap: str, brokers: int) -> Iterator[Finding]:
    """All that can be seen of each topic."""
    absent = [topic.name for topic in topics if topic.error is not None and not topic.denied]
    denied = [topic.name for topic in topics if topic.denied]
    if absent:
        yield fail("topics", f"there is no {', '.join(absent)}", f"{CREATE}, with the same settings")
    if denied:  # whether they exist is not told either
        yield unknown("topics", f"this user may not see {', '.join(denied)}")
    seen = [topic for topic in topics if topic.error is None]
    if not absent and not denied:
        yield ok("topics", f"all {len(seen)} exist")
    yield from _partitions(seen)
    yield from _replication(seen, len(topics), brokers, bootstrap)
    hidden = [topic.name for topic in seen if topic.settings is None]
    if hidden:
        yield unknown("settings", f"of {', '.join(hidden)} cannot be seen: DescribeConfigs is not allowed")
    for topic in seen:
        if topic.settings is not None:
            yield from _settings(topic, topic.settings, bootstrap)
    yield from _retention({topic.role: topic for topic in seen}, bootstrap)


def of_group(group: Group, name: str, source: Topic) -> Iterator[Finding]:
    """Whether a worker would find its positions, and the records there."""
    if group.error is not None:
        yield unknown("group", f"{name}: {group.error.str()}")
        return
    if group.state == "dead" and not group.positions:
        yield ok("group", f"{name} is new: the first worker needs --start")
        return
    members = "no worker" if not group.members else number(group.members, "worker")
    held = f"positions in {len(group.positions)} of {source.partitions} partitions of {source.name}"
    yield ok("group", f"{name} has {members} ({group.state}), {held}")
    if group.state not in ("dead", "empty", "stable", "unknown"):
        yield warn("group", f"{name} is being rebalanced: ask again when it is stable")
    for partition, position in group.positions.items():
        span = (source.spans or {}).get(partition)
        if span is not None and not span.begin <= position <= span.end:
            what = "deleted before they were read" if position < span.begin else "never written: is this another topic?"
            yield fail(
                "positions",
                f"{source.name} {partition}: the group's position is {position:,}, but the log holds {span.begin:,} to "
                f"{span.end:,}: the records there were {what}",
                "start another group with topics of its own; keep the input longer than the longest outage",
            )


def of_state(group: Group, source: Topic, changelog: Topic) -> Iterator[Finding]:
    """Whether positions and state agree: a worker stops where one is there without the other."""
    if group.error is not None or changelog.spans is None:
        return
    kept = {partition for partition, span in changelog.spans.items() if span.end > span.begin}
    bare, orphaned = sorted(group.positions.keys() - kept), sorted(kept - group.positions.keys())
    if bare:
        yield fail(
            "state",
            f"the group has positions in partitions {bare} of {source.name}, but {changelog.name} has no state there",
            "start another group with topics of its own, or restore the changelog",
        )
    if orphaned:  # or only records of a transaction that was never committed
        yield warn(
            "state",
            f"{changelog.name} has state of partitions {orphaned}, but the group has no position there: has it expired "
            "(offsets.retention.minutes), or is this the state of another group?",
            "start another group with topics of its own",
        )
    if kept and not bare and not orphaned:
        yield ok("state", f"in {changelog.name} for every partition that has a position")


def of_timeouts(settings: Mapping[str, str], session: timedelta, transaction: timedelta) -> Iterator[Finding]:
    """`settings`: BROKER_SETTINGS."""
    low, high, longest = (
        timedelta(milliseconds=int(settings[name])) if name in settings else None for name in BROKER_SETTINGS
    )
    if low is not None and high is not None and not low <= session <= high:
        yield fail(
            "time-outs",
            f"delivery.session_timeout is {session.total_seconds():g} s; the broker allows "
            f"{low.total_seconds():g} s to {high.total_seconds():g} s",
            "change it, or the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
        )
    elif longest is not None and transaction > longest:
        yield fail(
            "time-outs",
            f"delivery.transaction_timeout is {transaction.total_seconds():g} s; the broker allows "
            f"{longest.total_seconds():g} s",
            "shorten it, or raise the broker's transaction.max.timeout.ms",
        )
    else:
        yield ok("time-outs", "session_timeout and transaction_timeout are within the broker's limits")


def _partitions(seen: Sequence[Topic]) -> Iterator[Finding]:
    counts = {topic.role: topic.partitions for topic in seen}
    names = {topic.role: topic.name for topic in seen}
    if "events" not in counts:
        return
    wrong = [role for role in ("journal", "changelog") if counts.get(role, counts["events"]) != counts["events"]]
    for role in wrong:
        yield fail(
            "partitions",
            f"{names[role]} has {counts[role]}, {names['events']} has {counts['events']}: both must agree",
            f"no state yet: delete {names[role]}, then {CREATE}; else start another group with topics of its own",
        )
    if not wrong and {"journal", "changelog"} <= counts.keys():
        yield ok("partitions", f"{counts['events']} in {names['events']}, and as many in journal and changelog")


def _replication(seen: Sequence[Topic], topics: int, brokers: int, bootstrap: str) -> Iterator[Finding]:
    """Topics, of that many, about which there is the same to say share a finding."""
    alike: dict[Finding, list[tuple[str, str]]] = {}
    for topic in seen:
        said, fix = _replicas(topic, brokers, bootstrap)
        alike.setdefault(said, []).append((topic.name, fix))
    for said, those in alike.items():
        names = "all topics" if len(those) == topics else ", ".join(name for name, _ in those)
        fixes = dict.fromkeys(fix for _, fix in those if fix)
        yield said._replace(text=f"{names}: {said.text}", fixes=tuple(fixes))


def _replicas(topic: Topic, brokers: int, bootstrap: str) -> tuple[Finding, str]:
    """What to say of one topic, and the command that mends it."""
    check, factor, least = "replication", topic.replication, int((topic.settings or {}).get("min.insync.replicas", 1))
    if topic.leaderless:
        numbers = ", ".join(map(str, topic.leaderless))
        return fail(check, f"partitions without a leader ({numbers})"), "bring back the brokers that hold them"
    if least > topic.in_sync:
        text = f"{topic.in_sync} of {factor} in sync, min.insync.replicas {least}: nothing can be written"
        return fail(check, text), (
            "bring back the brokers that hold the others"
            if least <= factor
            else alter(topic, bootstrap, "min.insync.replicas", str(max(1, factor - 1)))
        )
    if factor == 1 and brokers == 1:
        return ok(check, "one replica, as there is one broker: nothing survives the loss of its disk"), ""
    if factor == 1:
        return warn(check, "one replica: what it holds is lost with its broker"), (
            "kafka-reassign-partitions.sh adds replicas; `streammon topics create --replication 3` makes new topics so"
        )
    if topic.in_sync < factor:
        return warn(check, f"{topic.in_sync} of {factor} replicas are in sync"), "look at the brokers that hold them"
    if topic.settings is not None and least == 1:
        text = f"{factor} replicas, but min.insync.replicas is 1: a commit may be lost with one broker"
        return warn(check, text), alter(topic, bootstrap, "min.insync.replicas", "2")
    if topic.settings is not None and least == factor:
        text = f"min.insync.replicas is {least}, as many as there are replicas: one broker away stops all writing"
        return warn(check, text), alter(topic, bootstrap, "min.insync.replicas", str(least - 1))
    return ok(check, f"{factor} replicas" + (f", at least {least} in sync" if topic.settings is not None else "")), ""


def _settings(topic: Topic, settings: Mapping[str, str], bootstrap: str) -> Iterator[Finding]:
    policies = set(settings.get("cleanup.policy", "delete").replace(" ", "").split(","))
    needed = LARGEST_MARKED if topic.role in ("dead_letters", "late") else LARGEST_RECORD
    largest = int(settings.get("max.message.bytes", needed))
    check = topic.role.replace("_", " ")
    if topic.role == "changelog" and policies != {"compact"}:
        yield fail(
            check,
            f"{topic.name}: cleanup.policy is {','.join(sorted(policies))}: state older than its retention is lost",
            alter(topic, bootstrap, "cleanup.policy", "compact"),
        )
    if topic.role == "journal" and "compact" in policies:
        yield fail(
            check,
            f"{topic.name}: cleanup.policy compacts: all decisions but a partition's last are lost",
            alter(topic, bootstrap, "cleanup.policy", "delete"),
        )
    if topic.role in ("events", "metrics", "alerts", "dead_letters", "late") and "compact" in policies:
        yield warn(
            check,
            f"{topic.name}: cleanup.policy compacts: of each model only the latest record stays",
            alter(topic, bootstrap, "cleanup.policy", "delete"),
        )
    if topic.role == "events":
        yield _timestamps(topic, settings, bootstrap)
    elif largest < needed:
        yield fail(
            check,
            f"{topic.name}: max.message.bytes is {largest:,}: records of up to {needed:,} bytes have to fit",
            alter(topic, bootstrap, "max.message.bytes", str(1 << 20)),
        )


def _timestamps(topic: Topic, settings: Mapping[str, str], bootstrap: str) -> Finding:
    if settings.get("message.timestamp.type") == "LogAppendTime":
        return ok("timestamps", f"{topic.name} has the broker's (LogAppendTime): max_future_skew is measured by them")
    return warn(
        "timestamps",
        f"{topic.name} has its producers' (CreateTime), so max_future_skew is only as good as their clocks: a worker "
        "refuses what lies beyond its own, but one whose clock is ahead by less closes windows early for everybody in "
        "its series",
        alter(topic, bootstrap, "message.timestamp.type", "LogAppendTime"),
    )


def _retention(seen: Mapping[str, Topic], bootstrap: str) -> Iterator[Finding]:
    """Replay needs the journal for as long as the input is kept."""
    source, journal = seen.get("events"), seen.get("journal")
    if source is None or journal is None or source.settings is None or journal.settings is None:
        return
    kept, needed = (int(topic.settings.get("retention.ms", -1)) for topic in (journal, source) if topic.settings)
    bounded = int(journal.settings.get("retention.bytes", -1)) >= 0
    if bounded or 0 <= kept < needed or (kept >= 0 > needed):
        yield fail(
            "journal",
            f"{journal.name} {'is bounded in size' if bounded else 'is kept for a shorter time than ' + source.name}: "
            "decisions that the log alone does not determine would be lost, and with them state and replay",
            alter(journal, bootstrap, "retention.ms", "-1"),
            alter(journal, bootstrap, "retention.bytes", "-1"),
        )
    else:
        yield ok("journal", f"kept at least as long as {source.name}")


def alter(topic: Topic, bootstrap: str, setting: str, value: str) -> str:
    """The command that changes a setting of a topic."""
    command = f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --topic {topic.name}"
    return f"{command} --add-config {setting}={value}"
