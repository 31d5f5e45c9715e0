"""What `log` is given, another reader gets back: every field, every type that services compute with."""

from __future__ import annotations

import array
import hashlib
import hmac
import http
import io
import json
import math
import struct
import time
import uuid
from enum import Enum
from typing import Any

import fastavro
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.core import events
from streammon.core.errors import Code
from streammon.sdk import Fields
from streammon.sdk.encoding import FIELDS, LABEL_FIELDS
from tests.adapters.avro_cases import batch
from tests.sdk.reading import SCHEMAS, USER_KEY, Service, read, written

NOTHING: dict[str, Any] = {
    **dict.fromkeys(("data_hash", "git_commit", "user_id_hash", "feature_hash", "latency_ms", "http_status")),
    **dict.fromkeys(("score", "prediction", "prediction_value", "weight", "embedding", "gauges")),
    "timed_out": False,
    "probs": [],
    "features": [],
    "categories": [],
}


def float32(values: list[float]) -> list[float]:
    return list(struct.unpack(f"<{len(values)}f", struct.pack(f"<{len(values)}f", *values)))


def test_the_fields_are_those_of_the_schemas() -> None:
    """The encoder writes them by position, so a change of a schema must be a change of the encoder."""
    for name, fields in {"inference_event": FIELDS, "inference_label": LABEL_FIELDS}.items():
        schema = json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))
        assert tuple(field["name"] for field in schema["fields"]) == fields


def test_what_is_not_given_is_not_recorded() -> None:
    """The rest is null or empty; ts is now, req_id drawn, the key the model, the record's time the call's."""
    service = Service()
    before = time.time_ns()
    assert service.events.log()
    after = time.time_ns()
    topic, record, timestamp = service.kept.records[0]
    found = read(record.value)
    assert (topic, record.key) == ("inference-events", b"fraud")
    assert before // 1000 <= found["ts"] <= after // 1000
    assert before // 1_000_000 <= timestamp <= after // 1_000_000
    assert len(bytes.fromhex(found["req_id"])) == 8
    who = {"model_id": "fraud", "model_version": "3", "lane": "prod"}
    assert found == NOTHING | who | {"ts": found["ts"], "req_id": found["req_id"]}
    assert service.event(None)["req_id"] != found["req_id"]


def test_every_field_survives() -> None:
    """With values at the edges of their types."""
    service = Service(git_commit="cafe", data_hash="d1", user_key=USER_KEY)
    given: dict[str, Any] = {
        "prediction": "größe\n\u2603" * 30,
        "prediction_value": -1e300,
        "score": 0.1,
        "probs": [0.25, 0.75],
        "features": [1.5, -0.0, 3e38],
        "categories": ["a", "", "ü" * 100],
        "embedding": [0.5] * 300,
        "latency_ms": 1e-9,
        "http_status": 503,
        "timed_out": True,
        "gauges": {"queue length": 3.0, "": 1.0},
        "ts": -(2**63),
        "model_id": "m" * 70,
        "model_version": "v",
        "lane": "canary",
        "git_commit": "beef",
        "data_hash": "d2",
    }
    found = service.event("é" * 64, **given, user_id="u")
    expected = given | {"req_id": "é" * 64, "weight": None}
    for name in ("features", "probs", "embedding"):
        expected[name] = float32(expected[name])
    expected["user_id_hash"] = hmac.new(USER_KEY, b"u", "sha256").hexdigest()[:32]
    expected["feature_hash"] = hashlib.blake2b(struct.pack("<3f", *given["features"]), digest_size=8).hexdigest()
    assert found == expected
    assert service.kept.records[-1][1].key == b"m" * 70
    assert service.event(ts=2**63 - 1, http_status=-(2**31))["ts"] == 2**63 - 1


