"""The producer of inference events, as a service sees it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, Unpack

from streammon.core.errors import UsageError
from streammon.scopes import Closed
from streammon.sdk.call import Call, observed
from streammon.sdk.delivery import Delivery, Stats
from streammon.sdk.encoding import CallFields, Encoder, Fields, Refused, frame_of, label_record
from streammon.sdk.masks import masks
from streammon.sdk.options import client_options
from streammon.text import shown

F = TypeVar("F", bound=Callable[..., Any])

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")

LEAST_KEY_BYTES = 16  # a shorter key can be guessed, and with it every user


class EventProducer(Closed):
    """Tells streammon about each prediction of a service, without ever being in its way.

    bootstrap: HOST:PORT of the broker, several between commas; contacted by a thread, from the first event on
    model_id, model_version, lane, git_commit, data_hash: what is true of all events, unless one says otherwise
    topic, labels_topic: where they go
    user_key: at least 16 bytes; user ids become HMAC-SHA256 under it (32 hexadecimal digits). None: they are dropped
    mask: what never leaves the process: names of fields (not recorded), "features[3]", "features[age]" (NaN) or
        "categories[0]" (empty)
    feature_names: names of the features in the model's order, for masks
    heavy_share: share of the requests whose `features` and `embedding` are recorded, 0 to 1, chosen by a hash of req_id
        (the same in every process). Everything else of every request is, so counts stay exact
    framing: "single_object", or "confluent" with the ids that a schema registry gave: schema_id, label_schema_id
    queue_size, queue_bytes: what may wait for the broker; then new events are dropped (and counted)
    wait_for_room: seconds that `log` may wait for room in the queue. For batch jobs; a service leaves it 0
    close_timeout: seconds that the end of the process may be held up for what is still queued
    kafka: options of librdkafka (security.protocol, ...); what would break a promise is refused

    `feature_hash` is BLAKE2b (8 bytes, 16 hexadecimal digits) of the features as little-endian float32, masked ones as
    NaN; also of those that heavy_share leaves out, never where `features` is masked as a whole.

    Usable from any thread, from asyncio, and on both sides of a fork: a child starts empty, with a connection of its
    own. What is queued is flushed at the exit of the interpreter; a process that a signal kills loses it.
    Raises UsageError for a mistake in these arguments, at once.
    """

    def __init__(
        self,
        bootstrap: str,
        *,
        model_id: str,
        model_version: str,
        lane: str = "prod",
        topic: str = "inference-events",
        labels_topic: str = "inference-labels",
        git_commit: str | None = None,
        data_hash: str | None = None,
        user_key: bytes | None = None,
        mask: Sequence[str] = (),
        feature_names: Sequence[str] | None = None,
        heavy_share: float = 1.0,
        framing: str = "single_object",
        schema_id: int | None = None,
        label_schema_id: int | None = None,
        queue_size: int = 10_000,
        queue_bytes: int = 32 << 20,
        wait_for_room: float = 0.0,
        close_timeout: float = 5.0,
        kafka: Mapping[str, Any] | None = None,
    ) -> None:
        if user_key is not None and not _is_key(user_key):
            raise UsageError(f"user_key: at least {LEAST_KEY_BYTES} secret bytes are needed, such as os.urandom(32)")
        _check_numbers(
            heavy_share=(heavy_share, 0, 1),
            queue_size=(queue_size, 1, 10_000_000),
            queue_bytes=(queue_bytes, 1_000, 1 << 40),
            wait_for_room=(wait_for_room, 0, 3_600),
            close_timeout=(close_timeout, 0, 3_600),
        )
        for name, text in {"topic": topic, "labels_topic": labels_topic}.items():
            if _TOPIC.fullmatch(str(text)) is None:
                raise UsageError(
                    f"{name} {shown(str(text))}: letters, digits, dots, underscores and hyphens are needed"
                )
        options = client_options(bootstrap, kafka)
        self._topic, self._labels_topic, self._patience = topic, labels_topic, wait_for_room
        self._model_id = model_id
        self._encoder = Encoder(
            {
                "model_id": model_id,
                "model_version": model_version,
                "lane": lane,
                "git_commit": git_commit,
                "data_hash": data_hash,
            },
            user_key=user_key,
            masks=masks(mask, feature_names),
            heavy_share=heavy_share,
            frame=frame_of("inference_event", framing, schema_id),
            max_bytes=int(options["message.max.bytes"]),
        )
        self._label_frame: bytes | None = None
        if framing != "confluent" or label_schema_id is not None:
            self._label_frame = frame_of("inference_label", framing, label_schema_id)
        self._delivery = Delivery(options, most=queue_size, most_bytes=queue_bytes, close_timeout=close_timeout)

    def log(self, /, req_id: Any = None, **fields: Unpack[Fields]) -> bool:
        """Queue the event of one request; `Fields` says what may be given. True: queued. False: dropped, and counted.

        Never raises, and never waits: but for a tensor on another device, which has to be copied here (and with
        `wait_for_room`). What is given may be changed at once after the call. `req_id` is drawn at random if not given;
        labels need it. The record's timestamp is the time of the call, whatever `ts` says.
        """
        try:
            now = time.time_ns() // 1_000
            record = self._encoder.event(req_id, fields, now)
            return self._delivery.put(self._topic, record, now // 1_000, self._patience)
        except Refused as refused:
            return self._delivery.drop(refused.reason, refused.where)
        except Exception as problem:  # nothing may reach the service, whatever it is
            return self._delivery.drop("invalid", type(problem).__name__)

    def log_label(self, req_id: Any, label: Any, *, model_id: str | None = None, ts: int | None = None) -> bool:
        """Queue the truth about a request, once it is known. Text is a class, a float a value; a whole number, which
        may be the number of a class, is written as both. Like `log` else."""
        try:
            now = time.time_ns() // 1_000
            if self._label_frame is None:
                raise Refused("invalid", "labels need label_schema_id under framing='confluent'")
            record = label_record(
                self._label_frame,
                req_id,
                self._model_id if model_id is None else model_id,
                label,
                now if ts is None else ts,
            )
            return self._delivery.put(self._labels_topic, record, now // 1_000, self._patience)
        except Refused as refused:
            return self._delivery.drop(refused.reason, refused.where)
        except Exception as problem:  # as above
            return self._delivery.drop("invalid", type(problem).__name__)

    def call(self, /, **fields: Unpack[CallFields]) -> Call:
        """For `with` or `async with`: times what happens inside, and logs it."""
        return Call(self, fields)

    def observed(
        self,
        fields: Callable[[Any], Mapping[str, Any]] | None = None,
        *,
        inputs: Callable[..., Mapping[str, Any]] | None = None,
        **constant: Unpack[Fields],
    ) -> Callable[[F], F]:
        """Decorator: each call of the function, sync or async, is an event, timed as by `call`.

        `fields(result)` tells what to log of the result; without it, a mapping that the function returns does, by those
        of its names that `log` knows. `inputs(*args, **kwargs)` tells what to log of the arguments.
        """
        return observed(self, fields, inputs, constant)

    def stats(self) -> Stats:
        """Counts of this process so far."""
        return self._delivery.stats()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until nothing is queued; True if that is so. What was dropped instead of delivered is in `stats`."""
        return self._delivery.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Flush, for `close_timeout` seconds if nothing else is said, and end. False: events were dropped for it."""
        return self._delivery.close(timeout)


def _is_key(value: object) -> bool:
    return isinstance(value, bytes) and len(value) >= LEAST_KEY_BYTES


def _check_numbers(**given: tuple[Any, float, float]) -> None:
    for name, (value, least, most) in given.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise UsageError(f"{name} is {value!r}; it must be a number from {least:g} to {most:g}")
