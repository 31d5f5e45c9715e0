"""Options of the Kafka client: all of librdkafka's pass through, but for those that would break a promise.

Names that librdkafka does not know are found by the worker, which has the client at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import SecretStr

from streammon.settings.problems import Place, Problems

Option = str | int | float | bool | SecretStr

DEFAULTS: Mapping[str, Option] = {"bootstrap.servers": "localhost:9092"}

_POSITIONS = "positions are committed inside streammon's transactions"
_IDENTITY = "it names the group and the transactions: set {} instead"
_ONCE = "the producer is transactional and idempotent, which fixes it"
_ASSIGN = "events and labels stay together only under the classic protocol with the range assignor"
_TRANSACTION = "it follows from delivery.transaction_timeout: set that instead"

RESERVED: Mapping[str, str] = {  # option: why it is not the user's to set
    "isolation.level": "streammon reads committed records only",
    "enable.auto.commit": _POSITIONS,
    "auto.commit.enable": _POSITIONS,
    "auto.commit.interval.ms": _POSITIONS,
    "enable.auto.offset.store": _POSITIONS,
    "offset.store.method": _POSITIONS,
    "offset.store.path": _POSITIONS,
    "offset.store.sync.interval.ms": _POSITIONS,
    "auto.offset.reset": "a lost position stops the worker, it never jumps: use `run --start` for the first run",
    "enable.partition.eof": "recovery waits for the ends of partitions",
    "partition.assignment.strategy": _ASSIGN,
    "group.protocol": _ASSIGN,
    "group.protocol.type": _ASSIGN,
    "group.remote.assignor": _ASSIGN,
    "group.id": _IDENTITY.format("group"),
    "group.instance.id": _IDENTITY.format("instance"),
    "transactional.id": _IDENTITY.format("group and instance"),
    "session.timeout.ms": "set delivery.session_timeout instead",
    "transaction.timeout.ms": "set delivery.transaction_timeout instead",
    "message.timeout.ms": _TRANSACTION,
    "delivery.timeout.ms": _TRANSACTION,
    "enable.idempotence": _ONCE,
    "enable.gapless.guarantee": _ONCE,
    "acks": _ONCE,
    "request.required.acks": _ONCE,
    "max.in.flight": _ONCE,
    "max.in.flight.requests.per.connection": _ONCE,
    "retries": _ONCE,
    "message.send.max.retries": _ONCE,
    "queuing.strategy": _ONCE,
    "partitioner": "keys go to partitions as Java clients put them (murmur2_random)",
    "allow.auto.create.topics": "topics need their own settings: use `streammon topics create`",
    "metadata.broker.list": "write bootstrap.servers, its other name",
    "log.queue": "streammon writes the client's log",
    "opaque": "it belongs to the program",
    "logger": "it belongs to the program",
    "on_commit": "it belongs to the program",
    "on_delivery": "it belongs to the program",
    "default.topic.config": "write its options directly below kafka",
}

PATHS = (  # options that name a file: relative to the file of settings, like every path in it
    "ssl.ca.location",
    "https.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.crl.location",
    "ssl.keystore.location",
    "sasl.kerberos.keytab",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
)
NO_PATHS = ("probe",)  # what an option of PATHS may say instead of a path

FILE_SUFFIX = "_file"  # `sasl.password_file: path` reads sasl.password from the file; no option of librdkafka ends so

_NAME = re.compile(r"[a-z0-9][a-z0-9._]*")
# Ends of names rather than names, with any separator: a misspelt option must not show what it holds.
_SECRET = re.compile(
    r"(password|passphrase|passwd|secret|credentials?|token|key|key[._]?pem|jaas[._]?config|oauthbearer[._]?config)$"
)
_YES = ("true", "t", "1", "yes", "on")
_INSECURE = {"enable.ssl.certificate.verification": _YES, "ssl.endpoint.identification.algorithm": ("https",)}


def is_secret(name: str) -> bool:
    """
    >>> is_secret("sasl.password"), is_secret("ssl.key.location")
    (True, False)
    """
    return _SECRET.search(name.lower()) is not None


def check_options(value: Any) -> Any:
    """All options with the defaults, secrets wrapped; a Problems names each one that is refused."""
    if not isinstance(value, Mapping):
        raise ValueError("should be a mapping, one `option: value` per line")
    found = [problem for name, option in value.items() for problem in _problems(str(name), option)]
    if found:
        raise Problems(*found)
    return {
        **DEFAULTS,
        **{name: SecretStr(v) if isinstance(v, str) and is_secret(name) else v for name, v in value.items()},
    }


def certificate_problems(options: Mapping[str, Option]) -> Iterator[tuple[Place, str]]:
    """One for each option that switches certificate checks off."""
    for name, safe in _INSECURE.items():
        if name in options and str(options[name]).lower() not in safe:
            yield (
                ("kafka", name),
                "switches certificate checks off, so that anybody can pose as the broker: remove it "
                "(ssl.ca.location names a CA of your own), or say --insecure",
            )


def from_variable(name: str) -> str:
    """The option that a variable means: shells allow no dots in names.

    >>> from_variable("sasl_password_file"), from_variable("log_level"), from_variable("fetch_max_bytes")
    ('sasl.password_file', 'log_level', 'fetch.max.bytes')
    """
    option = name.replace("_", ".")
    if option == "log.level":
        return "log_level"  # the one option that has an underscore
    if option.endswith(".file") and option not in PATHS:
        return option.removesuffix(".file") + FILE_SUFFIX
    return option


def _problems(name: str, value: Any) -> Iterator[tuple[Place, str]]:
    if _NAME.fullmatch(name) is None:
        text = "is no option's name: small letters, digits, dots, underscores (is there a space after the colon?)"
    elif name in RESERVED:
        text = f"is reserved: {RESERVED[name]}"
    elif name.endswith("_cb"):
        text = "is reserved: a callback belongs to the program"
    elif is_secret(name) and not isinstance(value, str | SecretStr):
        text = "should be text: put it in quotes"  # YAML reads 0123 as the number 83
    elif not isinstance(value, Option):
        text = "should be one text, number, true or false"
    elif value == "":
        text = "should not be empty"
    else:
        return
    yield (name,), text
