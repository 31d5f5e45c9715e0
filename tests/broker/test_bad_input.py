"""One record in twenty is bad, in every way of the matrix, on a real broker: nothing is lost, nothing stops."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from streammon.cli import main
from streammon.core.errors import Code
from tests.bad_input.traffic import MAX_RECORD_BYTES, SHARE, Sent, hostile
from tests.broker.jvm_broker import Broker
from tests.broker.kafka_tools import read_all
from tests.conftest import Topics
from tests.faults import published, verdict
from tests.faults.line import Line, build_baselines, make_line
from tests.faults.scenario import await_caught_up
from tests.faults.workers import crew
from tests.oracle import files

SEED = 20261123
MODELS, PARTITIONS = 8, 4
PANE = 10_000_000  # microseconds: what the windows of 10 s and 30 s share
KEPT_BYTES = 256 * 1024  # of the value of a dead letter
REFUSED = {code.name for code in Code} - {"OK", "TOMBSTONE", "MISSING"}  # the canonical schema lets nothing be missing

pytestmark = [pytest.mark.broker, pytest.mark.slow]


@pytest.mark.timeout(240)
def test_bad_records_are_dead_letters_and_good_ones_count(
    broker: Broker, topics: Topics, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And `streammon dead-letters` finds them. `make faults` does the same with 100,000 records."""
    line = run(broker, topics, tmp_path, 5_000)

    def command(*words: object) -> Any:
        capsys.readouterr()
        assert main(["dead-letters", *map(str, words), "--config", str(line.config), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    stored = read_all(line.bootstrap, line.topic("dead_letters"))
    everything = command("list", "--from", "2020-01-01")
    assert sum(count["count"] for count in everything["counts"]) == len(everything["dead_letters"]) == len(stored)
    assert command("list", "--from", "2200-01-01") == {"dead_letters": [], "counts": []}
    last = command("list", "--last", 20)["dead_letters"]
    assert last == everything["dead_letters"][-20:]
    assert command("list", "--last", 3, "--code", "SCHEMA")["counts"] == [{"code": "SCHEMA", "field": None, "count": 3}]
    for letter in last[:3]:
        place = letter["stored"]["partition"], letter["stored"]["offset"]
        (value,) = [record.value for record in stored if (record.partition, record.offset) == place]
        by_source = command("show", letter["partition"], letter["offset"])
        assert value is not None
        assert by_source == command("show", "--stored", *place)
        assert by_source | {**letter, "value": value.hex()} == by_source


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_100_000_records(broker: Broker, topics: Topics, tmp_path: Path) -> None:
    run(broker, topics, tmp_path, 100_000)


def run(broker: Broker, topics: Topics, folder: Path, records: int) -> Line:
    """One worker, no restart; every output is the oracle's, every dead letter holds what was read."""
    baselines = build_baselines(folder / "baselines", (0, 1))
    limits = {"max_record_bytes": MAX_RECORD_BYTES}
    line = make_line(broker.bootstrap, topics.prefix, folder, partitions=PARTITIONS, baselines=baselines, input=limits)
    produce(line, list(hostile(records, models=MODELS, span=records / 300, seed=SEED)))
    with crew(line.config, folder / "logs") as workers:
        worker = workers.start(start="earliest")
        await_caught_up(line, worker)
        worker.terminate()
    expected, found = verdict.expect(line), published.read(line)
    verdict.none(verdict.differences(line, expected, found))
    codes = Counter(letter.code for letter in expected.dead_letters)
    print(f"{records:,} records: {dict(codes)}, {len(expected.late)} late, {len(expected.tombstones)} tombstones")
    assert codes.keys() == REFUSED
    assert 0.6 * SHARE * records < sum(codes.values()) < SHARE * records
    assert expected.late
    assert expected.tombstones
    letters_hold_what_was_read(line)
    late_records_hold_what_was_read(line, found)
    assert [len(worker.events(name)) for name in ("started", "stopped", "rebuilt", "commit_refused", "paused")] == [
        *(1, 1, 0, 0, 0),
    ]
    assert not worker.complaints()
    return line


def produce(line: Line, records: list[Sent]) -> None:
    """With their headers; by murmur2 of the key as Java clients do."""
    producer = Producer({"bootstrap.servers": line.bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
    failed: list[object] = []
    for record in records:
        while True:
            try:
                producer.produce(
                    line.topic("events"),
                    record.value,
                    record.key,
                    headers=list(record.headers),
                    on_delivery=lambda error, _: failed.append(error) if error is not None else None,
                )
                break
            except BufferError:
                producer.poll(0.1)
    assert producer.flush(60) == 0
    assert not failed, failed[0]


def letters_hold_what_was_read(line: Line) -> None:
    """Key, value and headers of the record at the position that each names; field and message where they belong."""
    read = {(record.partition, record.offset): record for record in read_all(line.bootstrap, line.topic("events"))}
    for letter in read_all(line.bootstrap, line.topic("dead_letters")):
        ours = {name: value or b"" for name, value in letter.headers if name.startswith(published.ERRORS)}
        said = {name.removeprefix(published.ERRORS): value.decode() for name, value in ours.items()}
        origin = read[int(said["partition"]), int(said["offset"])]
        assert origin.value is not None
        assert (letter.key, letter.value) == (origin.key, origin.value[:KEPT_BYTES])
        assert letter.headers[: len(origin.headers)] == origin.headers
        assert len(letter.headers) == len(origin.headers) + len(ours)
        assert said["first_seen"] == str(origin.timestamp_ms)
        assert said["bytes"] == str(len(origin.value))
        assert said["hash"] == blake2b(origin.value, digest_size=16).hexdigest()
        assert said["message"]
        whole = said["code"] in {"FRAMING", "SCHEMA", "TRAILING", "OVERSIZED"}
        assert ("field" in said) is not whole, said


def late_records_hold_what_was_read(line: Line, found: published.Published) -> None:
    """Key, value and headers of the record at the position that each names, its series, and the pane around its ts."""
    read = {(record.partition, record.offset): record for record in read_all(line.bootstrap, line.topic("events"))}
    for record, late in zip(read_all(line.bootstrap, line.topic("late")), found.late, strict=True):
        origin = read[late.partition, late.offset]
        assert (record.key, record.value) == (origin.key, origin.value)
        assert record.headers[: len(origin.headers)] == origin.headers
        event = files.decode(origin.value or b"")
        assert late.series == (event["model_id"], event["model_version"], event["lane"])
        assert late.pane[0] <= event["ts"] < late.pane[1] == late.pane[0] + PANE
