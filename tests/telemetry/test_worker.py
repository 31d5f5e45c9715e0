"""What a worker on a real broker says about itself while partitions come, stand still and go."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streammon.adapters.kafka.producer import Record
from streammon.telemetry.logs import REPEAT_INTERVAL
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import committed, end_offsets, eventually, produce
from tests.conftest import Topics
from tests.faults.line import DELIVERY, Line, make_line, send
from tests.faults.scenario import await_caught_up
from tests.faults.traffic import inferences
from tests.faults.workers import Worker, crew

pytestmark = pytest.mark.broker

PARTITIONS = 2
TOKEN = "s3cret-token"
PASSWORD = "hunter2-password"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Five models in two partitions, 80 s of event time."""
    return inferences(2_000, models=5, partitions=PARTITIONS, span=80.0, seed=21)


@pytest.fixture
def line(broker: Broker, topics: Topics, tmp_path: Path) -> Iterator[Line]:
    """Its workers listen at any free port. They read little at a time and commit seldom: longer than LAG_INTERVAL lies
    between the first commit of a backlog and the next, so that the rest must show as lag.

    They have secrets, and the client says much of its configuration: nothing of them may stand in a log.
    """
    yield make_line(
        broker.bootstrap,
        topics.prefix,
        tmp_path,
        partitions=PARTITIONS,
        windows=["1d"],
        rules=[],
        delivery={**DELIVERY, "commit_interval": "3s", "max_batch": 50},
        telemetry={"port": 0, "token": TOKEN},
        kafka={
            "bootstrap.servers": broker.bootstrap,
            "sasl.username": "streammon",
            "sasl.password": PASSWORD,
            "debug": "conf,security,cgrp",
        },
        log={"format": "json", "level": "debug"},
    )
    logs = [path.read_text(errors="replace") for path in (tmp_path / "logs").iterdir()]
    assert any('"event": "client"' in text for text in logs)
    assert not [text for text in logs if TOKEN in text or PASSWORD in text]


class Endpoint:
    """The endpoint of a worker process, at the port that its log names."""

    def __init__(self, worker: Worker) -> None:
        worker.await_event("listening")
        (listening,) = worker.events("listening")
        self.port = int(listening["port"])

    def get(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
            response = connection.getresponse()
            body = response.read()
            assert PASSWORD.encode() not in body
            return response.status, body
        finally:
            connection.close()

    def missing(self) -> list[dict[str, Any]]:
        status, body = self.get("/ready")
        found: list[dict[str, Any]] = json.loads(body)["missing"]
        assert status == (503 if found else 200)
        return found

    def await_ready(self) -> None:
        eventually(lambda: not self.missing(), "the worker is ready", 90.0)

    def of_partitions(self, name: str) -> dict[int, float]:
        """The samples of a metric by partition; those of several reasons together."""
        found: dict[int, float] = {}
        for family in text_string_to_metric_families(self.get("/metrics")[1].decode()):
            for sample in family.samples:
                if sample.name == name:
                    number = int(sample.labels["partition"])
                    found[number] = found.get(number, 0.0) + sample.value
        return found

    def plain(self, name: str) -> float:
        families = text_string_to_metric_families(self.get("/metrics")[1].decode())
        return next(s.value for family in families for s in family.samples if s.name == name and not s.labels)

    @contextmanager
    def watched(self) -> Iterator[list[list[dict[str, Any]]]]:
        """What is missing in /ready, asked every few milliseconds meanwhile."""
        seen: list[list[dict[str, Any]]] = []
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.005):
                seen.append(self.missing())

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()


def test_lag_goes_to_zero_and_readiness_comes_with_the_partitions(
    line: Line, records: list[Record], tmp_path: Path
) -> None:
    """What was sent shows as lag, is worked off and counted; figures agree with what the broker has."""
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        endpoint = Endpoint(worker)
        assert [item["what"] for item in endpoint.missing()] == ["assignment"]
        assert endpoint.get("/live")[0] == 200
        endpoint.await_ready()
        assert endpoint.plain("streammon_partitions_assigned") == PARTITIONS
        send(line, records)
        eventually(lambda: sum(endpoint.of_partitions("streammon_lag_records").values()) > 0, "lag shows")
        await_caught_up(line, worker)
        eventually(
            lambda: endpoint.of_partitions("streammon_lag_records") == dict.fromkeys(range(PARTITIONS), 0.0),
            "lag is gone",
        )
        topic = line.topic("events")
        assert endpoint.of_partitions("streammon_position") == end_offsets(line.bootstrap, topic)
        assert endpoint.of_partitions("streammon_position") == committed(line.bootstrap, line.group, topic)
        counted = [
            sum(endpoint.of_partitions(f"streammon_{what}_total").values())
            for what in ("events", "late_events", "tombstones", "dead_letters")
        ]
        assert sum(counted) == len(records)
        assert counted[0] > 0.9 * len(records)
        assert 0 < counted[3] < 0.1 * len(records)
        assert sum(endpoint.of_partitions("streammon_series").values()) >= 5
        assert min(endpoint.of_partitions("streammon_state_bytes").values()) > 5_000
        assert all(0 < time.time() - ts < 600 for ts in endpoint.of_partitions("streammon_clock_seconds").values())
        assert endpoint.plain("streammon_commit_seconds_count") > 0
        assert endpoint.get("/nowhere")[0] == 404
        worker.terminate()
        said = [event["event"] for event in worker.events()]
        assert said[0] == "listening"
        assert said[-1] == "stopped"


