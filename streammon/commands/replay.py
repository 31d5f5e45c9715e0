"""`streammon replay`: the same engine over recorded events, or over a stretch of a topic."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands import replay_checks
from streammon.commands.common import (
    Progress,
    add_command,
    add_config,
    add_json,
    at_least_one,
    load_settings,
    print_json,
    time_text,
)
from streammon.core.errors import Refusal, UsageError

if TYPE_CHECKING:
    from streammon.core.journal import JournalEntry
    from streammon.replay import Log, Summary
    from streammon.settings import Settings

NO_JOURNAL = "none"


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "replay",
        "run recorded events through the same engine",
        "replay --config streammon.yaml --from events.avro --out replayed",
        "Writes metrics.avro and alerts.avro, and prints a summary. Ctrl-C leaves what --resume goes on with.",
    )
    add_config(parser)
    parser.add_argument(
        "--from",
        dest="start",
        nargs="+",
        metavar="FILE",
        help="recorded events, or CSV, JSON lines, Parquet or Avro; with --topic where to begin: beginning (default), "
        "an offset, or a time",
    )
    parser.add_argument(
        "--topic", metavar="T", help="read this topic of the broker instead of files, outside any group"
    )
    parser.add_argument("--to", metavar="PLACE", help="with --topic, where to end: now (default), an offset, or a time")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="for metrics.avro and alerts.avro")
    parser.add_argument("--replace", action="store_true", help="overwrite the results of an earlier replay in DIR")
    parser.add_argument("--resume", action="store_true", help="go on with the unfinished replay in DIR")
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="the recorded journal topic: decide what the live run decided; with --topic the journal is that of the "
        f"settings, unless this is `{NO_JOURNAL}`",
    )
    parser.add_argument(
        "--jobs",
        type=at_least_one,
        metavar="N",
        help="processes that share the partitions (default: cores, if many events)",
    )
    replay_checks.add(parser)
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    _check(args)
    from streammon import replay

    settings = load_settings(args)
    _check_out(args, settings)
    checks = replay_checks.prepare(args, settings)
    with Progress("replay") as progress:
        log = _log(args, settings, progress)
        checks.before(args.out, log.why_not)
        journal = _journal(args, settings, log)
        try:
            summary = replay.run(
                settings,
                log,
                args.out,
                journal=journal,
                jobs=args.jobs,
                resume=args.resume,
                progress=lambda done, total, reached: progress(
                    done, total, "" if reached is None else f"at {time_text(reached)}"
                ),
            )
        except Refusal:
            raise
        except BaseException:
            progress.clear()
            if replay.unfinished(args.out) is not None:
                said = f"streammon: {args.out} holds the unfinished work: the same command with --resume goes on"
                print(said, file=sys.stderr)
            raise
    checks.run(args.out, summary.why_not_comparable)
    if args.json:
        print_json({**replay.describe(summary), **checks.values()})
    else:
        for name, text in _lines(summary, args):
            print(f"{name:18} {text}")
        print(f"{'written to':18} {args.out}")
        for line in checks.lines():
            print(line)
    checks.fail()


def _check(args: argparse.Namespace) -> None:
    """What the parser cannot say."""
    if args.topic is None:
        if not args.start:
            raise UsageError("replay: --from: name recorded files, or a --topic; see streammon replay --help")
        if args.to is not None:
            raise UsageError("replay: --to goes with --topic: recorded files are replayed whole")
    elif args.start is not None and len(args.start) != 1:
        raise UsageError("replay: with --topic, --from is one place: beginning, an offset, or a time")
    if args.topic is not None and args.journal is not None and str(args.journal) != NO_JOURNAL:
        raise UsageError(f"replay: with --topic the journal is the one of the settings: only `{NO_JOURNAL}` is taken")
    if args.topic is not None:
        from streammon.adapters.kafka.topic_source import check_place

        start, end = _stretch(args)
        check_place(start, "--from")
        check_place(end, "--to")
    if args.resume and args.replace:
        raise UsageError("replay: --resume goes on, --replace begins anew: give one of them")


def _stretch(args: argparse.Namespace) -> tuple[str, str]:
    """Of the topic: where to begin, and where to end."""
    return (args.start or ["beginning"])[0], args.to or "now"


def _check_out(args: argparse.Namespace, settings: Settings) -> None:
    from streammon.adapters.file_sink import check_directory
    from streammon.replay import unfinished

    if str(args.out).removeprefix("topic:") in settings.topics.model_dump().values() and not args.out.is_dir():
        raise UsageError(f"--out {args.out} is a live topic: a replay writes files; name a directory")
    if not args.resume and not args.replace and unfinished(args.out) is not None:
        raise UsageError(
            f"{args.out} holds a replay that was not finished: go on with --resume, or begin anew with --replace"
        )
    check_directory(args.out, replace=args.replace or args.resume)


def _log(args: argparse.Namespace, settings: Settings, progress: Progress) -> Log:
    from streammon import replay

    if args.topic is None:
        seen = 0

        def heard(records: int) -> None:
            nonlocal seen
            seen += records
            progress(seen, 0, "looked through")

        return replay.of_files([Path(name) for name in args.start], settings, heard)
    before = replay.unfinished(args.out) if args.resume else None
    start, end = _stretch(args)
    found = None if before is None else before["records"]
    if found is not None and (found.get("topic"), found.get("asked")) != (args.topic, [start, end]):
        found = None  # something else was asked for: refused with the rest
    return replay.of_topic(settings, args.topic, start, end, found)


def _journal(args: argparse.Namespace, settings: Settings, log: Log) -> list[JournalEntry] | None:
    if args.topic is not None:
        from streammon.adapters.kafka.topic_source import topic_journal
        from streammon.settings import kafka_options

        if args.journal is not None:
            return None
        return topic_journal(kafka_options(settings), settings.topics.journal, log.topic)
    from streammon.adapters.recorded_source import read_journal
    from streammon.replay.logs import Foreign

    if args.journal is None:
        return None
    if isinstance(log, Foreign):
        raise UsageError("--journal: it says at which offsets live decided, and rows of files have none: leave it out")
    return read_journal(args.journal, log.topic)


def _lines(summary: Summary, args: argparse.Namespace) -> list[tuple[str, str]]:
    dead = ", ".join(f"{reason} {count:,}" for reason, count in summary.dead_letters.items())
    since = "" if summary.comparable_from is None else f" from {time_text(summary.comparable_from)} on"
    lines = [
        ("events", f"{summary.events:,}"),
        ("windows", f"{summary.windows:,}"),
        ("metrics", f"{summary.metrics:,}"),
        ("alerts", f"{summary.alerts:,}"),
        ("late", f"{summary.late:,}"),
        ("dead letters", dead or "none"),
        ("tombstones", f"{summary.tombstones:,}"),
        ("seconds", f"{summary.seconds:,}"),
        ("events per second", f"{summary.events_per_second:,}"),
        ("comparable", f"yes{since}" if summary.comparable else f"no: {summary.why_not_comparable}"),
    ]
    if summary.journal is not None:
        lines.insert(0, ("journal", f"{summary.journal:,} entries"))
    elif args.topic is not None:
        lines.insert(0, ("journal", "none: the settings decide"))
    return lines