NUMBERS = [1.5, -2.25, 0.0, 8.0]
ROWS: dict[str, Any] = {
    "tuple": tuple(NUMBERS),
    "array": array.array("d", NUMBERS),
    "float64": np.array(NUMBERS),
    "float16": np.array(NUMBERS, np.float16),
    "big-endian": np.array(NUMBERS, ">f4"),
    "every other": np.repeat(np.array(NUMBERS, np.float32), 2)[::2],
    "backwards": np.array(NUMBERS[::-1], np.float32)[::-1],
    "a batch of one": np.array([NUMBERS], np.float32),
    "a column": np.array(NUMBERS)[:, None],
    "objects": np.array([*NUMBERS], object),
    "scalars": [np.float32(value) for value in NUMBERS],
    "masked": np.ma.masked_equal(np.array(NUMBERS), 77),
    "series": pd.Series(NUMBERS),
    "tensor": torch.tensor(NUMBERS),
    "tensor64": torch.tensor(NUMBERS, dtype=torch.float64),
    "bfloat16": torch.tensor(NUMBERS, dtype=torch.bfloat16),
    "tensor with a gradient": torch.tensor(NUMBERS, requires_grad=True),
    "strided tensor": torch.tensor([NUMBERS, NUMBERS]).T[:, 0],
    "tensors": [torch.tensor(value) for value in NUMBERS],
}


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("field", ["features", "probs", "embedding"])
def test_rows_of_numbers_of_any_kind(kind: str, field: str) -> None:
    assert Service().event(**{field: ROWS[kind]})[field] == NUMBERS


def test_numbers_that_are_no_floats() -> None:
    """Whole numbers, truth values, missing ones, one alone, and those that float32 cannot hold."""
    service = Service()
    assert service.event(features=range(3))["features"] == [0, 1, 2]
    assert service.event(features=np.arange(3, dtype=np.uint8))["features"] == [0, 1, 2]
    assert service.event(features=torch.tensor([True, False]))["features"] == [1, 0]
    assert service.event(features=np.float64(2.5))["features"] == [2.5]
    assert service.event(features=torch.tensor(2.5))["features"] == [2.5]
    for huge in ([1e300, -1e300], np.array([1e300, -1e300]), torch.tensor([1e300, -1e300], dtype=torch.float64)):
        assert service.event(features=huge)["features"] == [math.inf, -math.inf]
    for missing in ([None, 1], np.array([np.nan, 1]), np.ma.masked_equal(np.array([7.0, 1]), 7), np.array([None, 1])):
        first, second = service.event(features=missing)["features"]
        assert math.isnan(first)
        assert second == 1
    assert service.event(features=[], embedding=np.array([]))["embedding"] == []


def test_a_service_may_use_its_buffers_again() -> None:
    """The event holds what was there at the call."""
    service = Service()
    buffer, tensor = np.ones(3, np.float32), torch.ones(3)
    service.events.log("a", features=buffer, embedding=tensor)
    buffer[:], tensor[:] = 7, 7
    found = read(service.kept.records[0][1].value)
    assert (found["features"], found["embedding"]) == ([1, 1, 1], [1, 1, 1])


class Animal(str, Enum):  # noqa: UP042  # as services wrote it before StrEnum; its str() is "Animal.CAT"
    CAT = "cat"


def test_texts_and_numbers_of_any_kind() -> None:
    """A class may be a number; a request id a UUID; numbers may come from numpy, torch and the standard library."""
    service = Service(model_version="1")
    identity = uuid.uuid4()
    assert service.event(identity)["req_id"] == str(identity)
    assert service.event(17)["req_id"] == "17"
    for three in (3, np.int64(3), torch.tensor(3), np.array([3])):
        assert service.event(prediction=three)["prediction"] == "3"
    for half in (np.float32(0.5), torch.tensor(0.5, requires_grad=True), np.array([0.5])):
        assert service.event(score=half)["score"] == 0.5
    assert service.event(score=1)["score"] == 1.0
    assert math.isnan(service.event(score=math.nan)["score"])
    assert service.event(http_status=http.HTTPStatus.BAD_GATEWAY)["http_status"] == 502
    assert service.event(http_status=np.int16(200), timed_out=np.bool_(True))["timed_out"] is True
    assert service.event(prediction=Animal.CAT)["prediction"] == "cat"
    assert service.event(categories=np.array(["a", "b"]))["categories"] == ["a", "b"]
    assert service.event(categories=pd.Series(["a", None]))["categories"] == ["a", ""]
    assert service.event(categories=("a", 5))["categories"] == ["a", "5"]


