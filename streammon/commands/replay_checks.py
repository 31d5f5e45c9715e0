"""What `streammon replay` checks when it is done: against another run, another policy, known incidents."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands import backtest, compare
from streammon.core.errors import Refusal, UsageError

if TYPE_CHECKING:
    from streammon.backtest.compare import Comparison
    from streammon.backtest.published import Published
    from streammon.backtest.study import Study
    from streammon.settings import Settings


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--compare",
        metavar=compare.WHERE,
        help="say whether that run published the same: exit code 1 where it did not, 2 where it cannot be compared",
    )
    compare.add_tolerance(parser)
    backtest.add_questions(parser)


def prepare(args: argparse.Namespace, settings: Settings) -> Checks:
    """Refuses, before the work begins, files, folders and topics that cannot be read."""
    from streammon.backtest.published import named
    from streammon.settings import load, plan

    if args.compare is not None and Path(args.compare).resolve() == args.out.resolve():
        raise UsageError(f"--compare {args.compare} is what --out writes: name another run")
    there = None if args.compare is None else named(args.compare, settings)
    if args.compare is not None and not Path(args.compare).is_dir():
        _look_up(args.compare, settings)
    other = None if args.policy is None else plan(load(args.config, policy=args.policy)).policy
    live, incidents = plan(settings).policy, backtest.known(args.incidents)
    questions = backtest.Questions("replayed", live, args.policy, other, incidents)
    return Checks(there, args.tolerance, questions)


def _look_up(text: str, settings: Settings) -> None:
    """Refuse what is meant for a topic, and is none."""
    from streammon.adapters.kafka.admin import Admin
    from streammon.backtest.published import TOPIC, TOPICS
    from streammon.settings import kafka_options

    said = "" if text == TOPICS or text.startswith(TOPIC) else f"{text} is no directory here, so taken as a topic: "
    topic = settings.topics.metrics if text == TOPICS else text.removeprefix(TOPIC)
    try:
        found = topic in Admin(kafka_options(settings)).partitions()
    except Refusal as refusal:
        raise type(refusal)(f"--compare: {said}{refusal}") from refusal
    if not found:
        raise UsageError(f"--compare: {said}there is no topic {topic}: name another run")


class Checks:
    """Of one replay: `run` when its files are there, then `lines` or `values`, then `fail`."""

    def __init__(self, there: Published | None, tolerance: float, questions: backtest.Questions) -> None:
        self._there, self._tolerance, self._questions = there, tolerance, questions
        self._comparison: Comparison | None = None
        self._study: Study | None = None
        self._failure: Refusal | None = None

    def before(self, out: Path, why_not: str | None) -> None:
        """Refuse a comparison of which the log alone says that it cannot be made; `why_not`: as of Log."""
        if self._there is not None and why_not is not None:
            raise UsageError(f"{out} cannot be compared: {why_not}: leave --compare out")

    def run(self, out: Path, why_not: str | None) -> None:
        """`why_not`: the reason if the replay is not comparable with live, as its summary says it.

        What is wrong is kept for `fail`, so that the replay's own summary is printed first.
        """
        from streammon.backtest.published import directory

        here = directory(out)
        if self._questions.other is not None or self._questions.incidents is not None:
            self._study = self._questions.ask(here)
        if self._there is not None:
            try:
                if why_not is not None:
                    raise UsageError(f"{out} cannot be compared: {why_not}")
                self._comparison = compare.compared(here, self._there, self._tolerance)
                compare.check(self._comparison)
            except Refusal as refusal:
                self._failure = refusal

    def lines(self) -> Iterator[str]:
        """For people."""
        from streammon.commands import compare_view

        if self._study is not None:
            yield from self._questions.lines(self._study)
        if self._comparison is not None:
            yield from compare_view.lines(self._comparison)

    def values(self) -> dict[str, Any]:
        """For `--json`, beside the summary."""
        from streammon.commands import compare_view

        return {
            **({} if self._study is None else self._questions.values(self._study)),
            **({} if self._comparison is None else {"compare": compare_view.values(self._comparison)}),
        }

    def fail(self) -> None:
        """Raise what the comparison came to, if it is not as it should be."""
        if self._failure is not None:
            raise self._failure
