"""`streammon dead-letters list|show`: the records that could not be counted, and why; with `--late`, late events."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands.common import (
    Progress,
    add_command,
    add_config,
    add_json,
    at_least_one,
    load_settings,
    moment,
    print_json,
    time_text,
)
from streammon.core.errors import UsageError
from streammon.text import shown

if TYPE_CHECKING:
    from streammon.adapters.envelopes import Envelope
    from streammon.adapters.marked import Found
    from streammon.settings import Settings

LAST = 50
HEADS = ("first seen", "code", "field", "topic", "partition", "offset", "schema id", "bytes", "message")
WIDTHS = (20, 10, 16, 16, 9, 10, 16, 9, 0)


def add(commands: Any) -> None:
    example = "dead-letters list --config streammon.yaml --last 20"
    parser = add_command(commands, "dead-letters", "records that could not be counted, and why", example)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = add_command(
        actions, "list", "list dead letters, and count them by code and field", example, f"The last {LAST} by default."
    )
    _add_source(listing)
    which = listing.add_mutually_exclusive_group()
    which.add_argument("--last", type=at_least_one, metavar="N", help="those that were written last")
    which.add_argument("--from", dest="since", type=moment, metavar="TIME", help="those written at TIME or later")
    listing.add_argument("--code", metavar="CODE", help="only this reason, for example RANGE")
    add_json(listing)
    listing.set_defaults(execute=execute_list)
    show = add_command(
        actions,
        "show",
        "show one record: decoded as far as it goes, and the byte that is wrong",
        "dead-letters show --config streammon.yaml 3 4711",
        "Decodes with the schemas of the settings, which need not be those that refused it.",
    )
    _add_source(show)
    show.add_argument("partition", type=_number, metavar="PARTITION", help="of the record that was read")
    show.add_argument("offset", type=_number, metavar="OFFSET", help="of the same record")
    show.add_argument("--topic", metavar="T", help="that was read (default: topics.events of the settings)")
    show.add_argument("--stored", action="store_true", help="the numbers are those of the dead letter in its own topic")
    add_json(show)
    show.set_defaults(execute=execute_show)


def execute_list(args: argparse.Namespace) -> None:
    from streammon.core.errors import Code

    names = ["LATE"] if args.late else [code.name for code in Code if code not in (Code.OK, Code.TOMBSTONE)]
    if args.code is not None and args.code.upper() not in names:
        raise UsageError(f"--code {args.code}: there is no such code; codes are {', '.join(names)}")
    letters = list(_listed(args, load_settings(args)))
    counts = Counter((letter.code, letter.field) for letter in letters).most_common()
    if args.json:
        named = [{"code": code, "field": field, "count": count} for (code, field), count in counts]
        print_json({f"{_kind(args).replace(' ', '_')}s": list(map(_values, letters)), "counts": named})
        return
    if letters:
        _print_row(HEADS)
    for letter in letters:
        _print_row(_cells(letter))
    print(f"\n{len(letters):,} listed" if letters else f"no {_kind(args)}s")
    for (code, field), count in counts:
        print(f"{count:>9,}  {shown(code)}" + (f" in {shown(field)}" if field else ""))


def execute_show(args: argparse.Namespace) -> None:
    from streammon.commands.dead_letter_view import lines, values
    from streammon.settings import plan

    settings = load_settings(args)
    topic, place = args.topic or settings.topics.events, (args.partition, args.offset)

    def wanted(letter: Found) -> bool:
        return (
            letter.place == place if args.stored else (letter.topic, letter.partition, letter.offset) == (topic, *place)
        )

    with Progress("dead letters") as progress:
        matches = [letter for letter in _read(args, settings, progress) if wanted(letter)]
    if not matches:
        where = f"among the {_kind(args)}s themselves" if args.stored else f"of {topic}"
        raise UsageError(
            f"no {_kind(args)} of partition {args.partition}, offset {args.offset} {where}: "
            f"`streammon dead-letters list{' --late' * args.late}` shows those that there are"
        )
    letter = max(matches, key=lambda match: match.stored)
    decoding = plan(settings).decoding
    if args.json:
        print_json(_values(letter) | values(letter, decoding))
        return
    if len(matches) > 1:
        print(f"{len(matches)} {_kind(args)}s of this record; the latest:")
    for line in lines(letter, decoding):
        print(line)


def _add_source(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument(
        "--from-dir", type=Path, metavar="DIR", help="those of a replay, from its directory, instead of the topic"
    )
    parser.add_argument("--late", action="store_true", help="late events (of topics.late) instead of dead letters")


def _kind(args: argparse.Namespace) -> str:
    return "late event" if args.late else "dead letter"


def _topic(args: argparse.Namespace, settings: Settings) -> str:
    if not args.late:
        return settings.topics.dead_letters
    if settings.topics.late is None and args.from_dir is None:
        raise UsageError("topics.late is not set, so late events are counted and kept nowhere: name a topic for them")
    return settings.topics.late or ""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def _listed(args: argparse.Namespace, settings: Settings) -> Iterator[Found]:
    """By the time at which they were written."""

    def matching(letters: Iterator[Found]) -> list[Found]:
        kept = [letter for letter in letters if args.code is None or letter.code == args.code.upper()]
        return sorted(kept, key=lambda letter: (letter.stored, letter.place))

    if args.since is not None:
        yield from matching(letter for letter in _read(args, settings, since=args.since))
        return
    last = args.last or LAST
    reach = 2 * last  # offsets before the end of each partition: markers of transactions take some
    while True:
        from_the_start: list[bool] = []
        found = matching(_read(args, settings, reach=reach, from_the_start=from_the_start))
        if len(found) >= last or all(from_the_start):
            yield from found[-last:]
            return
        reach *= 16


def _read(
    args: argparse.Namespace,
    settings: Settings,
    progress: Progress | None = None,
    *,
    since: int | None = None,
    reach: int | None = None,
    from_the_start: list[bool] | None = None,
) -> Iterator[Found]:
    """From the topic or from a replay: all, those since a time, or those within reach of the end of each partition.

    `from_the_start` is told whether that was the beginning of each partition.
    """
    from streammon.adapters import dead_letters, file_sink, late_records
    from streammon.adapters.envelopes import read_envelopes
    from streammon.adapters.kafka.admin import Admin
    from streammon.adapters.kafka.reader import read
    from streammon.adapters.marked import found
    from streammon.settings import kafka_options

    options, prefix = kafka_options(settings), late_records.PREFIX if args.late else dead_letters.PREFIX
    topic = _topic(args, settings)

    def first(bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        if since is not None:
            return Admin(options).starts(topic, datetime.fromtimestamp(since / 1e6, UTC).isoformat())(list(bounds))
        if reach is None:
            return {}
        begin = {partition: max(low, high - reach) for partition, (low, high) in bounds.items()}
        if from_the_start is not None:
            from_the_start.extend(position == bounds[partition][0] for partition, position in begin.items())
        return begin

    envelopes: Iterable[Envelope]
    if args.from_dir is not None:
        path = args.from_dir / (file_sink.LATE if args.late else file_sink.DEAD_LETTERS)
        if not path.is_file():
            hint = " with topics.late set" if args.late else ""
            raise UsageError(f"{args.from_dir} holds no {path.name}: name the --out of a `streammon replay`{hint}")
        envelopes = (e for e in read_envelopes(path) if since is None or e.timestamp >= since // 1000)
    else:
        envelopes = read(options, topic, first)
    for number, envelope in enumerate(envelopes):
        if progress is not None:
            progress(number)
        letter = found(envelope, prefix)
        if letter is not None:
            yield letter


def _cells(letter: Found) -> tuple[str, ...]:
    numbers = (letter.partition, letter.offset)
    return (
        "-" if letter.first_seen is None else time_text(letter.first_seen * 1000),
        shown(letter.code),
        shown(letter.field or "-", 60),
        shown(letter.topic or "-"),
        *("-" if number is None else str(number) for number in numbers),
        shown(letter.schema_id or "-"),
        "-" if letter.size is None else f"{letter.size:,}",
        shown(letter.message),
    )


def _print_row(cells: tuple[str, ...]) -> None:
    print("  ".join(f"{cell:{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip())


def _values(letter: Found) -> dict[str, Any]:
    """For `--json`."""
    partition, offset = letter.place
    return {
        "stored": {"partition": partition, "offset": offset, "timestamp": letter.stored},
        **{name: getattr(letter, name) for name in ("code", "field", "topic", "partition", "offset", "schema_id")},
        **{name: getattr(letter, name) for name in ("message", "first_seen", "hash", "headers_cut")},
        "bytes": letter.size,
    }
