"""Identities: fixed values, computed here from the formula; they may never change."""

from __future__ import annotations

from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from streammon.core.outputs import Series, WindowSpec, alert_id, identity, metric_event_id

SERIES = Series("fraud", "3", "prod")
SPEC = WindowSpec(60_000_000, 30_000_000, -5)


def by_hand(*fields: str) -> str:
    data = b"".join(len(f.encode()).to_bytes(4, "big") + f.encode() for f in fields)
    return blake2b(data, digest_size=16).hexdigest()


def test_a_metric_event_has_the_identity_of_what_it_observed() -> None:
    expected = by_hand("metric", "events", "3", "fraud", "3", "prod", "60000000/30000000/-5", "-120000000", "0")
    assert metric_event_id("events", 3, SERIES, SPEC, -120_000_000, 0) == expected == "a3e881ba4f90fe16f66af8d67e8dadca"


def test_an_alert_has_the_identity_of_its_opening() -> None:
    expected = by_hand("alert", "events", "3", "fraud", "3", "prod", "drift", "âge", "60000000/30000000/-5", "60000000")
    assert (
        alert_id("events", 3, SERIES, "drift", "âge", SPEC, 60_000_000)
        == expected
        == "fc1b0ca99c7f2162857577be1caa2abf"
    )


def test_no_feature_is_an_empty_field() -> None:
    expected = by_hand("alert", "events", "3", "fraud", "3", "prod", "slow", "", "60000000/30000000/-5", "0")
    assert alert_id("events", 3, SERIES, "slow", None, SPEC, 0) == expected


def test_lengths_keep_fields_apart() -> None:
    assert identity("ab", "c") != identity("a", "bc")
    assert identity("", "a") != identity("a", "")
    assert identity("a") != identity("a", "")


@given(st.lists(st.one_of(st.text(), st.integers())))
def test_an_identity_is_the_hash_of_its_fields(fields: list[str | int]) -> None:
    assert identity(*fields) == by_hand(*map(str, fields))
