"""Alert events as bytes on a topic, made with the oracle's encoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.broker.kafka_tools import produce
from tests.golden.oracle import single_object


def alert(number: int = 0, *, alert_id: str = "a1", state: str = "FIRING", **fields: Any) -> bytes:
    """The value of an alert event's record; `fields` by their names in the schema."""
    return single_object(
        "alert_event",
        {
            "alert_id": alert_id,
            "number": number,
            "state": state,
            "rule_id": "slow",
            "severity": "P1",
            "measurement": {"name": "latency.p95", "value": 42.5, "n": 900, "threshold": 35.0},
            "consecutive": 2,
            "opened_at": 1_714_564_860_000_000,
            "topic": "inference-events",
            "partition": 0,
            "model_id": "fraud",
            "model_version": "3",
            "lane": "canary",
            "window": {
                "size": 60_000_000,
                "slide": 60_000_000,
                "offset": 0,
                "start": 1_714_564_800_000_000,
                "end": 1_714_564_860_000_000,
            },
            "closing_position": 77,
            "plan_hash": "aaaa",
            "policy_hash": "bbbb",
            "evidence": [],
            "action": "rollback",
            "summary": "p95 42.5 ms > 35",
            **fields,
        },
    )


def publish(bootstrap: str, topic: str, values: Iterable[bytes | None], partition: int = 0) -> None:
    """Write values to one partition, and return once they are there."""
    produce(bootstrap, topic, [(partition, b"fraud", value, None) for value in values])
