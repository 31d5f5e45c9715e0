"""The middleware, around plain ASGI applications and around Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from streammon.core.errors import UsageError
from streammon.sdk.asgi import InferenceMiddleware, Message, Receive, Scope, Send
from tests.sdk.reading import Service, read

Handler = Callable[[Request], Awaitable[Any]]


@pytest.fixture
def service() -> Service:
    return Service()


def logged(service: Service) -> list[dict[str, Any]]:
    assert not service.kept.dropped
    return [read(record.value) for _, record, _ in service.kept.records]


def ask(service: Service, handler: Handler, path: str = "/predict", paths: tuple[str, ...] = ("/predict",)) -> int:
    """The status that a client of a Starlette application sees."""
    app = Starlette(routes=[Route("/{rest:path}", handler, methods=["GET"])])
    app.add_middleware(InferenceMiddleware, events=service.events, paths=paths)

    async def request() -> int:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return (await client.get(path)).status_code

    return asyncio.run(request())


def call(service: Service, app: Any, scope: Mapping[str, Any], *received: Message) -> list[Message]:
    """What an application sends, by the protocol itself."""
    sent: list[Message] = []
    waiting = list(received)

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        if "raises" in message:
            raise message["raises"]
        sent.append(message)

    asyncio.run(InferenceMiddleware(app, service.events, ["/predict"])(dict(scope), receive, send))
    return sent


HTTP = {"type": "http", "path": "/predict", "method": "GET", "headers": []}
START, BODY = {"type": "http.response.start", "status": 200}, {"type": "http.response.body", "body": b""}


def test_a_request_is_logged_with_what_its_handler_says(service: Service) -> None:
    """Once, with its status and its time, which ends with the answer and not with background tasks."""

    async def background() -> None:
        await asyncio.sleep(0.3)

    async def predict(request: Request) -> JSONResponse:
        request.state.inference.set(req_id="r1", prediction="cat", features=[1.0])
        await asyncio.sleep(0.02)
        return JSONResponse({}, status_code=201, background=BackgroundTask(background))

    assert ask(service, predict) == 201
    (found,) = logged(service)
    assert (found["req_id"], found["prediction"], found["features"]) == ("r1", "cat", [1.0])
    assert (found["http_status"], found["timed_out"]) == (201, False)
    assert 20 <= found["latency_ms"] < 300


def test_a_streamed_answer_ends_with_its_last_part(service: Service) -> None:
    """And not where it begins."""

    async def predict(request: Request) -> StreamingResponse:
        async def parts() -> Any:
            request.state.inference.set(prediction="cat")
            yield b"a"
            await asyncio.sleep(0.05)
            yield b"b"

        return StreamingResponse(parts())

    assert ask(service, predict) == 200
    assert logged(service)[0]["latency_ms"] >= 50


def test_requests_that_say_nothing_are_not_logged(service: Service) -> None:
    """A health check is no inference."""

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({})

    assert ask(service, health, "/health") == 200
    assert ask(service, health, "/predict") == 200
    assert logged(service) == []


@pytest.mark.parametrize(
    "path,is_logged",
    [("/predict", True), ("/predict/", False), ("/models/a/b", True), ("/models", False), ("/health", False)],
)
def test_failures_of_the_given_paths_are_logged(service: Service, path: str, is_logged: bool) -> None:
    """Also where nothing was said; those of others are not."""

    async def fail(request: Request) -> JSONResponse:
        raise HTTPException(422)

    assert ask(service, fail, path, ("/predict", "/models/*")) == 422
    assert [found["http_status"] for found in logged(service)] == [422] * is_logged


@pytest.mark.parametrize("error,timed_out", [(ValueError("secret"), False), (TimeoutError(), True)])
def test_an_exception_is_status_500_and_goes_on(service: Service, error: Exception, timed_out: bool) -> None:
    """As the client sees it; what was said before is in the event."""

    async def fail(request: Request) -> JSONResponse:
        request.state.inference.set(req_id="r1")
        raise error

    assert ask(service, fail, paths=()) == 500
    (found,) = logged(service)
    assert (found["req_id"], found["http_status"], found["timed_out"]) == ("r1", 500, timed_out)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        raise error

    with pytest.raises(type(error)) as raised:
        call(service, app, HTTP)
    assert raised.value is error
    assert logged(service)[1]["http_status"] == 500


def test_a_client_that_goes_away(service: Service) -> None:
    """Is 499, whether the application ends by itself, raises, or is cancelled; but not after the answer."""

    async def ends(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(START)

    async def raises(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise OSError

    async def is_cancelled(scope: Scope, receive: Receive, send: Send) -> None:
        raise asyncio.CancelledError

    async def cannot_send(scope: Scope, receive: Receive, send: Send) -> None:
        await send({**START, "raises": OSError})  # as servers tell it by the protocol

    async def answers(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["inference"].set(prediction="cat")
        await send(START)
        await send(BODY)
        await receive()

    gone: Message = {"type": "http.disconnect"}
    call(service, ends, HTTP, gone)
    with pytest.raises(OSError):  # noqa: PT011  # any
        call(service, raises, HTTP, gone)
    with pytest.raises(asyncio.CancelledError):
        call(service, is_cancelled, HTTP)
    with pytest.raises(OSError):  # noqa: PT011  # any
        call(service, cannot_send, HTTP)
    call(service, answers, HTTP, gone)
    found = logged(service)
    assert [event["http_status"] for event in found] == [499, 499, 499, 499, 200]
    assert not any(event["timed_out"] for event in found)


def test_no_answer_at_all_is_a_failure(service: Service) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    call(service, app, HTTP)
    assert logged(service)[0]["http_status"] == 500


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
def test_other_connections_pass_through(service: Service, kind: str) -> None:
    """Untouched, the same objects."""
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(dict(scope))
        await send(await receive())

    assert call(service, app, {"type": kind}, {"type": "x"}) == [{"type": "x"}]
    assert seen == [{"type": kind}]
    assert logged(service) == []


def test_the_state_of_the_application_is_kept(service: Service) -> None:
    """What the lifespan or an outer middleware put there stays, in the same mapping."""
    state: dict[str, Any] = {"model": object()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["state"] is state
        scope["state"]["inference"].set(prediction="cat")
        await send(START)
        await send(BODY)

    call(service, app, {**HTTP, "state": state})
    assert logged(service)[0]["prediction"] == "cat"


def test_requests_at_the_same_time_do_not_mix(service: Service) -> None:
    async def predict(request: Request) -> JSONResponse:
        number = int(request.url.path[1:])
        await asyncio.sleep(0.01 * (5 - number))
        request.state.inference.set(req_id=number, prediction_value=float(number))
        return JSONResponse({}, status_code=200 + number)

    app = Starlette(routes=[Route("/{rest:path}", predict)])
    app.add_middleware(InferenceMiddleware, events=service.events)

    async def main() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            await asyncio.gather(*(client.get(f"/{number}") for number in range(5)))

    asyncio.run(main())
    assert sorted((int(e["req_id"]), e["prediction_value"], e["http_status"]) for e in logged(service)) == [
        (number, number, 200 + number) for number in range(5)
    ]


def test_paths_must_be_several() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    with pytest.raises(UsageError, match="not one text"):
        InferenceMiddleware(app, Service().events, "/predict")
