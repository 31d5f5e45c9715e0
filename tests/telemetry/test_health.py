"""Alive and ready, hook by hook."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streammon.adapters.memory import MemoryStateStore
from streammon.core.ports import CommitRefusedError, OutcomeUnknownError, Outputs, Restored
from streammon.telemetry import Health
from streammon.telemetry.health import Phase
from tests.laws.harness import Line
from tests.oracle.streams import random_stream
from tests.telemetry.samples import TOPIC, Clock, restored


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(TOPIC, 30.0, clock)


def missing(health: Health) -> list[tuple[str, int | None]]:
    """What is missing, and of which partition."""
    found = health.readiness()
    assert found["ready"] == (not found["missing"]) == health.is_ready()
    assert all(item["reason"] for item in found["missing"])
    return [(item["what"], item.get("partition")) for item in found["missing"]]


def test_it_is_alive_while_the_loop_turns(health: Health, clock: Clock) -> None:
    """Within the limit since the last turn; another one brings it back."""
    clock.seconds += 30.0
    assert health.liveness()["live"]
    clock.seconds += 0.1
    assert health.liveness() == {
        "live": False,
        "seconds_since_turn": 30.1,
        "limit": 30.0,
        "reason": "the loop does not turn: the group counts it out",
    }
    assert missing(health) == [("turn", None), ("assignment", None)]
    health.turned()
    assert health.liveness() == {"live": True, "seconds_since_turn": 0.0, "limit": 30.0}


def test_a_worker_that_waits_for_its_state_is_alive(
    health: Health, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An open transaction can hold a recovery up for as long as it may last; the group is polled meanwhile."""
    lived: list[bool] = []
    load = MemoryStateStore.load

    def slowly(store: MemoryStateStore, partition: int, heartbeat: Callable[[], None]) -> Restored:
        for _ in range(3):
            clock.seconds += 25.0
            lived.append(health.is_live())
            heartbeat()
        return load(store, partition, heartbeat)

    monkeypatch.setattr(MemoryStateStore, "load", slowly)
    Line(random_stream(0, 60), observer=health).run()
    assert len(lived) == 6
    assert all(lived)


@pytest.mark.parametrize("sign", ["restored", "live", "committed", "commit_refused"])
def test_a_long_restoration_or_commit_shows_signs_of_life(sign: str, health: Health, clock: Clock) -> None:
    clock.seconds += 29.0
    health.assigned([0])
    clock.seconds += 29.0
    {
        "restored": lambda: health.restored(0, restored(1), 2, 1.0),
        "live": lambda: health.live(0, 2),
        "committed": lambda: health.committed(Outputs(), 1.0),
        "commit_refused": lambda: health.commit_refused(CommitRefusedError("x")),
    }[sign]()
    clock.seconds += 29.0
    assert health.is_live()


def test_it_is_ready_when_all_partitions_are_live(health: Health) -> None:
    assert missing(health) == [("assignment", None)]
    health.assigned([0, 1])
    assert missing(health) == [("restoring", 0), ("restoring", 1)]
    health.restored(0, restored(5), 7, 0.1)
    assert health.readiness()["missing"][0] == {
        "what": "restoring",
        "topic": TOPIC,
        "partition": 0,
        "position": 7,
        "reason": "its state is read back, and the log up to the last commit",
    }
    health.live(0, 7)
    assert missing(health) == [("restoring", 1)]
    health.kept(1, 3)
    assert missing(health) == []


def test_a_worker_for_which_the_group_has_no_partition_is_ready(health: Health) -> None:
    health.assigned([])
    assert missing(health) == []


def test_a_paused_partition_makes_it_unready_until_it_is_assigned_anew(health: Health) -> None:
    health.assigned([0, 1])
    health.live(0, 0)
    health.live(1, 0)
    health.paused(1, 812, "most records are undecodable")
    assert missing(health) == [("paused", 1)]
    assert health.readiness()["missing"][0]["reason"] == "most records are undecodable"
    assert health.readiness()["missing"][0]["position"] == 812
    health.committed(Outputs(positions={0: 900, 1: 812}), 0.1)
    assert missing(health) == [("paused", 1)]
    assert (health.count(*Phase), health.count(Phase.LIVE), health.count(Phase.PAUSED)) == (2, 1, 1)
    health.revoked([0, 1])
    health.assigned([1])
    health.live(1, 812)
    assert missing(health) == []


def test_a_refused_commit_makes_it_unready_until_one_goes_through(health: Health) -> None:
    health.assigned([0])
    health.live(0, 0)
    health.commit_refused(CommitRefusedError("REBALANCE_IN_PROGRESS"))
    assert missing(health) == [("commit", None)]
    assert "REBALANCE_IN_PROGRESS" in health.readiness()["missing"][0]["reason"]
    health.committed(Outputs(positions={0: 1}), 0.1)
    assert missing(health) == []


def test_what_was_refused_before_an_assignment_is_forgotten_with_it(health: Health) -> None:
    """The farewell commit of a revocation may be refused; its outputs are dropped, so no later commit sends them."""
    health.assigned([0])
    health.revoked([0])
    health.commit_refused(CommitRefusedError("x"))
    health.assigned([0])
    health.live(0, 0)
    assert missing(health) == []


@pytest.mark.parametrize("end", ["revoked", "lost", "rebuilt"])
def test_it_is_unready_without_its_partitions(end: str, health: Health) -> None:
    health.assigned([0])
    health.live(0, 0)
    {
        "revoked": lambda: health.revoked([0]),
        "lost": lambda: health.lost([0]),
        "rebuilt": lambda: health.rebuilt(OutcomeUnknownError("x")),
    }[end]()
    assert missing(health) == [("assignment", None)]
    assert health.count(*Phase) == 0
