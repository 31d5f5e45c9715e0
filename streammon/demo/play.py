"""The whole performance: broker, worker and services in one process, and what came of it in one folder."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from streammon import report, telemetry
from streammon.adapters.codec import OutputT, from_bytes
from streammon.adapters.containers import SYNC_BYTES
from streammon.adapters.envelopes import Envelope, EnvelopeWriter
from streammon.adapters.files import OutputFile
from streammon.core.errors import Unreachable
from streammon.core.outputs import AlertEvent, MetricEvent
from streammon.demo.folder import ALERTS, EVENTS, JOURNAL, LOG, METRICS, REPORT, claimed
from streammon.demo.scenario import MINUTE, MODELS, REFERENCE_EVENTS, Scenario, prepare
from streammon.demo.scenario import settings as settings_in
from streammon.demo.screen import Screen, clock
from streammon.demo.service import Services
from streammon.demo.stage import Listener, Worker, venue, wait
from streammon.demo.verdict import Verdict, judge
from streammon.settings import Settings, kafka_options, plan
from streammon.simulate.stream import Chunk
from streammon.worker import Capability

IN_FLIGHT = 8_000  # events on their way, at most: the embedded broker keeps 5 MiB of a partition and drops the rest
LOOK_EVERY = 50  # events
BEHIND = 4 * MINUTE  # event time, by which the alerts that are read back may lag behind the worker's clock
FLUSH = 30.0  # seconds


@dataclass
class Performance:
    """What was seen on the topics."""

    scenario: Scenario
    out: Path
    events: int = 0
    seconds: float = 0.0  # from the first event to the last commit
    metrics: list[MetricEvent] = field(default_factory=list)
    alerts: list[AlertEvent] = field(default_factory=list)
    report: Path | None = None

    @property
    def windows(self) -> int:
        """Different ones: a window that is published twice counts once."""
        return len({event.event_id for event in self.metrics})

    @property
    def verdict(self) -> Verdict:
        return judge(self.scenario.incidents, self.alerts)

    @property
    def problem(self) -> str | None:
        """What is not as it should be, a sentence; None if all is."""
        published, expected = len(self.metrics), self.scenario.windows
        if not published == self.windows == expected:
            return f"{expected} windows closed, but {published} metric events of {self.windows} windows were published"
        return self.verdict.problem


def play(scenario: Scenario, out: Path, bootstrap: str | None, keep: bool, screen: Screen) -> Performance:
    """Raises what ends it early; Ctrl-C and SIGTERM leave in the folder what was there."""
    performance = Performance(scenario, out)
    with claimed(out), _logged(out / LOG), venue(bootstrap, screen.line) as place:
        screen.line(f"  {place.words}")
        screen.doing("training a model, building baselines")
        live = prepare(scenario, out)
        its = settings_in(out, place.overrides)
        screen.line(
            f"  baselines of {MODELS} models from {REFERENCE_EVENTS:,} predictions; now {scenario.events:,} more, "
            f"from {clock(scenario.start)} to {clock(scenario.finish)}"
        )
        try:
            _perform(performance, live, its, place.capability, keep, screen)
        except Exception:
            raise
        except BaseException:  # Ctrl-C, SIGTERM: what was there stays
            _save(performance, its)
            screen.line(f"  stopped after {performance.events:,} events; what there was so far is in {out}")
            raise
        screen.doing("writing the report")
        _save(performance, its)
        report.write(out, out / REPORT)
        performance.report = out / REPORT
    return performance


def _perform(
    performance: Performance,
    live: Iterator[Chunk],
    settings: Settings,
    capability: Capability,
    keep: bool,
    screen: Screen,
) -> None:
    """From the first event to the last alert that was read back."""
    topics, total = settings.topics, performance.scenario.events
    with ExitStack() as stage:
        recorders = []
        for topic, name in ((topics.events, EVENTS), (topics.journal, JOURNAL)) if keep else ():
            sync = blake2b(topic.encode(), digest_size=SYNC_BYTES).digest()
            writer = stage.enter_context(EnvelopeWriter(performance.out / name, sync))
            recorders.append(stage.enter_context(Listener(settings, topic, writer.write)))
        alerts = stage.enter_context(Listener(settings, topics.alerts, _into(performance.alerts, AlertEvent)))
        metrics = stage.enter_context(Listener(settings, topics.metrics, _into(performance.metrics, MetricEvent)))
        worker = stage.enter_context(Worker(settings, capability))
        services = stage.enter_context(Services(performance.scenario.models, topics.events, kafka_options(settings)))
        injections = deque(sorted(performance.scenario.incidents, key=lambda incident: incident.start))
        shown, started = 0, time.monotonic()

        def announce(moment: int) -> None:
            """What was injected up to a moment of event time."""
            while injections and injections[0].start <= moment:
                screen.incident(injections.popleft())

        def look() -> None:
            """What happened meanwhile, on the screen; a failure of another thread is raised here."""
            nonlocal shown
            worker.check()
            for listener in (alerts, metrics, *recorders):
                listener.check()
            now = max(worker.clock, performance.scenario.start)
            for alert in performance.alerts[shown:]:
                announce(alert.end - 1)
                screen.alert(alert)
                shown += 1
            announce(now - BEHIND)
            rate = performance.events / max(time.monotonic() - started, 1e-9)
            screen.status(now, performance.events, total, rate, performance.events - worker.done)

        def taken() -> int:
            """Events that the embedded broker need not keep any longer."""
            return min(worker.done, *(each.count for each in recorders[:1]), sys.maxsize)

        for chunk in live:
            for _ in services.serve(chunk):
                performance.events += 1
                if performance.events % LOOK_EVERY == 0:
                    look()
                    wait(taken, performance.events - IN_FLIGHT, "events that the worker has taken", look)
        if not services.flush(FLUSH) or services.dropped:
            raise Unreachable(f"events did not get to the broker: {services.dropped or 'it does not answer'}")
        wait(taken, total, "events that the worker has taken", look)
        worker.finish()
        performance.seconds = time.monotonic() - started
        wait(lambda: alerts.count, worker.alerts, "alert events", look)
        wait(lambda: metrics.count, worker.metrics, "metric events", look)
        if keep:
            wait(lambda: recorders[1].count, worker.journal, "journal entries", look)
        look()


def _into(found: list[OutputT], kind: type[OutputT]) -> Callable[[list[Envelope]], None]:
    return lambda batch: found.extend(from_bytes(kind, each.value) for each in batch if each.value is not None)


def _save(performance: Performance, settings: Settings) -> None:
    the_plan = plan(settings)
    hashes = {"streammon.plan": the_plan.hash, "streammon.policy": the_plan.policy.hash}
    with (
        OutputFile(performance.out / METRICS, MetricEvent, hashes) as metrics,
        OutputFile(performance.out / ALERTS, AlertEvent, hashes) as alerts,
    ):
        metrics.write(list(performance.metrics))
        alerts.write(list(performance.alerts))


@contextmanager
def _logged(path: Path) -> Iterator[None]:
    """What worker, SDK and client say goes to a file."""
    logger = telemetry.LOGGER
    before = logger.handlers, logger.level, logger.propagate
    with path.open("w", encoding="utf-8") as file:
        telemetry.set_up("console", "info", file)
        try:
            yield
        finally:
            logger.handlers, logger.level, logger.propagate = before