def test_a_partition_that_goes_takes_its_series_and_readiness_with_it(
    line: Line, records: list[Record], tmp_path: Path
) -> None:
    """Another worker joins: unready until it is settled, the log says what went where, and each shows what it has."""
    send(line, records)
    topic = line.topic("events")
    with crew(line.config, tmp_path / "logs") as workers:
        first, second = workers.start(start="earliest"), workers.prepare()
        one = Endpoint(first)
        await_caught_up(line, first)
        one.await_ready()
        with one.watched() as seen:
            second.go()
            other = Endpoint(second)
            second.await_event("live")
            first.await_event("kept")
        assert ["assignment"] in [[item["what"] for item in missing] for missing in seen]
        one.await_ready()
        other.await_ready()
        shares = [set(endpoint.of_partitions("streammon_position")) for endpoint in (one, other)]
        assert [len(share) for share in shares] == [1, 1]
        assert shares[0] | shares[1] == set(range(PARTITIONS))
        for name in ("streammon_events_total", "streammon_dead_letters_total", "streammon_series"):
            assert set(one.of_partitions(name)) <= shares[0]
        assert other.plain("streammon_restoration_seconds_count") == 1
        ends = {str(number): end for number, end in end_offsets(line.bootstrap, topic).items()}
        (revoked,) = first.events("revoked")
        assert (revoked["topic"], revoked["partitions"], revoked["positions"]) == (topic, [0, 1], ends)
        (restored,) = second.events("restored")
        assert restored["topic"] == topic
        assert restored["position"] == ends[str(restored["partition"])]
        assert [event["partitions"] for event in first.events("assigned")] == [[0, 1], sorted(shares[0])]
        assert [event["partitions"] for event in second.events("assigned")] == [sorted(shares[1])]
        assert {event["partition"] for event in first.events("kept")} == shares[0]


def test_a_paused_partition_makes_the_worker_unready(line: Line, records: list[Record], tmp_path: Path) -> None:
    """Most of what came is undecodable: /ready says where and why; /live still says 200."""
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        endpoint = Endpoint(worker)
        endpoint.await_ready()
        send(line, records)
        produce(line.bootstrap, line.topic("events"), [(1, b"k", b"{}", None)] * 2_000)
        worker.await_event("paused")
        (paused,) = worker.events("paused")
        eventually(lambda: bool(endpoint.missing()), "the worker is unready")
        (missing,) = endpoint.missing()
        assert (missing["what"], missing["topic"], missing["partition"]) == ("paused", line.topic("events"), 1)
        assert missing["position"] == paused["position"]
        assert "FRAMING" in missing["reason"]
        produce(line.bootstrap, line.topic("events"), [(1, b"k", b"{}", None)] * 500)
        behind = end_offsets(line.bootstrap, line.topic("events"))[1] - paused["position"]
        eventually(
            lambda: endpoint.of_partitions("streammon_lag_records").get(1) == behind, "what comes later is lag too"
        )
        assert endpoint.plain("streammon_partitions_paused") == 1
        assert endpoint.plain("streammon_ready") == 0
        assert endpoint.get("/live")[0] == 200
        worker.terminate()


@pytest.mark.faults
def test_a_broker_that_is_away_does_not_fill_the_log(
    breakable_broker: Broker, line: Line, records: list[Record], tmp_path: Path
) -> None:
    """Until the session is over and some more: the worker is alive, then unready; ready again when the broker is back.

    The client tries to connect some 20 times a second: equal lines come once in REPEAT_INTERVAL.
    """
    line = line.with_settings("quiet", kafka={"bootstrap.servers": line.bootstrap})
    send(line, records)
    with crew(line.config, tmp_path / "logs") as workers:
        worker = workers.start(start="earliest")
        endpoint = Endpoint(worker)
        await_caught_up(line, worker)
        breakable_broker.kill()
        worker.await_event("lost")
        assert [item["what"] for item in endpoint.missing()] == ["assignment"]
        eventually(lambda: any("repeated" in said for said in worker.events("client")), "lines are left out", 60.0)
        assert endpoint.get("/live")[0] == 200
        breakable_broker.start()
        endpoint.await_ready()
        last: dict[str, datetime] = {}
        for said in worker.events("client"):
            text, at = re.sub(r"\d+", "0", said["message"]), datetime.fromisoformat(said["time"])
            assert text not in last or (at - last[text]).total_seconds() > REPEAT_INTERVAL - 0.1
            last[text] = at
        assert sum(said.get("repeated", 0) for said in worker.events("client")) > 20
        worker.terminate()


def test_a_port_in_use_ends_the_worker_before_it_joins(line: Line, tmp_path: Path) -> None:
    """Exit code 2, and what to do."""
    with crew(line.config, tmp_path / "logs") as workers:
        first = workers.start(start="earliest")
        port = Endpoint(first).port
        twin = line.with_settings("twin", telemetry={"port": port})
        second = workers.start(config=twin.config)
        assert second.exit_code() == 2
        (said,) = (line for line in second.complaints() if line.startswith("streammon: "))  # not the client's debug
        assert f"telemetry.port: another worker or program listens at 127.0.0.1 port {port}" in said
        assert [event["event"] for event in second.events()] == ["failed"]
        first.await_event("live", PARTITIONS)
        first.terminate()
