"""Live: the runner on Kafka."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from streammon import assembly
from streammon.adapters.changelog import Changelog
from streammon.adapters.kafka.access import transactional_ids
from streammon.adapters.kafka.admin import Admin
from streammon.adapters.kafka.sink import KafkaSink, Topics
from streammon.adapters.kafka.source import KafkaSource
from streammon.adapters.kafka.state import KafkaStateStore
from streammon.core.commit import CommitPolicy
from streammon.core.errors import Refusal
from streammon.core.ports import Observer
from streammon.explain import explainer
from streammon.runner import Runner
from streammon.settings import Settings, kafka_options, plan
from streammon.stopping import until_signalled
from streammon.telemetry import Event, Health, LogObserver, Metrics, Observers, listen, log, pages

HEARTBEATS = 6  # in a session
MAX_POLL_INTERVAL = 300_000  # milliseconds: librdkafka's default of max.poll.interval.ms


@dataclass(frozen=True, slots=True)
class Capability:
    """What a broker can do that exactly-once rests on. `streammon run` takes none that lacks any of it; only the demo
    lets its own off, and says so.
    """

    positions: bool = True  # it keeps the positions that a transaction commits: they are read back after the first


def run(
    settings: Settings,
    start: str | None,
    stopping: Callable[[], bool] | None = None,
    on_step: Callable[[str], None] = lambda step: None,
    observer: Observer | None = None,
    capability: Capability = Capability(),
) -> None:
    """Work until `stopping()`, by default until SIGTERM or SIGINT. `start`: where partitions without state begin.
    `observer` is told what the loop does, after telemetry.
    """
    stopping = stopping or until_signalled()
    with _last_words(settings):
        _work(settings, start, stopping, on_step, observer or Observer(), capability)


def _work(
    settings: Settings,
    start: str | None,
    stopping: Callable[[], bool],
    on_step: Callable[[str], None],
    observer: Observer,
    capability: Capability,
) -> None:
    the_plan = plan(settings)
    baselines = assembly.baselines(settings.baselines, the_plan)
    decoder = assembly.decoder(the_plan)
    options = kafka_options(settings)
    topics = Topics(**settings.topics.model_dump())
    admin = Admin(options)
    partitions = admin.check(topics)
    delivery = settings.delivery
    worker = settings.instance or secrets.token_hex(8)
    health = Health(topics.events, _longest_turn(settings), time.monotonic)
    metrics = Metrics(topics.events, the_plan.hash, health, time.monotonic)
    with _endpoint(settings, metrics, health):
        changelog = Changelog()
        source = KafkaSource(topics.events, _consumer_options(settings, options), delivery.max_batch)
        metrics.ends = source.ends
        store = KafkaStateStore(source, options, topics.changelog, topics.journal, changelog)
        sink = KafkaSink(
            source,
            options,
            f"{transactional_ids(settings.group)}{worker}",
            topics,
            changelog,
            delivery.transaction_timeout.total_seconds(),
            on_step,
            settings.input.framing != "raw",
            capability.positions,
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
            explain=explainer(decoder, the_plan, baselines),
            suite=assembly.suite(settings),
            policy=CommitPolicy(
                delivery.commit_interval.total_seconds(),
                delivery.min_commit_interval.total_seconds(),
                delivery.snapshot_interval.total_seconds(),
                delivery.snapshot_events,
            ),
            now=time.monotonic,
            start_at=None if start is None else admin.starts(topics.events, start),
            pause_when_undecodable=settings.input.pause_when_undecodable,
            keeps_late=settings.topics.late is not None,
            idle_timeout=settings.idle_timeout.total_seconds(),
            wall=time.time,
            # What the log says shows already.
            observer=Observers(health, metrics, LogObserver(topics.events), observer),
        )
        with closing(store), closing(source):
            runner.run(stopping)
    log(Event.STOPPED, events=runner.tally.events, metrics=runner.tally.metrics, alerts=runner.tally.alerts)


def _endpoint(settings: Settings, metrics: Metrics, health: Health) -> AbstractContextManager[object]:
    """Answers while it is open. Refuses where it cannot listen, before this worker opens transactions, which would
    fence one of the same name that is at work.
    """
    where = settings.telemetry
    if not where.enabled:
        return nullcontext()
    token = None if where.token is None else where.token.get_secret_value()
    return closing(listen(where.address, where.port, pages(metrics, health), token))


@contextmanager
def _last_words(settings: Settings) -> Iterator[None]:
    """What ends the worker goes to the log too, where that is read by a machine; a person sees the command's words."""
    try:
        yield
    except Exception as error:
        if settings.log.format == "json":
            known = isinstance(error, Refusal)
            log(Event.FAILED, logging.ERROR, None if known else error, reason=str(error))
        raise


def _longest_turn(settings: Settings) -> float:
    """Seconds that the loop may take for one turn: longer, and the group counts the worker out."""
    milliseconds = settings.kafka.get("max.poll.interval.ms", MAX_POLL_INTERVAL)
    try:
        return float(str(milliseconds)) / 1000
    except ValueError:  # the client will say so
        return MAX_POLL_INTERVAL / 1000


def _consumer_options(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    session = int(settings.delivery.session_timeout.total_seconds() * 1000)
    membership: dict[str, Any] = {"group.id": settings.group, "session.timeout.ms": session}
    if settings.instance is not None:
        membership["group.instance.id"] = settings.instance
    return {"heartbeat.interval.ms": min(3_000, session // HEARTBEATS), **options, **membership}
