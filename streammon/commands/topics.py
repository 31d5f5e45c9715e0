"""`streammon topics create`."""

from __future__ import annotations

import argparse
from typing import Any

from streammon.commands.common import add_command, add_config, add_json, at_least_one, load_settings, print_json


def add(commands: Any) -> None:
    example = "topics create --config streammon.yaml"
    parser = add_command(commands, "topics", "the topics that streammon needs", example)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    create = add_command(
        actions, "create", "create those that are missing", example, "Topics that exist are left as they are."
    )
    add_config(create)
    create.add_argument(
        "--partitions", type=at_least_one, default=8, metavar="P", help="where the input does not exist (default 8)"
    )
    create.add_argument("--replication", type=at_least_one, metavar="R", help="factor (default: the broker's)")
    add_json(create)
    create.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka_admin import Admin
    from streammon.adapters.kafka_sink import Topics
    from streammon.settings import kafka_options

    settings = load_settings(args)
    admin = Admin(kafka_options(settings))
    done = admin.create(Topics(**settings.topics.model_dump()), args.partitions, args.replication)
    if args.json:
        print_json(done)
        return
    for name, what in done.items():
        print(f"{what:8} {name}")
