"""Workers that die one after the other while events keep coming, and the last one that brings everything to its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.broker.kafka_tools import committed, end_offsets, eventually
from tests.faults.line import Line
from tests.faults.traffic import Feed
from tests.faults.workers import Crew, Death, Worker

CATCH_UP_SECONDS = 90.0
BACKLOG = 2  # parts of the stream that may come while no worker is at work


def live_and_die(crew: Crew, feed: Feed, deaths: Sequence[tuple[Death, str | None]]) -> Worker:
    """One worker after the other, each with its death and instance id (or None); returns another, not yet told to go.

    A worker gets as much of the stream as it takes to come to the step that kills it; its successor is ready by then,
    and starts at once.
    """
    instances = [instance for _, instance in deaths]
    worker = crew.prepare(start="earliest", instance=instances[0], death=deaths[0][0])
    for number, (death, instance) in enumerate(deaths):
        feed.release(BACKLOG, f"{worker} is still to come")
        worker.go()
        following = deaths[number + 1] if number + 1 < len(deaths) else (None, instance)
        successor = crew.prepare(start="earliest", instance=following[1], death=following[0])
        if death.step is not None:
            worker.await_event("live")
            while not worker.ended_within(feed.seconds):
                feed.release(1, f"{worker} has not come to its death at {death}:\n{worker.tail()}")
        worker.await_death()
        worker = successor
    return worker


def await_caught_up(line: Line, *workers: Worker, timeout: float = CATCH_UP_SECONDS) -> None:
    """Return once the group has committed the end of every partition. Nothing more may come meanwhile.

    Fails at once if one of `workers` ends.
    """
    ends = end_offsets(line.bootstrap, line.topic("events"))
    seen: dict[int, int] = {}

    def caught_up() -> bool:
        for worker in workers:
            assert worker.process.poll() is None, f"{worker} ended:\n{worker.tail()}"
        seen.update(committed(line.bootstrap, line.group, line.topic("events")))
        return seen == ends

    eventually(caught_up, f"the group reaches the ends {ends}", timeout, every=0.1)


def recoveries(workers: Iterable[Worker]) -> tuple[int, int]:
    """How many workers began from a snapshot that held panes, and how many records were read again in all."""
    restored = [worker.events("restored") for worker in workers]
    from_snapshot = sum(any(event["panes"] > 0 for event in events) for events in restored)
    again = sum(event["position"] - event["snapshot_position"] for events in restored for event in events)
    return from_snapshot, again
