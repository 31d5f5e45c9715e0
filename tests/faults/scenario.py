"""Workers that die one after the other while events keep coming, and the last one that brings everything to its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from tests.broker.kafka_tools import committed, end_offsets, eventually
from tests.faults.line import Line
from tests.faults.traffic import Feed
from tests.faults.workers import Crew, Death, Worker

CATCH_UP_SECONDS = 90.0
PARTS_PER_LIFE = 2


def live_and_die(line: Line, crew: Crew, feed: Feed, deaths: Sequence[tuple[Death, str | None]]) -> Worker:
    """One worker after the other, each with its death and its instance id (or None); returns the next one, ready.

    Of the part of the stream that belongs to a life, one half goes as soon as its predecessor is dead, one half when it is live: so
    events pile up meanwhile, and every worker has enough to do to come to the step that kills it.
    """
    lives = [crew.prepare(start="earliest", instance=instance, death=death) for death, instance in deaths[:1]]
    for number, (death, _) in enumerate(deaths):
        worker = lives[number]
        feed.release(PARTS_PER_LIFE * number + 1)
        worker.go()
        _, instance = deaths[min(number + 1, len(deaths) - 1)]
        next_death = deaths[number + 1][0] if number + 1 < len(deaths) else None
        lives.append(crew.prepare(start="earliest", instance=instance, death=next_death))
        if death.step is not None:
            worker.await_event("live")
            feed.release(PARTS_PER_LIFE * (number + 1))
        worker.await_death()
    return lives[-1]


def await_caught_up(line: Line, timeout: float = CATCH_UP_SECONDS) -> None:
    """Return once the group has committed the end of every partition. Nothing more may come meanwhile."""
    ends = end_offsets(line.bootstrap, line.topic("events"))
    seen: dict[int, int] = {}

    def caught_up() -> bool:
        seen.update(committed(line.bootstrap, line.group, line.topic("events")))
        return seen == ends

    try:
        eventually(caught_up, "", timeout, every=0.1)
    except AssertionError:
        raise AssertionError(f"not within {timeout:.0f} s: positions {seen} reach the ends {ends}") from None


def recoveries(workers: Iterable[Worker]) -> tuple[int, int]:
    """How many workers began from a snapshot of a stretch already read, and how many records were read again in all."""
    restored = [worker.events("restored") for worker in workers]
    from_snapshot = sum(any(event["snapshot_position"] > 0 and event["panes"] for event in events) for events in restored)
    again = sum(event["position"] - event["snapshot_position"] for events in restored for event in events)
    return from_snapshot, again
