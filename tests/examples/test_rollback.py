"""The example of a bot that rolls back."""

from __future__ import annotations

import shlex
import signal
import subprocess

import pytest

from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import committed, eventually
from tests.conftest import Topics
from tests.examples.commands import BROKER, ROOT, command
from tests.sdk.published import alert, publish

HOSTILE = "x' $(reboot) `id`; --force"


@pytest.mark.broker
def test_the_bot_prints_a_command_for_each_alert_that_asks_for_it(broker: Broker, topics: Topics) -> None:
    """Once for each alert, quoted. Old alerts, other actions, later states, names that act on terminals: none."""
    topic, group = topics.create("alerts"), topics.name("bot")
    publish(broker.bootstrap, topic, [alert(0, alert_id="old")])
    words, variables = command("rollback.py", 0, {BROKER: f"{broker.bootstrap} --topic {topic}", "rollback-bot": group})
    with subprocess.Popen(
        words, env=variables, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            eventually(lambda: committed(broker.bootstrap, group, topic) == {0: 1}, "the bot is there")
            published = [
                alert(0),
                alert(0),
                alert(1, state="ONGOING"),
                alert(2, state="RESOLVED"),
                alert(0, alert_id="a2", action="page"),
                alert(0, alert_id="a3", model_id=HOSTILE),
                alert(0, alert_id="a4", model_id="\x1b[2J"),
                alert(0, alert_id="a5", model_id="digits-0"),
            ]
            publish(broker.bootstrap, topic, published)
            assert process.stdout is not None
            printed = [process.stdout.readline() for _ in range(4)]
            process.send_signal(signal.SIGINT)
            rest, told = process.communicate(timeout=10)
        finally:
            process.kill()
    assert (rest, told, process.returncode) == ("", "", 130)
    expected = ["deploy", "rollback", "--model=fraud", "--from-version=3", "--lane=canary"]
    assert shlex.split(printed[0]) == expected
    assert shlex.split(printed[1]) == [*expected[:2], f"--model={HOSTILE}", *expected[3:]]
    assert printed[2].isprintable() is False  # its line end
    assert printed[2].strip().isprintable()
    assert printed[2].startswith("# alert a4: ")
    assert shlex.split(printed[3])[2] == "--model=digits-0"
