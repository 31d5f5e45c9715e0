"""`streammon run`: the worker."""

from __future__ import annotations

import argparse
from typing import Any

from streammon.commands.common import add_command, add_config, load_settings


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "run",
        "work on a topic: metrics and alerts, exactly once",
        "run --config streammon.yaml --start earliest",
        "Runs until SIGTERM or Ctrl-C. Start it several times to share the partitions.",
    )
    add_config(parser)
    parser.add_argument(
        "--start",
        metavar="earliest|latest|TIME",
        help="where partitions begin that this group has never read; ignored where there is state",
    )
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon import telemetry, worker
    from streammon.adapters.kafka.admin import start_spec

    settings = load_settings(args)
    if args.start is not None:
        start_spec(args.start)  # refuses a time that is none before anything is connected
    telemetry.set_up(settings.log.format, settings.log.level)
    worker.run(settings, args.start)
