"""`streammon baseline build|show`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import (
    Progress,
    add_command,
    add_config,
    add_json,
    load_settings,
    print_json,
)
from streammon.text import counted

BUILD = "baseline build --config streammon.yaml --from events.avro --model digits-0 --out baselines/digits-0"


def add(commands: Any) -> None:
    parser = add_command(commands, "baseline", "reference statistics of a model version", BUILD)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    build = add_command(
        actions,
        "build",
        "make a baseline from recorded events or a table",
        BUILD,
        "Features have the names that the settings (models) give them.",
    )
    add_config(build, broker=False)
    build.add_argument(
        "--from",
        dest="recordings",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="recorded events, or CSV, JSON lines, Parquet or Avro with the columns that input.mapping names",
    )
    build.add_argument("--model", required=True, metavar="M", help="model_id")
    build.add_argument("--version", metavar="V", help="model_version, where the file holds several")
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="what to make")
    build.add_argument("--replace", action="store_true", help="overwrite a baseline that is there")
    build.set_defaults(execute=execute_build)
    show = add_command(actions, "show", "print what a baseline holds", "baseline show baselines/digits-0")
    show.add_argument("directory", type=Path, metavar="DIR", help="what build made")
    add_json(show)
    show.set_defaults(execute=execute_show)


def execute_build(args: argparse.Namespace) -> None:
    from streammon.baselines.collect import Collector
    from streammon.baselines.store import check_target, save
    from streammon.core.outputs import Series
    from streammon.replay import of_files
    from streammon.settings import plan

    settings = load_settings(args)
    check_target(args.out, replace=args.replace)
    log = of_files(args.recordings, settings)
    the_plan = plan(settings, log.topic)
    source, decoder = log.open(the_plan, list(log.spans))
    total = sum(span.records for span in log.spans.values())
    declared = the_plan.layout(Series(args.model, args.version or "", "*"))
    collector = Collector(args.model, args.version, declared.features)
    read = 0
    with Progress("baseline") as progress:
        while not source.finished():
            records = source.poll(0.0)
            if records is not None:
                collector.add(decoder.decode(records))
                read += len(records)
                progress(read, total)
    baseline = collector.build()
    save(baseline, args.out, replace=args.replace)
    print(
        f"{baseline.baseline_id}: {counted(baseline.n, 'event')}, {len(baseline.feature_names)} features, "
        f"{len(baseline.class_names)} classes, in {args.out}"
    )


def execute_show(args: argparse.Namespace) -> None:
    from streammon.baselines.show import describe, table
    from streammon.baselines.store import load

    baseline = load(args.directory)
    if args.json:
        print_json(describe(baseline))
    else:
        print(table(baseline))
