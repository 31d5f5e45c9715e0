"""The endpoint on a real socket, with well-behaved clients and others."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from streammon.core.errors import UsageError
from streammon.telemetry import LOGGER, Health, Metrics, Server, listen, pages, server
from streammon.telemetry.server import CONNECTIONS, Page
from tests.broker.kafka_tools import eventually
from tests.telemetry.samples import TOPIC, Clock

TOKEN = "s3cret-token"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(TOPIC, 30.0, clock)


@pytest.fixture
def endpoint(health: Health, clock: Clock) -> Iterator[Server]:
    endpoint = listen("127.0.0.1", 0, pages(Metrics(TOPIC, "plan-hash", health, clock), health))
    yield endpoint
    endpoint.close()


@pytest.fixture
def guarded() -> Iterator[Server]:
    endpoint = listen("127.0.0.1", 0, {"/live": lambda _: Page(200, "text/plain", b"yes")}, TOKEN)
    yield endpoint
    endpoint.close()


def ask(
    endpoint: Server, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection("127.0.0.1", endpoint.port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def status(endpoint: Server, path: str, **options: Any) -> int:
    return ask(endpoint, path, **options)[0].status


def test_a_scrape_is_what_prometheus_reads(endpoint: Server, health: Health) -> None:
    health.assigned([])
    response, body = ask(endpoint, "/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["streammon_ready"].samples[0].value == 1
    response, body = ask(endpoint, "/metrics", headers={"Accept": "application/openmetrics-text"})
    assert response.headers["Content-Type"].startswith("application/openmetrics-text")
    assert "streammon_ready" in {family.name for family in openmetrics(body.decode())}


def test_live_and_ready_are_statuses_with_reasons(endpoint: Server, health: Health, clock: Clock) -> None:
    """For probes the status, for people JSON."""
    response, body = ask(endpoint, "/ready")
    assert (response.status, response.headers["Content-Type"]) == (503, "application/json")
    assert json.loads(body) == health.readiness()
    assert json.loads(body)["missing"][0]["what"] == "assignment"
    health.assigned([0])
    health.live(0, 1)
    response, body = ask(endpoint, "/ready")
    assert (response.status, json.loads(body)) == (200, {"ready": True, "missing": []})
    assert status(endpoint, "/live") == 200
    clock.seconds += 31
    response, body = ask(endpoint, "/live")
    assert (response.status, json.loads(body)["live"]) == (503, False)
    assert status(endpoint, "/ready") == 503


def test_other_paths_and_methods(endpoint: Server) -> None:
    assert status(endpoint, "/live?verbose=1") == 200
    for path in ("/", "/metrics/", "/../etc/passwd", "/LIVE"):
        assert status(endpoint, path) == 404
    for method in ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"):
        response, body = ask(endpoint, "/metrics", method=method, body=b"x" * 1_000)
        assert (response.status, response.headers["Allow"]) == (405, "GET")
        assert body == (b"" if method == "HEAD" else b"405 Method Not Allowed\n")
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as client:
        client.sendall(b"HEAD /metrics HTTP/1.0\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(4_096), b"")).endswith(b"\r\n\r\n"), "no body"


@pytest.mark.parametrize("path", ["/metrics", "/live", "/ready", "/nowhere"])
def test_every_answer_carries_the_security_headers(path: str, endpoint: Server) -> None:
    headers = ask(endpoint, path)[0].headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "default-src 'self'"
    assert headers["Server"] == "streammon"


def test_a_token_opens_every_page_and_nothing_else_does(guarded: Server) -> None:
    assert status(guarded, "/live", headers={"Authorization": f"Bearer {TOKEN}"}) == 200
    assert status(guarded, "/live", headers={"Authorization": f"bearer  {TOKEN} "}) == 200
    for given in ("", TOKEN, f"Basic {TOKEN}", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \xe9"):
        response, body = ask(guarded, "/live", headers={"Authorization": given})
        assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert body == b"401 Unauthorized\n"
    assert status(guarded, "/live") == 401
    assert status(guarded, "/nowhere") == 401


def test_a_page_that_raises_is_an_error_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Logged with its traceback, which the client does not get; the other pages go on."""

    def broken(_: str) -> Page:
        raise RuntimeError("hunter2")

    with caplog.at_level("ERROR", LOGGER.name):
        endpoint = listen("127.0.0.1", 0, {"/broken": broken, "/live": lambda _: Page(200, "text/plain", b"")})
        try:
            response, body = ask(endpoint, "/broken")
            assert (response.status, body) == (500, b"500 Internal Server Error\n")
            assert status(endpoint, "/live") == 200
        finally:
            endpoint.close()
    (record,) = [record for record in caplog.records if record.msg == "endpoint_failed"]
    assert record.__dict__["fields"] == {"path": "/broken"}
    assert record.exc_info is not None


