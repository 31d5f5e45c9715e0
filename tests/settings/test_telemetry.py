"""Where the endpoint listens, and who may come in."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from streammon.settings import dump, load
from tests.settings.helpers import Write, refusal

TOKEN = "hunter2-token"


def test_it_is_on_and_for_this_machine_only_by_default() -> None:
    telemetry = load().telemetry
    assert (telemetry.enabled, telemetry.address, telemetry.port, telemetry.token) == (True, "127.0.0.1", "auto", None)


@pytest.mark.parametrize("text, port", [("auto", "auto"), ("0", 0), ("9464", 9464), ("'9465'", 9465), ("65535", 65535)])
def test_ports(text: str, port: int | str, write: Write) -> None:
    assert load(write(f"telemetry: {{port: {text}}}")).telemetry.port == port


def test_a_port_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker each on one host."""
    monkeypatch.setenv("STREAMMON_TELEMETRY__PORT", "9466")
    assert load().telemetry.port == 9466


@pytest.mark.parametrize("port", ["70000", "-1", "true", "1.5", "any", "'99999999999999999999'", "[1]"])
def test_what_is_no_port(port: str, write: Write) -> None:
    said = refusal(write(f"telemetry:\n  port: {port}"))
    assert said == "FILE:2: telemetry.port: should be a port, 1 to 65535, or auto, or 0 for any free one"


@pytest.mark.parametrize("address", ["0.0.0.0", "'::'", "10.0.0.7", "worker.example.org", "''", "'*'"])
def test_other_machines_need_a_token(address: str, write: Write) -> None:
    said = refusal(write(f"telemetry:\n  address: {address}"))
    assert said.startswith("FILE:2: telemetry.address: ")
    if address != "''":
        assert "needs a token (telemetry.token_file)" in said
        assert load(write(f"telemetry: {{address: {address}, token: {TOKEN}}}")).telemetry.token == SecretStr(TOKEN)
        assert not load(write(f"telemetry: {{address: {address}, enabled: false}}")).telemetry.enabled


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "'::1'", "localhost"])
def test_this_machine_needs_none(address: str, write: Write) -> None:
    assert load(write(f"telemetry: {{address: {address}}}")).telemetry.token is None


@pytest.mark.parametrize("source", ["file", "secret file", "variable", "secret file in a variable"])
def test_the_token_is_never_shown(source: str, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text(TOKEN + "\n")
    path = write("group: a")
    if source == "file":
        path = write(f"telemetry: {{token: {TOKEN}}}")
    elif source == "secret file":
        path = write("telemetry: {token_file: secret}")
    elif source == "variable":
        monkeypatch.setenv("STREAMMON_TELEMETRY__TOKEN", TOKEN)
    else:
        monkeypatch.setenv("STREAMMON_TELEMETRY__TOKEN_FILE", str(tmp_path / "secret"))
    settings = load(path)
    assert settings.telemetry.token is not None
    assert settings.telemetry.token.get_secret_value() == TOKEN
    for text in (repr(settings), str(settings), dump(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert TOKEN not in text


@pytest.mark.parametrize(
    "text, said",
    [
        ("token: 0123", "telemetry.token: should be text: put it in quotes"),
        ("token: ''", "telemetry.token: should be letters, digits and punctuation of ASCII, without spaces"),
        (f"token: '{TOKEN} {TOKEN}'", "telemetry.token: should be letters, digits and punctuation of ASCII, without"),
        (f"token: é{TOKEN}", "telemetry.token: should be letters, digits and punctuation of ASCII, without spaces"),
        ("token_file: /no/such", "telemetry.token_file: /no/such cannot be read (No such file or directory)"),
        (f"token: {TOKEN}\n  token_file: /no/such", "telemetry.token_file: token is given too: keep one"),
        (f"token:{TOKEN}", "telemetry: should be a mapping, one `key: value` per line"),
    ],
)
def test_tokens_that_do_not_fit_in_a_header(text: str, said: str, write: Write) -> None:
    refused = refusal(write(f"telemetry:\n  {text}"))
    assert said in refused
    assert TOKEN not in refused
