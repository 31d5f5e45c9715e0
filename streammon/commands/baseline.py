"""`streammon baseline build|show`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import Progress, add_config, add_json, load_settings, print_json


def add(commands: Any) -> None:
    parser = commands.add_parser("baseline", help="reference statistics of a model version", allow_abbrev=False)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    build = actions.add_parser("build", help="from recorded events", allow_abbrev=False)
    add_config(build)
    build.add_argument("--from", dest="recording", type=Path, required=True, metavar="FILE", help="recorded events")
    build.add_argument("--model", required=True, metavar="M", help="model_id")
    build.add_argument("--version", metavar="V", help="model_version, where the file holds several")
    build.add_argument("--out", type=Path, required=True, metavar="DIR")
    build.add_argument("--replace", action="store_true", help="overwrite a baseline that is there")
    build.set_defaults(execute=execute_build)
    show = actions.add_parser("show", help="what a baseline holds", allow_abbrev=False)
    show.add_argument("directory", type=Path, metavar="DIR")
    add_json(show)
    show.set_defaults(execute=execute_show)


def execute_build(args: argparse.Namespace) -> None:
    from streammon import assembly
    from streammon.adapters.recorded_source import RecordedSource
    from streammon.baselines.collect import Collector
    from streammon.baselines.store import check_target, save
    from streammon.core.outputs import Series
    from streammon.settings import plan

    settings = load_settings(args)
    check_target(args.out, replace=args.replace)
    source = RecordedSource(args.recording)
    decoder = assembly.decoder(settings)
    declared = plan(settings, source.topic).layout(Series(args.model, args.version or "", "*"))
    collector = Collector(args.model, args.version, declared.features)
    progress, read = Progress("baseline"), 0
    while not source.finished():
        records = source.poll(0.0)
        if records is not None:
            collector.add(decoder.decode(records))
            read += len(records)
            progress(read, source.records)
    baseline = collector.build()
    progress.close()
    save(baseline, args.out, replace=args.replace)
    print(
        f"{baseline.baseline_id}: {baseline.n:,} events, {len(baseline.feature_names)} features, "
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
