"""`streammon run`: the worker."""

from __future__ import annotations

import argparse
from typing import Any

from streammon.commands.common import add_config, load_settings


def add(commands: Any) -> None:
    parser = commands.add_parser("run", help="work on a topic: metrics and alerts, exactly once", allow_abbrev=False)
    add_config(parser)
    parser.add_argument(
        "--start",
        metavar="earliest|latest|TIME",
        help="where partitions begin that this group has never read; ignored where there is state",
    )
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon import telemetry, worker

    settings = load_settings(args)
    telemetry.set_up(settings.log.format, settings.log.level)
    worker.run(settings, args.start)
