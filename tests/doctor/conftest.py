"""A broker with an authorizer, and settings for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.broker.jvm_broker import JvmBroker, Unavailable
from tests.commands.conftest import command
from tests.conftest import Topics

__all__ = ["command", "guarded", "place"]

USER, PASSWORD = "worker", "a-secret-word"
ROLES = ("events", "metrics", "alerts", "dead_letters", "late", "journal", "changelog")


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JvmBroker]:
    """At `guarded.guarded`, user `worker` may do what ACLs allow; at `guarded.bootstrap` everybody may do all."""
    try:
        broker = JvmBroker(tmp_path_factory.mktemp("guarded"), users={USER: PASSWORD})
        broker.start()
    except Unavailable as problem:
        if os.environ.get("STREAMMON_REQUIRE_BROKER") == "1":
            pytest.fail(f"STREAMMON_REQUIRE_BROKER=1, but there is no broker: {problem}", pytrace=False)
        pytest.skip(f"no broker with an authorizer: {problem}")
    yield broker
    broker.close()


class Place(NamedTuple):
    """Topics and group of one test, and two files of settings for them."""

    topics: Topics
    config: Path  # as user `worker`
    open: Path  # as one who may do everything


@pytest.fixture
def place(guarded: JvmBroker, tmp_path: Path) -> Place:
    topics = Topics(guarded.bootstrap)
    config, everything = tmp_path / "worker.yaml", tmp_path / "open.yaml"
    everything.write_text(f"{settings_of(topics)}kafka:\n  bootstrap.servers: {guarded.bootstrap}\n", encoding="utf-8")
    login = f"  sasl.mechanism: PLAIN\n  sasl.username: {USER}\n  sasl.password: {PASSWORD}\n"
    config.write_text(
        f"{settings_of(topics)}kafka:\n  bootstrap.servers: {guarded.guarded}\n"
        f"  security.protocol: sasl_plaintext\n{login}",
        encoding="utf-8",
    )
    return Place(topics, config, everything)


def settings_of(topics: Topics) -> str:
    names = "".join(f"  {role}: {topics.name(role)}\n" for role in ROLES)
    quick = "delivery:\n  session_timeout: 6s\n  transaction_timeout: 5s\n"
    return f"group: {topics.name('group')}\ntopics:\n{names}{quick}telemetry:\n  enabled: false\n"
