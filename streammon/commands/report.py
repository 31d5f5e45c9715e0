"""`streammon report`: what was published, as one page to look at."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streammon.commands.common import (
    Progress,
    add_command,
    add_config,
    add_json,
    check_output,
    load_settings,
    print_json,
)
from streammon.core.errors import UsageError

TOPICS = "topics"


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "report",
        "make a page of metric and alert events",
        "report --from replayed --html report.html",
        "One file that needs nothing else: charts with thresholds and alerts, the distributions that moved, evidence. "
        "--config gives thresholds of all rules, and baselines; a directory may have settings.yaml, incidents.json and "
        "baselines/ of its own.",
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="DIR|topics",
        help="what replay or demo wrote, or the metric and alert topics of the settings, as they are now",
    )
    parser.add_argument("--html", type=Path, required=True, metavar="FILE", help="the page; a file is replaced")
    add_config(parser, required=False)
    parser.add_argument("--incidents", type=Path, metavar="FILE", help="known incidents, to mark them (JSON)")
    parser.add_argument("--model", default="*", metavar="PATTERN", help="model ids, a shell pattern")
    parser.add_argument("--lane", default="*", metavar="PATTERN", help="lanes, a shell pattern")
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon import report
    from streammon.report import sources

    check_output(args.html)
    if args.source == TOPICS:
        if args.config is None:
            raise UsageError("report: --from topics needs --config, which names them (a directory: ./topics)")
        source = sources.topics(load_settings(args), args.incidents)
    else:
        settings = None if args.config is None else load_settings(args)
        source = sources.directory(Path(args.source), settings, args.incidents)
    with Progress("report") as progress:
        written = report.write(source, args.html, model=args.model, lane=args.lane, progress=progress)
    if args.json:
        print_json(asdict(written))
        return
    print(
        f"{written.path}: {written.bytes / 1000:,.0f} kB, {written.series:,} series, {written.windows:,} windows, "
        f"{written.alerts:,} alerts, {written.charts:,} charts"
    )
    for sentence in written.left_out:
        print(f"left out to keep it small: it shows {sentence}")
