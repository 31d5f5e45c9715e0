"""`streammon topics create|describe|acls`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from streammon.commands.common import (
    add_command,
    add_config,
    add_json,
    at_least_one,
    load_settings,
    print_json,
    topics_of,
)
from streammon.text import counted

if TYPE_CHECKING:
    from streammon.adapters.kafka.topics import Topic

CREATE = "topics create --config streammon.yaml"
PARTITIONS = 8  # of an input that does not exist


def add(commands: Any) -> None:
    parser = add_command(commands, "topics", "the topics that streammon needs", CREATE)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = add_command(
        actions, "create", "create those that are missing", CREATE, "Topics that exist are left as they are."
    )
    add_config(create)
    create.add_argument(
        "--partitions",
        type=at_least_one,
        default=PARTITIONS,
        metavar="P",
        help=f"where the input does not exist (default {PARTITIONS})",
    )
    create.add_argument("--replication", type=at_least_one, metavar="R", help="factor (default: the broker's)")
    add_json(create)
    create.set_defaults(execute=execute_create)
    describe = add_command(
        actions,
        "describe",
        "how they are, and what differs from what create would make",
        "topics describe --config streammon.yaml",
    )
    add_config(describe)
    add_json(describe)
    describe.set_defaults(execute=execute_describe)
    acls = add_command(
        actions,
        "acls",
        "what a worker has to be allowed to do",
        "topics acls --config streammon.yaml --principal User:streammon",
        "Prints kafka-acls.sh commands; asks no broker.",
    )
    add_config(acls)
    acls.add_argument("--principal", required=True, metavar="P", help="of the worker, for example User:streammon")
    add_json(acls)
    acls.set_defaults(execute=execute_acls)


def execute_create(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka.admin import Admin
    from streammon.settings import kafka_options

    settings = load_settings(args)
    done = Admin(kafka_options(settings)).create(topics_of(settings), args.partitions, args.replication)
    if args.json:
        print_json(done)
        return
    for name, what in done.items():
        print(f"{what:8} {name}")


def execute_describe(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka.admin import Admin
    from streammon.settings import kafka_options

    settings = load_settings(args)
    topics = topics_of(settings)
    found = Admin(kafka_options(settings)).describe(topics)
    count = found[0].partitions or PARTITIONS  # of the input, which the others follow
    values = {topic.name: _values(topic, count) for topic in found}
    if args.json:
        print_json(values)
        return
    for name, value in values.items():
        print(f"{name}\n  {value['role']}: {_line(value)}")
        for setting, (now, create) in value["differs"].items():
            print(f"  {setting} is {now}; topics create would set {create}")


def execute_acls(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka.access import grants, needs, settings_needs
    from streammon.settings import kafka_options

    settings = load_settings(args)
    topics, bootstrap = topics_of(settings), str(kafka_options(settings)["bootstrap.servers"])
    run = list(grants(needs(topics, settings.group), args.principal, bootstrap))
    look = list(grants(settings_needs(topics), args.principal, bootstrap))
    if args.json:
        print_json({"run": run, "describe": look})
        return
    print("# streammon run", *run, "# besides, for streammon topics describe and doctor", *look, sep="\n")


def _values(topic: Topic, partitions: int) -> dict[str, Any]:
    """For `--json`."""
    from streammon.adapters.kafka.topics import differences

    return {
        "role": topic.role,
        "state": "exists" if topic.error is None else "denied" if topic.denied else "missing",
        "partitions": topic.partitions,
        "replication": topic.replication,
        "in_sync": topic.in_sync,
        "settings": topic.settings,
        "offsets": topic.spans and {str(p): list(span) for p, span in topic.spans.items()},
        "differs": {} if topic.error else differences(topic, partitions),
    }


def _line(value: dict[str, Any]) -> str:
    if value["state"] == "missing":
        return "does not exist; `streammon topics create` makes it"
    if value["state"] == "denied":
        return "this user may not see it; `streammon topics acls` prints what a worker has to be allowed"
    parts = [counted(value["partitions"], "partition"), counted(value["replication"], "replica")]
    if value["settings"] is None:
        parts.append("settings unknown (DescribeConfigs is not allowed)")
    else:
        parts += [value["settings"].get(name, "") for name in ("message.timestamp.type", "cleanup.policy")]
        parts.append(retention_text(value["settings"].get("retention.ms", "")))
    if value["offsets"] is not None:
        held = sum(end - begin for begin, end in value["offsets"].values())
        parts.append(f"{counted(held, 'offset')} ({_spans(value['offsets'])})" if held else "empty")
    return ", ".join(part for part in parts if part)


def _spans(offsets: dict[str, list[int]]) -> str:
    """Offsets of the partitions that hold any, the first few."""
    spans = [f"{p}: {begin:,} to {end - 1:,}" for p, (begin, end) in offsets.items() if end > begin]
    return "; ".join(spans[:4] + (["..."] if len(spans) > 4 else []))


def retention_text(milliseconds: str) -> str:
    """Of retention.ms.

    >>> retention_text("-1"), retention_text("604800000")
    ('kept for ever', 'kept for 7d')
    """
    from datetime import timedelta

    from streammon.settings.durations import duration_text

    if not milliseconds.isdigit():
        return "kept for ever" if milliseconds == "-1" else ""
    return f"kept for {duration_text(timedelta(milliseconds=int(milliseconds)))}"
