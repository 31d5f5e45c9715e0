"""`streammon replay`: the same engine over recorded events."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import Progress, add_config, add_json, load_settings, print_json


def add(commands: Any) -> None:
    parser = commands.add_parser("replay", help="run recorded events through the same engine", allow_abbrev=False)
    add_config(parser)
    parser.add_argument("--from", dest="recording", type=Path, required=True, metavar="FILE", help="recorded events")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for metrics.avro and alerts.avro")
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="the recorded journal topic: decide what the live run decided"
    )
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon import replay

    settings = load_settings(args)
    progress = Progress("replay")
    summary = replay.run(settings, args.recording, args.out, args.journal, progress)
    progress.close()
    values = replay.describe(summary)
    if args.json:
        print_json(values)
        return
    dead = ", ".join(f"{reason} {count}" for reason, count in summary.dead_letters.items()) or "none"
    for name, value in {**values, "dead_letters": dead}.items():
        print(f"{name.replace('_', ' '):18} {value:,}" if isinstance(value, int | float) else f"{name:18} {value}")
    print(f"{'written to':18} {args.out}")
