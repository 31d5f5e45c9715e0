"""Fixtures for all tests: a real broker, and topics that no other test can see."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import settings

from tests.broker.jvm_broker import Broker, Unavailable, find_broker
from tests.broker.kafka_tools import create_topic, delete_topics

# The first example of a test may compile a kernel, so time says nothing; a failure prints how to run it again.
settings.register_profile("streammon", deadline=None, print_blob=True)
settings.load_profile("streammon")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files are shared out among processes, those that wait for brokers and workers go first.

    The many short ones behind them fill what is left, so that no process ends alone with a long file.
    """
    if hasattr(config, "workerinput"):  # a process of pytest-xdist
        waits = {item.path for item in items if item.get_closest_marker("broker")}
        items.sort(key=lambda item: item.path not in waits)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker that answers; `broker.bootstrap` is its address.

    Without one the test is skipped with the reasons, or fails if STREAMMON_REQUIRE_BROKER is 1.
    """
    try:
        found = find_broker(tmp_path_factory.mktemp("broker"))
    except Unavailable as problem:
        if os.environ.get("STREAMMON_REQUIRE_BROKER") == "1":
            pytest.fail(f"STREAMMON_REQUIRE_BROKER=1, but there is no broker: {problem}", pytrace=False)
        pytest.skip(f"no broker: {problem}")
    yield found
    found.close()


@pytest.fixture
def breakable_broker(broker: Broker) -> Iterator[Broker]:
    """The same broker, for a test that stops, kills or pauses it. It runs again when the test is over."""
    if not broker.breakable:
        pytest.skip("the broker of STREAMMON_TEST_BOOTSTRAP is not ours to break")
    yield broker
    broker.restore()


class Topics:
    """Names and topics of one test. Every name starts with `prefix`; what bears it is deleted after the test."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = f"t{uuid.uuid4().hex[:12]}."

    def name(self, name: str) -> str:
        """The full name of a topic, group or transactional id of this test; nothing is created."""
        return self.prefix + name

    def create(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Create a topic and return its full name."""
        create_topic(self.bootstrap, self.name(name), partitions, config)
        return self.name(name)


@pytest.fixture
def topics(broker: Broker) -> Iterator[Topics]:
    """Topics that only this test sees."""
    mine = Topics(broker.bootstrap)
    yield mine
    broker.restore()
    delete_topics(broker.bootstrap, mine.prefix)
