"""`streammon doctor`: is everything as a worker needs it? Asks the cluster and this machine, and changes nothing.

- finding.py: what an examination finds
- machine.py: this machine
- cluster.py: the cluster, topics, group and state
- access.py: what this user may do
- records.py: the newest records of the input
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from streammon import assembly
from streammon.adapters.kafka.access import transactional_ids
from streammon.adapters.kafka.errors import DENIED
from streammon.adapters.kafka.probe import Probe
from streammon.adapters.kafka.sink import Topics
from streammon.core.errors import Unreachable, UsageError
from streammon.doctor import access, cluster, machine, records
from streammon.doctor.finding import Finding, Level, fail, unknown
from streammon.explain import explainer
from streammon.settings import Settings, kafka_options, plan

SAMPLE = 500  # records
PROBE = "-doctor-"  # behind the group, in a transactional id that no worker has: it would be fenced

__all__ = ["Finding", "Level", "examine"]


def examine(settings: Settings) -> Iterator[Finding]:
    """Findings, as they are made: this machine, then the cluster. Raises Refusal where no broker answers, or none that
    lets this user in."""
    the_plan = plan(settings)
    decoder = assembly.decoder(the_plan)
    baselines = assembly.baselines(settings.baselines, the_plan)
    yield from machine.of_machine(settings)
    topics = Topics(**settings.topics.model_dump())
    options = kafka_options(settings)
    bootstrap = str(options["bootstrap.servers"])
    probe = Probe(options)
    try:
        found = probe.cluster()
    except (Unreachable, UsageError) as problem:
        yield fail("broker", str(problem))
        raise
    yield from cluster.of_cluster(found, bootstrap)
    states = probe.describe(topics)
    yield from cluster.of_topics(states, bootstrap, len(found.brokers))
    by_role = {topic.role: topic for topic in states}
    source = by_role["events"]
    group = probe.group(settings.group, source)
    yield from cluster.of_group(group, settings.group, source)
    yield from cluster.of_state(group, source, by_role["changelog"])
    producer = probe.transactions(
        transactional_ids(settings.group) + PROBE, settings.delivery.transaction_timeout.total_seconds()
    )
    if producer is not None and producer.code() not in DENIED:
        yield fail("transactions", f"the broker gives no producer its transactions: {producer.str()}")
    broker = probe.broker_settings(cluster.BROKER_SETTINGS)
    if broker is None:
        yield unknown("time-outs", "the broker's limits cannot be seen: DescribeConfigs on the cluster is not allowed")
    else:
        delivery = settings.delivery
        yield from cluster.of_timeouts(broker, delivery.session_timeout, delivery.transaction_timeout)
    yield from access.of_access(states, group, producer, topics, settings.group, options)
    layouts = [*(shape.layout for shape in the_plan.models), *(each.layout for each in baselines.values())]
    yield machine.of_memory(the_plan, layouts, source.partitions or 1, machine.free_memory())
    if source.error is not None or (source.allowed is not None and "Read" not in source.allowed):
        yield unknown("records", f"{source.name} cannot be read")
    elif (sample := probe.sample(source.name, SAMPLE)) is None:
        yield unknown("records", f"{source.name} holds none: nothing to try the settings on")
    else:
        events = decoder.decode(sample.batch)
        explain = explainer(decoder, the_plan, baselines)
        yield from records.of_records(sample, events, the_plan, baselines, source.partitions, explain, time.time())
