"""Findings about what this user may do: each operation that a worker needs and that the broker would deny."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streammon.adapters.kafka.access import GROUP, TOPIC, TRANSACTIONAL_ID, Need, grants, missing, needs
from streammon.adapters.kafka.errors import DENIED
from streammon.adapters.kafka.probe import Group
from streammon.adapters.kafka.sink import Topics
from streammon.adapters.kafka.topics import Topic
from streammon.doctor.finding import Finding, fail, ok, unknown


def of_access(
    topics: Sequence[Topic], group: Group, producer: Any, names: Topics, group_name: str, options: Mapping[str, Any]
) -> Iterator[Finding]:
    """`producer`: what the broker objected to when a producer asked for its transactions; None: nothing."""
    allowed = {topic.name: frozenset() if topic.denied else topic.allowed for topic in topics}
    denied: list[Need] = []
    silent: list[str] = []  # what does not exist, and a broker that does not tell
    for need in needs(names, group_name):
        if need.kind == TRANSACTIONAL_ID:
            denied += [need] if producer is not None and producer.code() in DENIED else []
            continue
        if need.kind == TOPIC:
            may = allowed[need.name]
        else:
            assert need.kind == GROUP
            may = frozenset() if group.error is not None and group.error.code() in DENIED else group.allowed
        if may is None:
            silent.append(need.name)
            continue
        left = missing(need, may)
        denied += [] if left is None else [left]
    principal, bootstrap = principal_of(options), str(options["bootstrap.servers"])
    for need in denied:
        on = f"{need.kind} {need.name}{'*' * need.prefixed}"
        yield fail("access", f"{' and '.join(need.operations)} denied on {on}", *grants([need], principal, bootstrap))
    if silent:
        yield unknown("access", f"the broker does not say what is allowed on {', '.join(silent)}")
    elif not denied:
        yield ok("access", "topics, group and transactions: this user may do all that a worker does")


def principal_of(options: Mapping[str, Any]) -> str:
    """This user, as an ACL names it.

    >>> principal_of({"security.protocol": "SASL_SSL", "sasl.username": "worker"}), principal_of({})
    ('User:worker', 'User:ANONYMOUS')
    """
    protocol = str(options.get("security.protocol", "plaintext")).lower()
    if protocol == "plaintext":
        return "User:ANONYMOUS"
    name = options.get("sasl.username") if protocol.startswith("sasl") else None
    return f"User:{name or 'NAME'}"  # of a certificate or a token: the broker knows
