"""The partition of a key is the one that Java's client computes."""

from __future__ import annotations

import pytest

from streammon.simulate.partitioner import murmur2, partition_of

# From UtilsTest.testMurmur2 of Apache Kafka.
KAFKA_VECTORS = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", KAFKA_VECTORS)
def test_murmur2_gives_the_values_of_kafkas_own_test(key: bytes) -> None:
    """Keys of all lengths modulo 4, signed as in Java."""
    assert murmur2(key) == KAFKA_VECTORS[key]


@pytest.mark.parametrize("key", KAFKA_VECTORS)
def test_a_negative_hash_loses_its_sign_bit(key: bytes) -> None:
    """Kafka's toPositive clears the sign bit; an absolute value would choose another partition."""
    assert partition_of(key, 1_000_003) == (KAFKA_VECTORS[key] % 2**31) % 1_000_003


def test_one_partition_takes_everything() -> None:
    """Whatever the key."""
    assert {partition_of(f"digits-{number}".encode(), 1) for number in range(50)} == {0}
