"""`streammon compare`: whether two runs published the same."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from streammon.commands.common import Progress, add_command, add_config, add_json, load_settings, print_json
from streammon.core.errors import CheckFailed

if TYPE_CHECKING:
    from streammon.backtest.compare import Comparison
    from streammon.backtest.published import Published

WHERE = "DIR|topics|TOPIC"


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "compare",
        "say whether two runs published the same",
        "compare replayed topics --config streammon.yaml",
        "Matches metric and alert events by identity and shows the first differences, field by field; exit code 1 "
        "where there are any. Ids, counts and integers are compared exactly, floats bit for bit.",
    )
    parser.add_argument(
        "here",
        metavar=WHERE,
        help="what replay or demo wrote, the topics of the settings, or another topic of metric events",
    )
    parser.add_argument("there", metavar=WHERE, help="the same, of the other run")
    add_config(parser, required=False)
    add_tolerance(parser)
    add_json(parser)
    parser.set_defaults(execute=execute)


def add_tolerance(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tolerance",
        type=share,
        default=0.0,
        metavar="R",
        help="floats may differ by this share of the greater one: 1e-9 where build or processor differ (default 0)",
    )


def execute(args: argparse.Namespace) -> None:
    from streammon.backtest.published import named
    from streammon.commands import compare_view

    settings = None if args.config is None else load_settings(args)
    here, there = named(args.here, settings), named(args.there, settings)
    found = compared(here, there, args.tolerance)
    if args.json:
        print_json(compare_view.values(found))
    else:
        for line in compare_view.lines(found):
            print(line)
    check(found)


def compared(here: Published, there: Published, tolerance: float) -> Comparison:
    """With a line of progress: events of `here` read."""
    from dataclasses import replace

    from streammon.backtest.compare import compare

    with Progress("compare") as progress:
        return compare(replace(here, metrics=lambda: progress.counting(here.metrics())), there, tolerance)


def check(found: Comparison) -> None:
    """CheckFailed where the two differ."""
    if found.agrees:
        return
    sides = [side for side in (found.metrics, found.alerts) if side is not None]
    counts = {
        "different": sum(side.different for side in sides),
        "only here": sum(side.only_here for side in sides),
        "only there": sum(side.only_there for side in sides),
        "published twice": sum(side.twice_here + side.twice_there for side in sides),
        "judged by another policy": sum(side.policies.total() for side in sides),
    }
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    raise CheckFailed(f"{found.here} and {found.there} differ: {said} (events)")


def share(text: str) -> float:
    """A number from 0 to less than 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to less than 1")
    return number
