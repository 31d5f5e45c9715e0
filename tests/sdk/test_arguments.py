"""Mistakes in the arguments of a producer are refused at once, in a sentence that says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from streammon.core.errors import UsageError
from streammon.sdk import EventProducer
from streammon.sdk.options import FIXED, RESERVED, client_options
from tests.sdk.reading import USER_KEY

GOOD: dict[str, Any] = {"bootstrap": "nobody.invalid:9092", "model_id": "m", "model_version": "1"}


@pytest.mark.parametrize(
    "mistake,message",
    [
        ({"bootstrap": ""}, "HOST:PORT"),
        ({"bootstrap": "host:port"}, "HOST:PORT"),
        ({"bootstrap": "a:1,,b:2"}, "HOST:PORT"),
        ({"bootstrap": None}, "HOST:PORT"),
        ({"model_id": ""}, "model_id"),
        ({"model_id": None}, "model_id"),
        ({"model_id": "*"}, "model_id"),
        ({"model_version": object()}, "model_version"),
        ({"lane": "*"}, "lane"),
        ({"git_commit": "x" * 2_000}, "git_commit"),
        ({"topic": ""}, "topic"),
        ({"labels_topic": "no topic"}, "labels_topic"),
        ({"user_key": "text of more than sixteen"}, "user_key"),
        ({"user_key": b"short"}, "user_key"),
        ({"mask": "features"}, "not one text"),
        ({"mask": ["model_id"]}, "model_id names nothing"),
        ({"mask": ["feature[1]"]}, "names nothing"),
        ({"mask": ["features[age]"]}, "feature_names"),
        ({"mask": ["features[-1]"]}, "names nothing"),
        ({"mask": ["features[2]"], "feature_names": ["a", "b"]}, "there are 2"),
        ({"mask": ["features[c]"], "feature_names": ["a", "b"]}, "none of feature_names"),
        ({"mask": ["categories[a]"], "feature_names": ["a"]}, "give a number"),
        ({"mask": [7]}, "names nothing"),
        ({"heavy_share": 1.5}, "heavy_share is 1.5"),
        ({"heavy_share": float("nan")}, "heavy_share"),
        ({"queue_size": 0}, "queue_size is 0"),
        ({"close_timeout": "5"}, "close_timeout"),
        ({"framing": "json"}, "framings are"),
        ({"framing": "confluent"}, "schema registry"),
        ({"framing": "confluent", "schema_id": -1}, "schema registry"),
        ({"schema_id": 5}, "framing='confluent'"),
        ({"kafka": {"linger": 5}}, "linger"),
        ({"kafka": {"socket.timeout.ms": "soon"}}, "socket.timeout.ms"),
        ({"kafka": {"message.timeout.ms": 0}}, "it must be 1 to 300000"),
        ({"kafka": {"message.max.bytes": "big"}}, "it must be"),
        ({"kafka": {"stats_cb": print}}, "reserved"),
        ({"kafka": {"oauth_cb": "no function"}}, "refuses"),
        ({"kafka": {"ssl.ca.location": "/nowhere", "security.protocol": "ssl"}}, "ssl.ca.location"),
    ],
)
def test_a_mistake_is_told(mistake: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        EventProducer(**GOOD | mistake)


@pytest.mark.parametrize("option", RESERVED)
def test_options_that_would_break_a_promise_are_reserved(option: str) -> None:
    with pytest.raises(UsageError, match="is reserved"):
        client_options("localhost", {option: 1})


def test_other_options_pass_through() -> None:
    """And the fixed ones stand."""
    options = client_options(
        "a:1, [::1]:2,ssl://c:3", {"linger.ms": 5, "client.id": "service", "socket.keepalive.enable": False}
    )
    assert options["client.id"] == "service"
    assert options["linger.ms"] == 5
    assert options["socket.keepalive.enable"] is False
    assert options.items() >= FIXED.items()
    assert FIXED["partitioner"] == "murmur2_random"


def test_a_secret_is_not_shown() -> None:
    """Not in what refuses a misspelt option."""
    with pytest.raises(UsageError) as refused:
        client_options("localhost", {"sasl.pasword": "hunter2"})
    assert "hunter2" not in str(refused.value)
    assert "sasl.pasword" in str(refused.value)


def test_good_arguments_are_taken() -> None:
    masks = ["embedding", "features[0]", "features[b]", "categories[3]"]
    EventProducer(**GOOD, user_key=USER_KEY, mask=masks, feature_names=["a", "b"], heavy_share=0.1).close()
