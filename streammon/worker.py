"""Live: the runner on Kafka."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any

from streammon import assembly
from streammon.adapters.changelog import Changelog
from streammon.adapters.kafka_admin import Admin
from streammon.adapters.kafka_sink import KafkaSink, Topics
from streammon.adapters.kafka_source import KafkaSource
from streammon.adapters.kafka_state import KafkaStateStore
from streammon.core.commit import CommitPolicy
from streammon.runner import Runner
from streammon.settings import Settings, kafka_options, plan
from streammon.telemetry import Event, LogObserver, log


def run(
    settings: Settings,
    start: str | None,
    stopping: Callable[[], bool] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
) -> None:
    """Work until `stopping()`, by default until SIGTERM or SIGINT. `start`: where partitions without state begin."""
    stopping = stopping or until_signalled()
    the_plan = plan(settings)
    baselines = assembly.baselines(settings.baselines, the_plan)
    decoder = assembly.decoder(the_plan)
    options = kafka_options(settings)
    topics = Topics(**settings.topics.model_dump())
    admin = Admin(options)
    partitions = admin.check(topics)
    delivery = settings.delivery
    worker = settings.instance or secrets.token_hex(8)
    changelog = Changelog()
    source = KafkaSource(topics.events, _consumer_options(settings, options), delivery.max_batch)
    store = KafkaStateStore(source, options, topics.changelog, topics.journal, changelog)
    sink = KafkaSink(
        source,
        options,
        f"streammon.{settings.group}.{worker}",
        topics,
        changelog,
        delivery.transaction_timeout.total_seconds(),
        on_step,
    )
    log(
        Event.STARTED,
        group=settings.group,
        worker=worker,
        topic=topics.events,
        partitions=partitions,
        plan=the_plan.hash,
    )
    runner = Runner(
        plan=the_plan,
        baselines=baselines,
        source=source,
        sink=sink,
        store=store,
        decoder=decoder,
        explain=assembly.explainer(decoder),
        suite=assembly.suite(settings),
        policy=CommitPolicy(
            delivery.commit_interval.total_seconds(),
            delivery.min_commit_interval.total_seconds(),
            delivery.snapshot_interval.total_seconds(),
            delivery.snapshot_events,
        ),
        now=time.monotonic,
        start_at=None if start is None else admin.starts(topics.events, start),
        observer=LogObserver(),
    )
    with closing(store), closing(source):
        runner.run(stopping)
    log(Event.STOPPED, events=runner.tally.events, metrics=runner.tally.metrics, alerts=runner.tally.alerts)


def until_signalled() -> Callable[[], bool]:
    """True once SIGTERM or SIGINT has come. A second one ends the process at once, which loses nothing."""
    received: list[int] = []

    def note(number: int, _: Any) -> None:
        received.append(number)
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    return lambda: bool(received)


def _consumer_options(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    membership: dict[str, Any] = {
        "group.id": settings.group,
        "session.timeout.ms": int(settings.delivery.session_timeout.total_seconds() * 1000),
    }
    if settings.instance is not None:
        membership["group.instance.id"] = settings.instance
    return {**options, **membership}