class Bomb:
    """Raises whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("secret")

    def __str__(self) -> str:
        raise RuntimeError("secret")

    __float__ = __index__ = __len__ = __iter__ = __str__


BAD: list[tuple[dict[str, Any], str]] = [
    ({"req_id": b"bytes"}, "req_id"),
    ({"req_id": "\ud800"}, "req_id"),
    ({"req_id": "x" * 16_385}, "req_id"),
    ({"score": "0.5"}, "score"),
    ({"score": 10**400}, "score"),
    ({"score": [0.5]}, "score"),
    ({"latency_ms": Bomb()}, "latency_ms"),
    ({"http_status": 200.0}, "http_status"),
    ({"http_status": 2**31}, "http_status"),
    ({"ts": 1.79e15}, "ts"),
    ({"ts": 2**63}, "ts"),
    ({"timed_out": "no"}, "timed_out"),
    ({"timed_out": 2}, "timed_out"),
    ({"model_id": ""}, "model_id"),
    ({"model_id": "*"}, "model_id"),
    ({"model_id": "__other__"}, "model_id"),
    ({"lane": "*"}, "lane"),
    ({"git_commit": "c" * 1025}, "git_commit"),
    ({"prediction": object()}, "prediction"),
    ({"prediction": Bomb()}, "prediction"),
    ({"features": "123"}, "features"),
    ({"features": b"123"}, "features"),
    ({"features": (value for value in [1.0])}, "features"),
    ({"features": [[1.0, 2.0]]}, "features"),
    ({"features": np.ones((2, 2))}, "features"),
    ({"features": torch.ones(2, 2)}, "features"),
    ({"features": np.array(["1"])}, "features"),
    ({"features": np.array([1 + 2j])}, "features"),
    ({"features": torch.tensor([1 + 2j])}, "features"),
    ({"features": np.array(["2026-01-01"], "M8[D]")}, "features"),
    ({"features": torch.ones(3, device="meta")}, "features"),
    ({"features": {1.0, 2.0}}, "features"),
    ({"embedding": Bomb()}, "embedding"),
    ({"categories": "abc"}, "categories"),
    ({"categories": [b"a"]}, "categories"),
    ({"gauges": [("a", 1.0)]}, "gauges"),
    ({"gauges": {"a": "1"}}, "gauges"),
    ({"nonsense": 1}, "nonsense"),
    ({"nonsense": None}, "nonsense"),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("given,field", BAD, ids=[f"{number}-{field}" for number, (_, field) in enumerate(BAD)])
def test_what_cannot_be_recorded_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    """Never raised, never guessed; the explanation names the field, and shows nothing of what was given."""
    reason, why = Service().refusal(**given)
    assert reason == "invalid"
    assert why is not None
    assert why.startswith(f"{field}: ")
    assert "secret" not in why


def test_what_is_too_large_is_refused_before_it_is_converted() -> None:
    """By the client's own limit for a record."""
    service = Service(kafka={"message.max.bytes": 10_000})
    for field, value in {
        "features": range(10**12),
        "embedding": np.zeros(2_501),
        "probs": torch.zeros(10**9, device="meta"),
        "categories": ["a"] * 2_501,
        "gauges": {str(number): 1.0 for number in range(1_001)},
    }.items():
        assert service.refusal(**{field: value}) == ("too_large", field)
    assert service.refusal(features=[0.0] * 2_000, embedding=[0.0] * 2_000)[0] == "too_large"
    assert service.event(features=[0.0] * 2_000)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
    | st.just(object()) | st.builds(Bomb) | st.just(np.array([])) | st.just(torch.tensor([1.0])) | st.just(len),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=5,
)  # fmt: skip
JUNK_SERVICE = Service(user_key=USER_KEY, mask=("features[1]", "categories[0]"), heavy_share=0.5)


