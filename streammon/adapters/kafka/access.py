"""What a worker has to be allowed to do, and the commands that allow it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from typing import NamedTuple

from streammon.adapters.kafka.sink import Topics

TOPIC, GROUP, TRANSACTIONAL_ID = "topic", "group", "transactional-id"  # as kafka-acls.sh names its options

_OPERATIONS = {  # by role of the topic
    "events": ("Read",),
    "metrics": ("Write",),
    "alerts": ("Write",),
    "dead_letters": ("Write",),
    "late": ("Write",),
    "journal": ("Read", "Write"),
    "changelog": ("Read", "Write"),
}
READ_SETTINGS = "DescribeConfigs"


class Need(NamedTuple):
    """Operations on one resource."""

    kind: str
    name: str  # with `prefixed`, of everything that begins so
    operations: tuple[str, ...]
    prefixed: bool = False


def transactional_ids(group: str) -> str:
    """What the transactional ids of a group's workers begin with."""
    return f"streammon.{group}."


def needs(topics: Topics, group: str) -> list[Need]:
    """What `streammon run` does. Describe is implied by Read and by Write."""
    return [
        *(Need(TOPIC, name, _OPERATIONS[role]) for role, name in topics.by_role.items()),
        Need(GROUP, group, ("Read",)),
        Need(TRANSACTIONAL_ID, transactional_ids(group), ("Write",), prefixed=True),
    ]


def settings_needs(topics: Topics) -> list[Need]:
    """What `topics describe` and `doctor` read besides, to see the settings of topics."""
    return [Need(TOPIC, name, (READ_SETTINGS,)) for name in topics.by_role.values()]


def missing(need: Need, allowed: Collection[str]) -> Need | None:
    """What is left of a need where these operations are allowed; None where nothing is."""
    left = tuple(operation for operation in need.operations if operation not in allowed)
    return need._replace(operations=left) if left else None


def grants(wanted: Collection[Need], principal: str, bootstrap: str) -> Iterator[str]:
    """The kafka-acls.sh commands that allow what is wanted, for a user who may alter the cluster's ACLs.

    >>> for line in grants([Need(GROUP, "g", ("Read",))], "User:w", "localhost:9092"): print(line)
    kafka-acls.sh --bootstrap-server localhost:9092 --add --allow-principal User:w --operation Read --group g
    """
    for need in wanted:
        operations = [word for operation in need.operations for word in ("--operation", operation)]
        resource = [f"--{need.kind}", need.name]
        pattern = ["--resource-pattern-type", "prefixed"] if need.prefixed else []
        yield shlex.join(
            [
                *("kafka-acls.sh", "--bootstrap-server", bootstrap, "--add", "--allow-principal", principal),
                *operations,
                *resource,
                *pattern,
            ]
        )
