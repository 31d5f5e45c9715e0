"""`streammon record`: a topic, as it stands, to a file of envelopes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import Progress, add_config, load_settings


def add(commands: Any) -> None:
    parser = commands.add_parser("record", help="copy a topic to a file, for replay", allow_abbrev=False)
    add_config(parser, required=False)
    parser.add_argument("--topic", required=True, metavar="T")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka_reader import record
    from streammon.settings import kafka_options

    progress = Progress("record")
    count = record(kafka_options(load_settings(args)), args.topic, args.out, progress)
    progress.close()
    print(f"{count:,} records of {args.topic} to {args.out}")