@pytest.mark.parametrize(
    "request_", [b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_request_does_no_harm(request_: bytes, endpoint: Server) -> None:
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as client:
        client.sendall(request_)
        client.shutdown(socket.SHUT_WR)
        while client.recv(4_096):
            pass
    assert status(endpoint, "/live") == 200


def test_too_long_a_request_is_refused(endpoint: Server) -> None:
    assert status(endpoint, "/" + "x" * 70_000) == 414
    assert status(endpoint, "/live", headers={"X": "x" * 70_000}) == 431


def test_clients_that_only_hold_on_are_shown_out(endpoint: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """They fill all connections; one more is turned away at once; when their time is over, others get in."""
    monkeypatch.setattr(server._Handler, "timeout", 600.0)
    clients = [socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) for _ in range(CONNECTIONS)]
    try:
        for client in clients:
            client.sendall(b"GET /live HTTP/1.1\r\n")
        eventually(lambda: len(endpoint._visits) == CONNECTIONS, "all of them are inside")
        with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as late:
            assert late.recv(1) == b""
        assert threading.active_count() <= CONNECTIONS + 10
        monkeypatch.setattr(server, "LONGEST_VISIT", 0.0)
        for client in clients:
            while client.recv(4_096):
                pass
        monkeypatch.setattr(server, "LONGEST_VISIT", 600.0)
        eventually(lambda: not endpoint._visits, "they are out")
        assert status(endpoint, "/live") == 200
    finally:
        for client in clients:
            client.close()


def test_closing_does_not_wait_for_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server._Handler, "timeout", 600.0)
    endpoint = listen("127.0.0.1", 0, {})
    with socket.create_connection(("127.0.0.1", endpoint.port), timeout=10) as client:
        client.sendall(b"GET /")
        eventually(lambda: len(endpoint._visits) == 1, "it is inside")
        endpoint.close()
        while client.recv(4_096):
            pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", endpoint.port), timeout=10)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port where another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def test_a_port_in_use_is_refused_with_the_way_out(taken: int) -> None:
    with pytest.raises(UsageError) as caught:
        listen("127.0.0.1", taken, {})
    said = str(caught.value)
    assert said.startswith(f"telemetry.port: another worker or program listens at 127.0.0.1 port {taken}: ")
    assert "telemetry.enabled: false" in said


def test_an_address_that_is_not_ours_is_refused() -> None:
    for address in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(UsageError, match=f"telemetry.address: cannot listen at {address} port 0"):
            listen(address, 0, {})


def test_auto_takes_a_free_port_where_the_usual_one_is_taken(
    taken: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With a warning, and the log says which."""
    monkeypatch.setattr(server, "USUAL_PORT", taken)
    with caplog.at_level("INFO", LOGGER.name):
        endpoint = listen("127.0.0.1", "auto", {})
        endpoint.close()
    assert endpoint.port not in (0, taken)
    assert [(r.msg, r.levelname, r.__dict__["fields"]["port"]) for r in caplog.records] == [
        ("port_taken", "WARNING", taken),
        ("listening", "INFO", endpoint.port),
    ]


def test_auto_is_the_usual_port_where_it_is_free(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    monkeypatch.setattr(server, "USUAL_PORT", free)
    endpoint = listen("127.0.0.1", "auto", {})
    assert endpoint.port == free
    endpoint.close()


def test_ipv6_works_where_there_is_any() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6")
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1")
    endpoint = listen("::1", 0, {})
    with socket.create_connection(("::1", endpoint.port), timeout=10):
        pass
    endpoint.close()
