"""What `docker compose up` runs, run outside containers: the services tell the story that the file promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import eventually
from tests.conftest import Topics
from tests.containers.compose import Service, services
from tests.containers.outside import Container, make_folder, up

TOPICS = ("events", "metrics", "alerts", "dead_letters", "journal", "changelog")
# A tenth of the events tells it too, and nobody waits for it.
SHORTER = {"--events 60000": "--events 20000", "--events 200000": "--events 80000", "--pace 5000": ""}
RULES = {"feature-drift", "class-mix", "slow"}  # one for each kind of drift that the simulator service has


def shortened(service: Service) -> Service:
    text = " ".join(service.command)
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return replace(service, command=text.split())


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Iterator[dict[str, list[Container]]]:
    """All services, started in the file's order."""
    every = {name: shortened(service) for name, service in services().items()}
    user = every["worker"].user
    make_folder(tmp_path, ["streammon-data"], user)
    names = {f"STREAMMON_TOPICS__{name.upper()}": topics.name(name) for name in TOPICS}
    environment = names | {"STREAMMON_GROUP": topics.name("group")}
    running: list[Container] = []

    def start(service: Service) -> Container:
        running.append(Container(service, tmp_path, broker.bootstrap, environment))
        return running[-1]

    try:
        yield up(every, start)
    finally:
        for container in running:
            container.kill()


@pytest.mark.broker
@pytest.mark.slow
def test_the_alerts_name_what_drifted_and_nothing_else(line: dict[str, list[Container]]) -> None:
    """Every kind of drift raises its rule, in its lane only; both workers end in order when they are told to."""
    (alerts,), (simulator,) = line["alerts"], line["simulator"]

    def fired() -> set[str]:
        return set(re.findall(r" FIRING +P\d ([\w-]+):", alerts.said()))

    eventually(simulator.completed, "the simulator has sent everything", 60)
    eventually(lambda: fired() >= RULES, f"the rules {RULES} fire", 60)
    assert len(line["worker"]) == 2
    assert [worker.stop() for worker in line["worker"]] == [0, 0], [worker.said() for worker in line["worker"]]
    assert fired() == RULES
    for shown in alerts.said().splitlines():
        assert " digits-0/v1/canary " in shown
    assert alerts.stop() == 143
    assert "Traceback" not in "".join(container.said() for every in line.values() for container in every)
