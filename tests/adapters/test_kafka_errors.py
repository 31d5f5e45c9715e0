"""What a client complains of while its broker is away."""

from __future__ import annotations

import subprocess
import sys

from confluent_kafka import KafkaError, KafkaException

from streammon.adapters.kafka.errors import Complaints
from tests.broker.jvm_broker import free_ports


def test_ctrl_c_is_not_lost_in_an_outage() -> None:
    """It rises as itself, though the client complains all the time, several times a second."""
    code = f"""
import subprocess
from streammon.adapters.kafka.errors import Complaints, connect
from confluent_kafka import Consumer, TopicPartition
options = {{"bootstrap.servers": "127.0.0.1:{free_ports(1)[0]}", "group.id": "g"}}
options |= {{"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 50}}
for tenths in range(1, 5):
    complaints = Complaints()
    consumer = connect(Consumer, {{**complaints.options, **options}})
    consumer.assign([TopicPartition("t", 0, 0)])
    subprocess.Popen(["sh", "-c", f"sleep 0.{{tenths}}; kill -INT $PPID"])
    try:
        while True:
            consumer.consume(100, 0.2)
    except KeyboardInterrupt:
        print(complaints.heard(lambda: None).name())
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.splitlines() == ["_TRANSPORT"] * 4


def test_the_latest_complaint_that_says_why() -> None:
    """Of those that the client calls back with, and of what the call itself raises."""
    complaints = Complaints()
    assert complaints.heard(lambda: None) is None
    hear = complaints.options["error_cb"]
    for code in (KafkaError._RESOLVE, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN):
        hear(KafkaError(code))
    latest = complaints.heard(lambda: None)
    assert latest is not None
    assert latest.code() == KafkaError._TRANSPORT

    def denied() -> None:
        raise KafkaException(KafkaError(KafkaError._AUTHENTICATION))

    latest = complaints.heard(denied)
    assert latest is not None
    assert latest.code() == KafkaError._AUTHENTICATION