@given(req_id=JUNK, fields=st.dictionaries(st.sampled_from([*Fields.__annotations__]) | st.text(), JUNK, max_size=6))
def test_whatever_is_given_is_either_an_event_or_a_refusal(req_id: Any, fields: dict[str, Any]) -> None:
    """Never an exception; and what is queued can be read."""
    fields.pop("req_id", None)
    fields.pop("self", None)
    JUNK_SERVICE.kept.records.clear()
    queued = JUNK_SERVICE.events.log(req_id, **fields)
    assert queued is bool(JUNK_SERVICE.kept.records)
    if queued:
        read(JUNK_SERVICE.kept.records[0][1].value)


def test_the_worker_reads_the_same() -> None:
    """Its own decoder, in both framings: every column as fastavro has it."""
    schema = json.loads((SCHEMAS / "inference_event.avsc").read_text(encoding="utf-8"))
    single = Service(user_key=USER_KEY)
    confluent = Service(user_key=USER_KEY, framing="confluent", schema_id=70_000)
    rng = np.random.default_rng(5)
    for service in (single, confluent):
        for number in range(50):
            size = int(rng.integers(0, 40))
            service.events.log(
                f"r{number}",
                features=rng.standard_normal(size).astype(np.float32),
                probs=rng.random(size // 2),
                embedding=None if number % 3 else rng.random(size),
                categories=["x" * number, "ü"],
                prediction=str(number) if number % 2 else None,
                score=rng.random(),
                user_id=f"u{number}",
                latency_ms=float(number),
                http_status=200,
                ts=1_790_000_000_000_000 + number,
                gauges={"g": 1.0},
            )
    values = [record.value for _, record, _ in single.kept.records]
    others = [record.value for _, record, _ in confluent.kept.records]
    assert {value[:5] for value in others} == {b"\x00\x00\x01\x11\x70"}
    for decoder, these in ((AvroDecoder([schema], "single_object"), values),
                           (AvroDecoder({"70000": schema}, "confluent"), others)):  # fmt: skip
        decoded = decoder.decode(batch(list(these)))
        assert set(decoded.code.tolist()) == {Code.OK}
        for row, value in enumerate(these):
            found = read(value, frame=value[:5] if these is others else None)
            for name in events.STRINGS:
                assert decoded.text(row, events.STRINGS.index(name)) == found[name]
            for name in events.LISTS:
                assert decoded.numbers(row, events.LISTS.index(name)).tolist() == (found[name] or [])
            for name in ("ts", "http_status", "timed_out"):
                assert decoded.ints[row, events.INTS.index(name)] == found[name]
            for name in ("latency_ms", "score"):
                assert decoded.floats[row, events.FLOATS.index(name)] == found[name]


def test_the_bytes_are_those_of_fastavro() -> None:
    """There is one way to write an event: what is read back and written again is the same."""
    service = Service()
    found = service.event(features=[1.0] * 200, gauges={"a": 1.0}, categories=["x"] * 70, score=0.5)
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, written("inference_event")[0], found)
    assert service.kept.records[0][1].value[10:] == stream.getvalue()


# -- what never leaves the process -------------------------------------------------------------------------------------


def test_masks() -> None:
    """Whole fields are not recorded, single features are missing, single categories empty; the rest is untouched."""
    service = Service(
        mask=["embedding", "score", "user_id", "features[1]", "features[age]", "categories[0]", "git_commit"],
        feature_names=["a", "b", "age"],
        user_key=USER_KEY,
        git_commit="cafe",
    )
    found = service.event(
        features=[1, 2, 3], categories=["x", "y"], embedding=[1.0], score=object(), user_id="u", probs=[1.0], lane="b"
    )
    assert found["features"][0] == 1
    assert [math.isnan(value) for value in found["features"]] == [False, True, True]
    assert found["categories"] == ["", "y"]
    assert [found[name] for name in ("embedding", "score", "user_id_hash", "git_commit")] == [None] * 4
    assert (found["probs"], found["lane"]) == ([1.0], "b")
    assert service.event(features=[1])["features"] == [1]


