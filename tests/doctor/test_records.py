"""What is made of the newest records of the input."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from streammon.adapters.envelopes import CREATE_TIME, LOG_APPEND_TIME
from streammon.adapters.kafka.probe import Sample
from streammon.adapters.records import record_batch
from streammon.core.errors import Code
from streammon.core.ports import Origin
from streammon.doctor import records
from streammon.doctor.finding import Level

HASHES = {b"21": -973932308, b"foobar": -790332482, b"abc": 479470107}  # from UtilsTest of Kafka's own clients
KEYS = {key: (value & 0x7FFFFFFF) % 4 for key, value in HASHES.items()}


def sample(placed: list[tuple[bytes | None, int]], milliseconds: int = 0, kind: str = LOG_APPEND_TIME) -> Sample:
    """Records of these keys in these partitions, in the order of partitions."""
    placed = sorted(placed, key=lambda pair: pair[1])
    keys = [key for key, _ in placed]
    partition = np.array([number for _, number in placed], np.int64)
    zero = np.zeros(len(placed), np.int64)
    batch = record_batch([b""] * len(placed), keys, partition, zero, zero + milliseconds * 1000, lambda _: NOTHING)
    return Sample(batch, partition, tuple(keys), frozenset({kind}))


NOTHING = Origin(None, b"", ())


def test_keys_where_java_puts_them() -> None:
    """Known values of Kafka's own test of its hash."""
    found = records.of_partitioner(sample([*KEYS.items()]), 4)
    assert found.level is Level.OK
    assert "all 3 keys" in found.text


def test_keys_where_librdkafka_s_default_puts_them() -> None:
    """crc32 is told by its name, with what to set."""
    keys = [f"model-{number}".encode() for number in range(40)]
    found = records.of_partitioner(sample([(key, zlib.crc32(key) % 4) for key in keys]), 4)
    assert found.level is Level.WARN
    assert "consistent_random" in found.text
    assert "murmur2_random" in found.fixes[0]


def test_keys_that_producers_place_each_their_own_way() -> None:
    found = records.of_partitioner(sample([*[*KEYS.items()] * 3, (b"foobar", 1)]), 4)
    assert found.level is Level.WARN
    assert "90% of 10 records" in found.text


@pytest.mark.parametrize("placed, partitions", [([(None, 0), (None, 1)], 4), ([(b"21", 0)], 1)])
def test_where_no_partitioner_shows(placed: list[tuple[bytes | None, int]], partitions: int) -> None:
    assert records.of_partitioner(sample(placed), partitions).level is Level.UNKNOWN


@pytest.mark.parametrize(
    "kind, newest, level",
    [
        (LOG_APPEND_TIME, 1_000_000, Level.OK),
        (LOG_APPEND_TIME, 1_000_900, Level.OK),
        (LOG_APPEND_TIME, 1_003_000, Level.WARN),
        (CREATE_TIME, 1_003_000, Level.UNKNOWN),
    ],
)
def test_clocks_are_compared_where_the_broker_stamps(kind: str, newest: int, level: Level) -> None:
    """At 1,000 s of our clock. A record from the future shows that clocks differ; an old one shows nothing."""
    assert records.of_clock(sample([(b"k", 0)], newest, kind), 1_000.0).level is level


def test_the_first_of_each_kind_is_an_example() -> None:
    found = sample([(b"k", 0)] * 10)
    verdict = np.array([Code.OK] * 7 + [Code.RANGE, Code.RANGE, Code.TRUNCATED], np.uint8)
    said = list(records.of_verdicts(found, verdict, lambda value, code, timestamp: (None, f"<{code.name}>")))
    assert [each.level for each in said] == [Level.WARN, Level.WARN]
    assert said[0].text.startswith("1 of the newest 10 would be dead letters, TRUNCATED")
    assert said[1].text.startswith("2 of the newest 10 would be dead letters, RANGE")
    assert said[1].text.endswith(r"\x3cRANGE\x3e")  # texts from records are shown safely


def test_mostly_dead_letters_is_a_failure() -> None:
    verdict = np.array([Code.SCHEMA] * 6 + [Code.OK] * 4, np.uint8)
    (found,) = records.of_verdicts(sample([(b"k", 0)] * 10), verdict, lambda value, code, timestamp: (None, "x"))
    assert found.level is Level.FAIL
