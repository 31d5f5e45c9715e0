"""A small HTTP server for a few pages: GET only, a bounded number of connections, each for a bounded time.

It runs beside the worker and never waits for it, nor the worker for it: a client that is slow, stuck or hostile costs
one of CONNECTIONS threads for LONGEST_VISIT at most.
"""

from __future__ import annotations

import errno
import hmac
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

from streammon.core.errors import UsageError
from streammon.telemetry.logs import log
from streammon.telemetry.names import Event

USUAL_PORT = 9464
CONNECTIONS = 16
LONGEST_VISIT = 10.0  # seconds

SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'self'",
    "Cache-Control": "no-store",
}


class Page(NamedTuple):
    status: int
    content_type: str
    body: bytes


Pages = Mapping[str, Callable[[str], Page]]  # by path; given the request's Accept header


class Server(ThreadingMixIn, TCPServer):
    """Serves from construction to `close`. A context manager."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * CONNECTIONS

    def __init__(self, address: str, port: int, pages: Pages, token: str | None) -> None:
        """With a token, every request has to bring it. Raises OSError where it cannot listen."""
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        self.address_family = family
        self.pages, self.token = pages, token
        self._visits: dict[socket.socket, float] = {}  # when each began
        self._lock = threading.Lock()
        super().__init__(cast("tuple[str, int]", place), _Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="telemetry", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
        with self._lock:
            for visit in self._visits:
                _hang_up(visit)

    def get_request(self) -> tuple[socket.socket, Any]:
        try:
            return super().get_request()
        except OSError:
            time.sleep(0.1)  # out of file descriptors, most likely: the loop would try again at once
            raise

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            if len(self._visits) >= CONNECTIONS:
                return False
            self._visits[request] = time.monotonic()
            return True

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._visits.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called several times a second: whoever has stayed too long is shown out."""
        oldest = time.monotonic() - LONGEST_VISIT
        with self._lock:
            for visit, began in self._visits.items():
                if began < oldest:
                    _hang_up(visit)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is nothing to tell of; anything else is."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            log(Event.ENDPOINT_FAILED, logging.ERROR, error)


def listen(address: str, port: int | Literal["auto"], pages: Pages, token: str | None = None) -> Server:
    """A server at that address. `auto` is USUAL_PORT or, where that is taken, a free one, which the log names.

    Raises UsageError where it cannot listen.
    """
    server = _usual_or_free(address, pages, token) if port == "auto" else _exactly(address, port, pages, token)
    log(Event.LISTENING, address=address, port=server.port)
    return server


def _usual_or_free(address: str, pages: Pages, token: str | None) -> Server:
    try:
        return Server(address, USUAL_PORT, pages, token)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            log(Event.PORT_TAKEN, logging.WARNING, address=address, port=USUAL_PORT)
        return _exactly(address, 0 if error.errno == errno.EADDRINUSE else USUAL_PORT, pages, token)


def _exactly(address: str, port: int, pages: Pages, token: str | None) -> Server:
    try:
        return Server(address, port, pages, token)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                f"telemetry.port: another worker or program listens at {address} port {port}: name a free port, or say "
                f"auto ({USUAL_PORT}, or any free one), or switch the endpoint off with telemetry.enabled: false"
            ) from None
        raise UsageError(
            f"telemetry.address: cannot listen at {address} port {port} ({error.strerror}): name an address of this "
            "machine and a port that this user may have"
        ) from None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = LONGEST_VISIT / 2  # of one wait for the client

    def do_GET(self) -> None:
        self._send(self._page())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Of a request that is none, or whose method has no `do_METHOD` here."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._send(_plain(HTTPStatus.METHOD_NOT_ALLOWED), {"Allow": "GET"})
        else:
            self._send(_plain(HTTPStatus(code)))

    def version_string(self) -> str:
        return "streammon"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: a probe comes every few seconds."""

    def _page(self) -> Page:
        if not self._may_enter():
            return _plain(HTTPStatus.UNAUTHORIZED)
        path = self.path.partition("?")[0]
        make = self.server.pages.get(path)
        if make is None:
            return _plain(HTTPStatus.NOT_FOUND)
        try:
            return make(self.headers.get("Accept", ""))
        except Exception as error:  # whatever is wrong with a page, the worker works and the other pages answer
            log(Event.ENDPOINT_FAILED, logging.ERROR, error, path=path)
            return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _may_enter(self) -> bool:
        if self.server.token is None:
            return True
        kind, _, given = self.headers.get("Authorization", "").partition(" ")
        # Headers are bytes, which http.server reads as Latin-1.
        same = hmac.compare_digest(given.strip().encode("latin-1"), self.server.token.encode())
        return kind.lower() == "bearer" and same

    def _send(self, page: Page, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        challenge = {"WWW-Authenticate": "Bearer"} if page.status == HTTPStatus.UNAUTHORIZED else {}
        self.send_response(page.status)
        described = {"Content-Type": page.content_type, "Content-Length": str(len(page.body))}
        for name, value in {**described, **SECURITY, **challenge, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)


def _plain(status: HTTPStatus) -> Page:
    return Page(status, "text/plain; charset=utf-8", f"{status.value} {status.phrase}\n".encode())


def _hang_up(visit: socket.socket) -> None:
    with suppress(OSError):  # it has left
        visit.shutdown(socket.SHUT_RDWR)