def test_a_mask_does_not_leak_through_the_hash() -> None:
    """The hash is of what is sent: equal where only masked features differ; none where all are masked."""
    service = Service(mask=["features[1]"])
    first, second, other = ([1.0, 5.0], [1.0, 6.0], [2.0, 5.0])
    hashes = [service.event(features=values)["feature_hash"] for values in (first, second, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert Service(mask=["features"]).event(features=first)["feature_hash"] is None
    hashless = Service(mask=["feature_hash"]).event(features=first)
    assert (hashless["feature_hash"], hashless["features"]) == (None, first)


def test_user_ids_are_hashed_or_dropped() -> None:
    """No event ever holds one."""
    with_key, without = Service(user_key=USER_KEY), Service()
    hashes = {with_key.event(user_id=user)["user_id_hash"] for user in ("alice", "alice", "bob")}
    assert len(hashes) == 2
    assert without.event(user_id="alice")["user_id_hash"] is None
    for service in (with_key, without):
        assert not any(b"alice" in record.value for _, record, _ in service.kept.records)


def test_heavy_fields_of_a_share_of_the_requests() -> None:
    """Chosen by the request's id alone: the same everywhere. All events are there, with their hash and the rest."""
    service, kept = Service(heavy_share=0.25), []
    for number in range(500):
        found = service.event(f"r{number}", features=[1.0], embedding=[2.0], probs=[0.5])
        assert found["probs"] == [0.5]
        assert found["feature_hash"] is not None
        assert (found["features"], found["embedding"]) in (([1.0], [2.0]), ([], None))
        kept.append(bool(found["features"]))
    assert kept == [
        int.from_bytes(hashlib.blake2b(f"r{number}".encode(), digest_size=8).digest(), "big") < 2**62
        for number in range(500)
    ]
    assert abs(sum(kept) - 125) < 4 * math.sqrt(500 * 0.25 * 0.75)
    assert Service(heavy_share=0).event(features=[1.0])["features"] == []


# -- labels ------------------------------------------------------------------------------------------------------------


def test_labels() -> None:
    """Text is a class, a float a value, a whole number both; to a topic of their own, keyed by the model."""
    service = Service(labels_topic="truth")
    cases: dict[Any, tuple[str | None, float | None]] = {
        "cat": ("cat", None), 0.5: (None, 0.5), 7: ("7", 7.0), np.int64(8): ("8", 8.0), np.float32(0.5): (None, 0.5),
    }  # fmt: skip
    for label, expected in cases.items():
        assert service.events.log_label("r1", label, ts=5)
        topic, record, _ = service.kept.records[-1]
        found = read(record.value, "inference_label")
        assert (topic, record.key) == ("truth", b"fraud")
        assert found == {"ts": 5, "req_id": "r1", "model_id": "fraud", "label": expected[0], "label_value": expected[1]}
    assert service.events.log_label("r1", "cat", model_id="other")
    assert service.kept.records[-1][1].key == b"other"
    assert abs(read(service.kept.records[-1][1].value, "inference_label")["ts"] - time.time() * 1e6) < 60e6
    for bad in (None, Bomb(), b"cat", "\ud800", [1]):
        assert not service.events.log_label("r1", bad)
        assert service.kept.dropped[-1][0] == "invalid"
    assert not service.events.log_label(None, "cat")


def test_labels_in_confluent_framing_need_their_own_id() -> None:
    """Without one they are refused, and counted: an id must not be guessed."""
    without = Service(framing="confluent", schema_id=1)
    assert not without.events.log_label("r1", "cat")
    assert "label_schema_id" in str(without.kept.dropped)
    service = Service(framing="confluent", schema_id=1, label_schema_id=2)
    assert service.events.log_label("r1", "cat")
    value = service.kept.records[0][1].value
    assert read(value, "inference_label", frame=b"\x00\x00\x00\x00\x02")["label"] == "cat"
