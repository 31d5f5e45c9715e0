"""What a service says about one request, to the bytes of one record: the canonical schema, field by field.

The caller's thread does it, at once: a copy of what it gives has to be made anyway, and the bytes are that copy. (An
encoder that walks dicts takes several times as long, and holds the interpreter's lock meanwhile, in whatever thread.)
A template has the piece of each field that is not given, so that only those that are given cost anything.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from math import isnan
from struct import pack as packed
from typing import Any, NamedTuple, TypedDict

from streammon.adapters.schema_files import MARKER, load_schema
from streammon.adapters.varint import varint
from streammon.core.errors import UsageError
from streammon.sdk import pack
from streammon.sdk.arrays import TooLong, float32_bytes
from streammon.sdk.masks import Masks

FIELDS = (
    *("ts", "req_id", "model_id", "model_version", "lane", "data_hash", "git_commit", "user_id_hash", "feature_hash"),
    *("latency_ms", "http_status", "timed_out", "score", "prediction", "prediction_value", "weight"),
    *("probs", "features", "categories", "embedding", "gauges"),
)  # of the schema, in its order
LABEL_FIELDS = ("ts", "req_id", "model_id", "label", "label_value")

SERIES = ("model_id", "model_version", "lane")
USER_DIGITS = 32  # of the keyed hash of a user id
ENVELOPE_BYTES = 512  # of a record, beside key and value, at most

_PLACE = {name: place for place, name in enumerate(FIELDS, 1)}  # of a field's piece; piece 0 is the frame
_REQ_ID, _TS, _FEATURE_HASH = _PLACE["req_id"], _PLACE["ts"], _PLACE["feature_hash"]
_FEATURES, _EMBEDDING = _PLACE["features"], _PLACE["embedding"]
_NAN = packed("<f", float("nan"))
_ALL = 2**64  # hashes that there are
_HASH_HEAD = pack.PRESENT + pack.count(16)


class Fields(TypedDict, total=False):
    """What may be said about a request. None is the same as not given."""

    prediction: Any  # class: text, or a number as text
    prediction_value: Any  # number, in the target's unit
    score: Any  # of the positive or the predicted class, 0 to 1
    probs: Any  # of each class in the model's order
    features: Any  # numbers in the model's order; None and NaN are missing values
    categories: Any  # texts in the model's order; None is a missing value
    embedding: Any  # numbers
    latency_ms: Any  # from request to answer
    http_status: Any  # 100 to 599
    timed_out: Any  # whether the request ran into its time limit
    user_id: Any  # is hashed under user_key, or dropped
    gauges: Any  # mapping of names to numbers
    ts: Any  # when the prediction was made, a whole number of microseconds since the epoch; now, if not given
    model_id: Any  # these five: instead of the producer's own
    model_version: Any
    lane: Any
    git_commit: Any
    data_hash: Any


class CallFields(Fields, total=False):
    """What may be said about a request while it runs."""

    req_id: Any  # text, a number or a UUID; drawn at random, if not given


class Record(NamedTuple):
    """Key and value."""

    key: bytes
    value: bytes


class Refused(Exception):
    """What was given makes no record. `reason`: invalid or too_large; `where`: never any of what was given."""

    def __init__(self, reason: str, where: str) -> None:
        super().__init__(reason, where)
        self.reason, self.where = reason, where


class Encoder:
    """Encodes the events of one producer. `defaults`: model_id, model_version, lane, git_commit, data_hash."""

    def __init__(
        self,
        defaults: Mapping[str, str | None],
        *,
        user_key: bytes | None,
        masks: Masks,
        heavy_share: float,
        frame: bytes,
        max_bytes: int,
    ) -> None:
        self._user_key, self._masks, self._max_bytes = user_key or b"", masks, max_bytes
        self._most = max_bytes // 4  # numbers of a list
        self._kept_below = round(heavy_share * _ALL)
        self._is_hashed = not masks.whole & {"features", "feature_hash"}
        packers: dict[str, Callable[[Any], bytes]] = {
            "prediction": pack.nullable_text,
            "prediction_value": pack.nullable_double,
            "score": pack.nullable_double,
            "probs": self._floats,
            "features": self._features,
            "categories": self._categories,
            "embedding": self._nullable_floats,
            "latency_ms": pack.nullable_double,
            "http_status": pack.nullable_int,
            "timed_out": pack.boolean,
            "user_id": self._user,
            "gauges": pack.nullable_doubles,
            "ts": pack.long,
            "model_id": pack.model,
            "model_version": pack.part,
            "lane": pack.part,
            "git_commit": pack.nullable_hash,
            "data_hash": pack.nullable_hash,
        }
        self._template = [frame, *[pack.ABSENT] * len(FIELDS)]
        self._template[_FEATURES] = b""  # its numbers alone, until the event is finished
        unsaid = masks.whole if user_key is not None else masks.whole | {"user_id"}
        for name, value in defaults.items():
            try:
                if name not in unsaid and (value is not None or name in SERIES):
                    self._template[_PLACE[name]] = packers[name](value)
            except (TypeError, ValueError) as problem:
                raise UsageError(f"{name}: {problem}") from None
        self._key = pack.text(defaults["model_id"])
        self._packers = {
            name: None if name in unsaid else (_PLACE["user_id_hash" if name == "user_id" else name], packer)
            for name, packer in packers.items()
        }

    def event(self, req_id: Any, fields: Mapping[str, Any], now: int) -> Record:
        """The record of one request at the time `now` (microseconds). Raises Refused and nothing else."""
        pieces, key, name = self._template.copy(), self._key, "req_id"
        try:
            request = os.urandom(8).hex().encode() if req_id is None else pack.text(req_id)
            pieces[_REQ_ID] = pack.string(request)
            pieces[_TS] = varint(now)
            for name, value in fields.items():
                if name not in self._packers:
                    raise Refused("invalid", f"{name}: there is no such field")
                if value is not None and (packer := self._packers[name]) is not None:
                    pieces[packer[0]] = packer[1](value)
            if fields.get("model_id") is not None:
                key = pack.text(fields["model_id"])
        except Refused:
            raise
        except TooLong:
            raise Refused("too_large", name) from None
        except Exception as problem:  # whatever the service's own objects raise
            raise Refused("invalid", f"{name}: {type(problem).__name__}") from None
        self._finish(pieces, request)
        value = b"".join(pieces)
        if len(key) + len(value) + ENVELOPE_BYTES > self._max_bytes:
            raise Refused("too_large", f"{len(value)} bytes")
        return Record(key, value)

    def _finish(self, pieces: list[bytes], request: bytes) -> None:
        """Hash the features; the heavy fields become what is sent of them."""
        numbers = pieces[_FEATURES]
        if numbers and self._is_hashed:
            pieces[_FEATURE_HASH] = _HASH_HEAD + blake2b(numbers, digest_size=8).hexdigest().encode()
        if self._kept_below < _ALL and not self._is_kept(request):
            numbers, pieces[_EMBEDDING] = b"", pack.ABSENT
        pieces[_FEATURES] = pack.floats(numbers)

    def _is_kept(self, request: bytes) -> bool:
        return int.from_bytes(blake2b(request, digest_size=8).digest()) < self._kept_below

    def _floats(self, value: Any) -> bytes:
        return pack.floats(float32_bytes(value, self._most))

    def _nullable_floats(self, value: Any) -> bytes:
        return pack.PRESENT + self._floats(value)

    def _features(self, value: Any) -> bytes:
        numbers = float32_bytes(value, self._most)
        for at in self._masks.features:
            if 4 * at < len(numbers):
                numbers = numbers[: 4 * at] + _NAN + numbers[4 * at + 4 :]
        return numbers

    def _categories(self, value: Any) -> bytes:
        items = value.tolist() if hasattr(value, "tolist") else value  # numpy, pandas
        if not isinstance(items, (list, tuple)):
            raise TypeError
        if len(items) > self._most:
            raise TooLong
        texts = [b"" if _is_missing(item) else pack.text(item) for item in items]
        for at in self._masks.categories:
            if at < len(texts):
                texts[at] = b""
        return pack.count(len(texts)) + b"".join(map(pack.string, texts)) + pack.ABSENT if texts else pack.ABSENT

    def _user(self, value: Any) -> bytes:
        digest = hmac.digest(self._user_key, pack.text(value), "sha256")
        return pack.PRESENT + pack.string(digest.hex()[:USER_DIGITS].encode())


def _is_missing(category: Any) -> bool:
    return category is None or (isinstance(category, float) and isnan(category))  # pandas has NaN for it


def label_record(frame: bytes, req_id: Any, model_id: Any, label: Any, ts: Any) -> Record:
    """The record of one label. Raises Refused and nothing else."""
    name = "req_id"
    try:
        request = pack.string(pack.text(req_id))
        name = "ts"
        time = pack.long(ts)
        name = "model_id"
        key, model = pack.text(model_id), pack.model(model_id)
        name, known = "label", pack.plain(label)
        as_text = pack.ABSENT if isinstance(known, float) else pack.nullable_text(known)
        as_number = pack.ABSENT if isinstance(known, str) else pack.nullable_double(known)
    except Exception as problem:  # whatever the service's own objects raise
        raise Refused("invalid", f"{name}: {type(problem).__name__}") from None
    return Record(key, b"".join((frame, time, request, model, as_text, as_number)))


def frame_of(schema: str, framing: str, schema_id: int | None) -> bytes:
    """What stands in front of each datum. Raises UsageError."""
    if framing == "single_object":
        if schema_id is not None:
            raise UsageError("schema_id belongs to framing='confluent': leave it away, or say which framing is meant")
        return MARKER + load_schema(schema).identity
    if framing != "confluent":
        raise UsageError(f"framing {framing!r} is not known; framings are single_object, confluent")
    if not isinstance(schema_id, int) or isinstance(schema_id, bool) or not 0 <= schema_id < 2**32:
        raise UsageError(f"framing='confluent' needs the id that the schema registry gave to {schema}.avsc")
    return b"\x00" + schema_id.to_bytes(4)
