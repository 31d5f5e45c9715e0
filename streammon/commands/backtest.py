"""`streammon backtest`: another policy over what was published, and alerts against known incidents."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands.common import Progress, add_command, add_config, add_json, load_settings, print_json
from streammon.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streammon.backtest.published import Published
    from streammon.backtest.study import Study
    from streammon.core.plan import Policy
    from streammon.incidents import Incident


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "backtest",
        "judge published metric events by another policy, and alerts by known incidents",
        "backtest --from topics --config streammon.yaml --policy other.yaml --incidents known.json",
        "Needs no replay: all that rules look at is in the metric events. Times are event time; in JSON, microseconds.",
    )
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="DIR|topics|TOPIC",
        help="what replay or demo wrote, the topics of the settings, or another topic of metric events",
    )
    add_config(parser, required=False)
    add_questions(parser)
    add_json(parser)
    parser.set_defaults(execute=execute)


def add_questions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--policy",
        type=Path,
        metavar="FILE",
        help="settings, of which the rules count: which alerts they would add, drop, and give sooner or later",
    )
    parser.add_argument(
        "--incidents",
        type=Path,
        metavar="FILE",
        help="known incidents (JSON): by rule, those found and missed, how soon, and false alerts a week",
    )


def execute(args: argparse.Namespace) -> None:
    from streammon.backtest.published import named
    from streammon.settings import load

    if args.policy is None and args.incidents is None:
        raise UsageError("backtest: nothing is asked: add --policy FILE, --incidents FILE, or both")
    settings = None if args.config is None else load_settings(args)
    live = None if settings is None else _policy_of(settings)
    other = None if args.policy is None else _policy_of(load(args.config or args.policy, policy=args.policy))
    questions = Questions("live", live, args.policy, other, known(args.incidents))
    found = questions.ask(named(args.source, settings))
    if args.json:
        print_json(questions.values(found))
        return
    for line in questions.lines(found):
        print(line)


def _policy_of(settings: Any) -> Policy:
    from streammon.settings import plan

    return plan(settings).policy


def known(path: Path | None) -> tuple[Incident, ...] | None:
    """The incidents of a file."""
    from streammon import incidents

    return None if path is None else incidents.read(path)


@dataclass(frozen=True)
class Questions:
    """What is asked of a run, and the answers in words."""

    name: str  # of the policy in force, for people
    live: Policy | None  # the policy in force, where it is known
    path: Path | None  # of the other policy
    other: Policy | None
    incidents: tuple[Incident, ...] | None

    def ask(self, published: Published) -> Study:
        from dataclasses import replace

        from streammon.backtest.study import study

        with Progress("backtest") as progress:
            counting = replace(published, metrics=lambda: progress.counting(published.metrics()))
            return study(counting, self.live, self.other, self.incidents)

    def lines(self, found: Study) -> Iterator[str]:
        from streammon.commands import backtest_view as view

        if found.other is not None:
            yield from view.policy_lines(found, self.name, str(self.path))
        for card, name in ((found.live_card, self.name), (found.other_card, str(self.path))):
            if card is not None:
                yield from view.scorecard_lines(card, f"scorecard of {name}")
        if found.live_card is not None and found.foreign:
            why = "was not named (--config FILE)" if self.live is None else "is not that of --config"
            yield f"the policy in force {why}: of its rules only those with alerts are listed"

    def values(self, found: Study) -> dict[str, Any]:
        from streammon.commands import backtest_view as view

        cards = {"live": found.live_card, "other": found.other_card}
        return {
            **({} if found.other is None else {"policy": view.policy_values(found)}),
            **(
                {"scorecard": {name: view.scorecard_values(card) for name, card in cards.items() if card is not None}}
                if self.incidents is not None
                else {}
            ),
        }
