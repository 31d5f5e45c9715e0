"""`streammon record`: a topic, as it stands, to a file of envelopes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import Progress, add_command, add_config, check_output, load_settings
from streammon.core.errors import UsageError
from streammon.text import counted


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "record",
        "copy a topic to a file, for replay",
        "record --topic inference-events --out events.avro",
        "Copies what is committed when it starts, then stops.",
    )
    add_config(parser, required=False)
    parser.add_argument("--topic", required=True, metavar="T", help="what to copy")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="a file that does not exist yet")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka.reader import record
    from streammon.settings import kafka_options

    options = kafka_options(load_settings(args))
    check_output(args.out)
    if args.out.exists():
        raise UsageError(f"{args.out} exists: choose another --out, or delete it")
    with Progress("record") as progress:
        count = record(options, args.topic, args.out, progress)
    print(f"{counted(count, 'record')} of {args.topic} to {args.out}")
