"""`streammon check`: are the settings right, and what do they mean?"""

from __future__ import annotations

import argparse
from typing import Any

from streammon.commands.common import add_command, add_config, add_json, at_least_one, load_settings, print_json
from streammon.core.errors import CheckFailed


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "check",
        "check the settings, and say what they mean",
        "check --config streammon.yaml",
        "Asks no broker: streammon doctor does.",
    )
    add_config(parser, broker=False)
    parser.add_argument(
        "--series", type=at_least_one, metavar="N", help="in a partition, for the memory (default: as many as may be)"
    )
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.outline import outline, problems, text

    values = outline(load_settings(args), args.series)
    wrong = problems(values)
    if args.json:
        print_json({**values, "problems": wrong})
    else:
        print(text(values))
    if wrong:
        raise CheckFailed("\n".join(wrong))
