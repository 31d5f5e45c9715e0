"""Kafka options: the promise is not for sale, and no secret shows."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from pydantic import SecretStr

from streammon.core.errors import UsageError
from streammon.settings import dump, kafka_options, load
from streammon.settings.kafka import RESERVED, is_secret
from tests.settings.helpers import Write, refusal

SECRET = "hunter2"


def test_options_pass_through_as_the_client_takes_them(write: Write) -> None:
    settings = load(write("kafka:\n  bootstrap.servers: 'a:1,b:2'\n  fetch.max.bytes: 10\n  check.crcs: true\n"))
    assert kafka_options(settings) == {"bootstrap.servers": "a:1,b:2", "fetch.max.bytes": 10, "check.crcs": "true"}


@pytest.mark.parametrize("option", [*RESERVED, "rebalance_cb", "ssl.certificate.verify_cb"])
def test_reserved_options_are_refused_with_the_reason(option: str, write: Write) -> None:
    said = refusal(write(f"kafka:\n  linger.ms: 5\n  {option}: 1\n"))
    assert said == f"FILE:3: kafka.{option}: is reserved: {RESERVED.get(option, 'a callback belongs to the program')}"


@pytest.mark.parametrize(
    "option",
    [
        "enable.ssl.certificate.verification: false",
        "enable.ssl.certificate.verification: 'F'",
        "enable.ssl.certificate.verification: 0",
        "ssl.endpoint.identification.algorithm: none",
        "ssl.endpoint.identification.algorithm: NONE",
    ],
)
def test_certificate_checks_stay_on_without_insecure(option: str, write: Write) -> None:
    path = write(f"kafka:\n  {option}\n")
    assert refusal(path).startswith(
        f"FILE:2: kafka.{option.split(':', maxsplit=1)[0]}: switches certificate checks off"
    )
    assert option.split(":", maxsplit=1)[0] in load(path, {"insecure": True}).kafka


def test_certificate_checks_may_be_said_to_be_on(write: Write) -> None:
    path = write("kafka: {enable.ssl.certificate.verification: true, ssl.endpoint.identification.algorithm: https}")
    load(path)


@pytest.mark.parametrize(
    "text, said",
    [
        ("kafka: x", "FILE:1: kafka: should be a mapping, one `option: value` per line"),
        ("kafka:\n  linger.ms: [1]", "FILE:2: kafka.linger.ms: should be one text, number, true or false"),
        ("kafka:\n  linger.ms:", "FILE:2: kafka.linger.ms: should be one text, number, true or false"),
        ("kafka:\n  client.id: ''", "FILE:2: kafka.client.id: should not be empty"),
        ("kafka:\n  sasl.password: 0123", "FILE:2: kafka.sasl.password: should be text: put it in quotes"),
        ("kafka: {sasl.password:hunter2}", "FILE:1: kafka.sasl.password: is no option's name"),
        ("kafka:\n  sasl.password_file: 3", "FILE:2: kafka.sasl.password_file: should be the path of a file"),
        (
            "kafka:\n  sasl.password_file: /no/such",
            "FILE:2: kafka.sasl.password_file: /no/such cannot be read (No such",
        ),
        ("kafka:\n  a_file: streammon.yaml\n  a: 1", "FILE:2: kafka.a_file: a is given too: keep one"),
    ],
)
def test_other_refusals(text: str, said: str, write: Write) -> None:
    assert refusal(write(text)).startswith(said)


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "SASL_PASSWORD",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "ssl_key",
        "sasl.oauthbearer.config",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.client.credentials.client.secret",
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.jaas.config",
    ],
)
def test_what_is_secret(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize("name", ["ssl.key.location", "ssl.ca.pem", "sasl.username", "sasl.oauthbearer.client.id"])
def test_what_is_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize("source", ["file", "environment", "command line", "secret file"])
def test_a_secret_is_shown_by_kafka_options_only(
    source: str,
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    path, overrides = write("group: a"), {}
    if source == "file":
        path = write(f"kafka: {{sasl.password: {SECRET}}}")
    elif source == "environment":
        monkeypatch.setenv("STREAMMON_KAFKA__SASL_PASSWORD", SECRET)
    elif source == "command line":
        overrides = {"kafka": {"sasl.password": SECRET}}
    else:
        path = write("kafka: {sasl.password_file: secret}")
    settings = load(path, overrides)
    assert isinstance(settings.kafka["sasl.password"], SecretStr)
    for text in (repr(settings), str(settings), dump(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in text
    assert "sasl.password: '**********'" in dump(settings)
    assert kafka_options(settings)["sasl.password"] == SECRET


@pytest.mark.parametrize("secret", ["0123", "true", "[1", '{"a": 1}', "[a, b]", "null", "*x", "!x", "a: b", "'"])
def test_a_secret_in_a_variable_is_never_read_as_anything_else(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMON_KAFKA__SASL_PASSWORD", secret)
    assert kafka_options(load())["sasl.password"] == secret


def test_a_higher_layer_may_give_the_secret_in_the_other_form(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "secret").write_text("from the file of secrets\r\n")
    monkeypatch.setenv("STREAMMON_KAFKA__SASL_PASSWORD_FILE", str(tmp_path / "secret"))
    settings = load(write("kafka: {sasl.password: in the settings}"))
    assert kafka_options(settings)["sasl.password"] == "from the file of secrets"


@pytest.mark.parametrize(
    "text",
    [
        f"kafka: {SECRET}",
        f"kafka:\n  sasl.password: [{SECRET}]",
        f"kafka:\n  sasl.password: *{SECRET}",
        f"kafka:\n  sasl.password: !{SECRET} x",
        f"kafka:\n  sasl.password: '{SECRET}",
        f'kafka:\n  sasl.password: "\\{SECRET}"',
        f"kafka:\n  sasl.password: @{SECRET}",
        f"kafka:\n  sasl.password: %{SECRET}: {SECRET}",
        f"kafka:\n  sasl.password:{SECRET}\n  x: y",
        f"kafka: {{sasl.password:{SECRET}}}",
        f"kafka: {{sasl.password:{SECRET}, sasl.password:{SECRET}}}",
        f"kafka: {{'sasl.password {SECRET}': 1}}",
        f"kafka:\n  sasl.password: {SECRET}\n  group.id: x",
        f"kafka:\n  sasl.password: {SECRET}\n  ssl.endpoint.identification.algorithm: none",
        f"kafka:\n  group.id: {SECRET}",
        f"sasl.password: {SECRET}",
        f"group: [{SECRET}]",
        f"delivery: {SECRET}",
        f"allowed_lateness: {SECRET}",
        f"rules: [{SECRET}]",
        f"rules: [{{kind: {SECRET}}}]",
        f"rules: [{{above: {SECRET}}}]",
    ],
)
def test_no_error_quotes_a_value(text: str, write: Write) -> None:
    with pytest.raises(UsageError) as caught:
        load(write(text))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value)


def test_a_broken_variable_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMMON_KAFKA", f'{{"sasl.password": "{SECRET}"')
    assert SECRET not in refusal(None)


def test_secret_files_are_text_of_some_bytes(write: Write, tmp_path: Path) -> None:
    path = write("kafka: {sasl.password_file: secret}")
    for content in (b"", b"\n", b"\xff\xfe", b"x" * 70_000):
        (tmp_path / "secret").write_bytes(content)
        assert refusal(path).startswith("FILE:1: kafka.sasl.password_file: ")


def test_settings_survive_a_pickle(write: Write) -> None:
    """A worker process is handed its settings."""
    rule = "{id: a, measurement: latency.p95, above: 1}"
    settings = load(write(f"kafka: {{sasl.password: {SECRET}}}\nrules: [{rule}]"))
    assert pickle.loads(pickle.dumps(settings)) == settings
