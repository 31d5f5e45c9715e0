"""One request, timed: the context manager behind `EventProducer.call`, the decorator and the middleware."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast

from streammon.sdk.encoding import CallFields, Fields

if TYPE_CHECKING:
    from streammon.sdk.producer import EventProducer

F = TypeVar("F", bound=Callable[..., Any])

OK, CLIENT_CLOSED, FAILED, TIMED_OUT = 200, 499, 500, 504  # 499: as nginx has it


class Call:
    """What will be logged about a request. `with` or `async with` times it and logs it at the end, whatever comes.

    What `set` was given stands. Else the time is that between beginning and end, and the status 200; an exception is
    500, a TimeoutError 504 and `timed_out`, a cancelled task 499 (whoever asked went away, which is not a time limit of
    the service; a service that limits its time by cancelling sets `timed_out`). Exceptions go on to the caller.
    """

    def __init__(self, events: EventProducer, fields: Mapping[str, Any]) -> None:
        self._events, self._fields = events, dict(fields)
        self._started = self._ended = time.perf_counter()
        self.is_set = False  # whether `set` was called

    def set(self, /, **fields: Unpack[CallFields]) -> None:
        """Say more; the last word about a field counts. Arrays are copied at the end of the call, not here."""
        self._fields.update(fields)
        self.is_set = True

    def __enter__(self) -> Self:
        self._started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.log(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def stop(self) -> None:
        """The answer is there: what comes now is no longer part of its latency."""
        self._ended = time.perf_counter()

    def log(self, error: BaseException | None = None, status: int | None = None) -> bool:
        """Log it as it is, with this status, or the one that the error means."""
        noted = {
            "latency_ms": (self._ended - self._started) * 1_000.0,
            "http_status": status_of(error) if status is None else status,
            "timed_out": isinstance(error, TimeoutError),
        }
        fields = {**noted, **self._fields}
        return self._events.log(fields.pop("req_id", None), **cast(Fields, fields))


def status_of(error: BaseException | None) -> int:
    """The HTTP status that tells how it ended."""
    if error is None:
        return OK
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    return CLIENT_CLOSED if isinstance(error, asyncio.CancelledError) else FAILED


def observed(
    events: EventProducer,
    fields: Callable[[Any], Mapping[str, Any]] | None,
    inputs: Callable[..., Mapping[str, Any]] | None,
    constant: Mapping[str, Any],
) -> Callable[[F], F]:
    """See EventProducer.observed."""

    def decorate(function: F) -> F:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def observe_async(*args: Any, **kwargs: Any) -> Any:
                with Call(events, {**constant, **_said(inputs, *args, **kwargs)}) as call:
                    result = await function(*args, **kwargs)
                    _note(call, fields, result)
                    return result

            return cast(F, observe_async)

        @functools.wraps(function)
        def observe(*args: Any, **kwargs: Any) -> Any:
            with Call(events, {**constant, **_said(inputs, *args, **kwargs)}) as call:
                result = function(*args, **kwargs)
                _note(call, fields, result)
                return result

        return cast(F, observe)

    return decorate


def _note(call: Call, fields: Callable[[Any], Mapping[str, Any]] | None, result: Any) -> None:
    call.stop()
    if fields is not None:
        call.set(**cast(CallFields, _said(fields, result)))
    elif isinstance(result, Mapping):
        call.set(**cast(CallFields, _said(_known, result)))


def _known(result: Mapping[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in (*Fields.__annotations__, "req_id") if name in result}


def _said(function: Callable[..., Mapping[str, Any]] | None, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What the user's function says. If it raises, the service must not notice: the event is refused, and counted."""
    if function is None:
        return {}
    try:
        return {str(name): value for name, value in dict(function(*args, **kwargs)).items()}
    except Exception as problem:
        return {f"{getattr(function, '__name__', 'fields')}() raised {type(problem).__name__}": True}
