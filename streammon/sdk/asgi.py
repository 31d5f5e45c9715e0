"""Middleware for any ASGI application (Starlette, FastAPI, ...): one event per request that predicts.

app.add_middleware(InferenceMiddleware, events=events, paths=["/predict", "/models/*"])

async def predict(request):
    request.state.inference.set(req_id=..., features=..., prediction=...)
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from streammon.core.errors import UsageError
from streammon.sdk.call import CLIENT_CLOSED, FAILED, Call, status_of
from streammon.sdk.producer import EventProducer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BAD = 400  # the least status of a failure


class InferenceMiddleware:
    """Times each HTTP request, notes its status, and logs it if its handler has `set` something.

    paths: requests to these are logged also where they fail (status 400 and above, an exception) before anything was
        set; one that ends in * stands for all that begin so. As in the scope's `path`

    The time is that until the last byte of the answer was handed to the server; background tasks are not in it. An
    exception is status 500, even if the answer had begun, and goes on; a TimeoutError is `timed_out` too. A client that
    went away before the end of the answer is 499, and not `timed_out`, which means the service's own limit. What the
    handler has set stands. Web sockets and lifespan pass through.
    """

    def __init__(self, app: App, events: EventProducer, paths: Sequence[str] = ()) -> None:
        if isinstance(paths, str):
            raise UsageError("paths: a sequence of paths is needed, not one text; write paths=[path]")
        self._app, self._events = app, events
        self._exact = frozenset(path for path in paths if not path.endswith("*"))
        self._beginnings = tuple(path[:-1] for path in paths if path.endswith("*"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(Call(self._events, {}), receive, send)
        scope.setdefault("state", {})["inference"] = request.call
        try:
            await self._app(scope, request.receive, request.send)
        except BaseException as error:
            self._log(request, scope["path"], error)
            raise
        self._log(request, scope["path"], None)

    def _log(self, request: _Request, path: str, error: BaseException | None) -> None:
        status = request.ended_with(error)
        if request.call.is_set or (status >= BAD and self._is_watched(path)):
            request.call.log(error, status)

    def _is_watched(self, path: str) -> bool:
        return path in self._exact or path.startswith(self._beginnings)


class _Request:
    """What passes between the server and the application during one request."""

    def __init__(self, call: Call, receive: Receive, send: Send) -> None:
        self.call, self._receive, self._send = call, receive, send
        self._status = 0  # of the answer, once it has begun
        self._is_answered = self._is_gone = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect" and not self._is_answered:
            self._is_gone = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        try:
            await self._send(message)
        except OSError:  # ASGI's word for a connection that is closed
            self._is_gone = True
            raise
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.call.stop()
            self._is_answered = True

    def ended_with(self, error: BaseException | None) -> int:
        """The status of the request, which is over."""
        if not self._is_answered:
            self.call.stop()
        if (self._is_gone and not self._is_answered) or status_of(error) == CLIENT_CLOSED:
            return CLIENT_CLOSED
        return self._status if error is None and self._status else FAILED
