"""`streammon demo`: drift found and explained, with nothing but this package."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import add_command, add_json, at_least_one, moment, print_json
from streammon.core.errors import CheckFailed

DEFAULT_OUT = Path("streammon-demo")


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "demo",
        "see drift found: broker, service and worker in one process",
        "demo --seed 7 --kinds latency --minutes 20",
        "Ends by itself and writes to one folder only. Exit code 1 if a drift was not found, or something else was.",
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="what it makes (default streammon-demo)"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="another service, other users (default 1)")
    parser.add_argument(
        "--minutes", type=at_least_one, default=40, metavar="M", help="of event time, the first half clean (default 40)"
    )
    parser.add_argument(
        "--kinds",
        default="covariate,class_mix,latency",
        metavar="KIND[,KIND]|none",
        help="drift, one after the other: covariate, class_mix, latency, errors, missing (default: the first three)",
    )
    parser.add_argument("--keep", action="store_true", help="record what the worker reads, for `streammon replay`")
    parser.add_argument("--bootstrap", metavar="HOST:PORT", help="a broker of yours, instead of the embedded one")
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.demo.play import play
    from streammon.demo.scenario import Scenario
    from streammon.demo.screen import Screen
    from streammon.demo.summary import as_json, lines

    kinds = () if args.kinds == "none" else tuple(args.kinds.split(","))
    scenario = Scenario(now=moment("now"), seed=args.seed, kinds=kinds, minutes=args.minutes)
    with Screen(silent=args.json) as screen:
        screen.line(f"streammon demo, seed {args.seed}; everything it makes goes to {args.out}")
        performance = play(scenario, args.out, args.bootstrap, args.keep, screen)
        for line in lines(performance, args.keep):
            screen.line(line)
    if args.json:
        print_json(as_json(performance))
    if performance.problem is not None:
        raise CheckFailed(f"demo: {performance.problem}")
