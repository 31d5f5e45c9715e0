"""`streammon replay`: the same engine over recorded events."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands.common import Progress, add_command, add_config, add_json, load_settings, print_json

if TYPE_CHECKING:
    from streammon.replay import Summary


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "replay",
        "run recorded events through the same engine",
        "replay --config streammon.yaml --from events.avro --out replayed",
        "Writes metrics.avro and alerts.avro, and prints a summary.",
    )
    add_config(parser, broker=False)
    parser.add_argument("--from", dest="recording", type=Path, required=True, metavar="FILE", help="recorded events")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for metrics.avro and alerts.avro")
    parser.add_argument("--replace", action="store_true", help="overwrite the results of an earlier replay in DIR")
    parser.add_argument(
        "--journal", type=Path, metavar="FILE", help="the recorded journal topic: decide what the live run decided"
    )
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon import replay
    from streammon.adapters.file_sink import check_directory

    settings = load_settings(args)
    check_directory(args.out, replace=args.replace)
    with Progress("replay") as progress:
        summary = replay.run(settings, args.recording, args.out, args.journal, progress)
    if args.json:
        print_json(replay.describe(summary))
        return
    for name, text in _lines(summary):
        print(f"{name:18} {text}")
    print(f"{'written to':18} {args.out}")


def _lines(summary: Summary) -> list[tuple[str, str]]:
    dead = ", ".join(f"{reason} {count:,}" for reason, count in summary.dead_letters.items())
    return [
        ("events", f"{summary.events:,}"),
        ("windows", f"{summary.windows:,}"),
        ("metrics", f"{summary.metrics:,}"),
        ("alerts", f"{summary.alerts:,}"),
        ("late", f"{summary.late:,}"),
        ("dead letters", dead or "none"),
        ("tombstones", f"{summary.tombstones:,}"),
        ("seconds", f"{summary.seconds:,}"),
        ("events per second", f"{summary.events_per_second:,}"),
        ("comparable", "yes" if summary.comparable else f"no: {summary.why_not_comparable}"),
    ]
