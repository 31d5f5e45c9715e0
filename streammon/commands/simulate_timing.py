"""Options of `streammon simulate` that make a stream as uneven as real traffic."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from streammon.core.errors import UsageError

if TYPE_CHECKING:
    from streammon.simulate.timing import Stretch, Timing

Parsed = tuple[Any, ...]


def add(parser: argparse.ArgumentParser) -> None:
    options = parser.add_argument_group("timing", "Durations are written 200ms, 90s, 5m or 20h.")
    options.add_argument(
        "--disorder",
        type=_one("DURATION[@SHARE]", _duration, _share),
        metavar="DURATION[@SHARE]",
        help="so late at most are records that had to be sent again, and so many were (default 2s@0.01)",
    )
    options.add_argument(
        "--bursts",
        type=_many("FACTORxDURATION@FRACTION", _burst, _share),
        default=(),
        metavar="FACTORxDURATION@FRACTION[,...]",
        help="so many times the traffic for so long, from a fraction of the span on: 5x1m@0.3",
    )
    options.add_argument(
        "--gaps",
        type=_many("DURATION@FRACTION", _duration, _share),
        default=(),
        metavar="DURATION@FRACTION[,...]",
        help="no events for so long, from a fraction of the span on: 10m@0.6",
    )
    options.add_argument(
        "--gaps-in", default="*/*", metavar="MODEL/LANE", help="only these fall silent; * for all (default */*)"
    )
    options.add_argument(
        "--batch",
        type=_one("SHARE@DURATION", _share, _duration, both=True),
        metavar="SHARE@DURATION",
        help="this share of the events is of a nightly job, in a lane `batch`, with times so far back: 0.2@20h",
    )
    options.add_argument(
        "--skew", type=_duration, default=0, metavar="DURATION", help="clocks of the producers are wrong, by so much"
    )
    options.add_argument(
        "--duplicates", type=_share, default=0.0, metavar="SHARE", help="of the records, delivered twice"
    )


def timing(args: argparse.Namespace) -> Timing:
    from streammon.simulate.timing import Stretch, Timing

    given: dict[str, Any] = {}
    if args.disorder is not None:
        given["disorder"], resent = args.disorder
        given |= {} if resent is None else {"resent": resent}
    if args.batch is not None:
        given["batch"], given["batch_age"] = args.batch
    model, _, lane = args.gaps_in.partition("/")
    gaps: tuple[Stretch, ...] = tuple(Stretch(at, length) for length, at in args.gaps)
    if not gaps and args.gaps_in != "*/*":
        raise UsageError("simulate: --gaps-in says where gaps are, and there are none: add --gaps")
    return Timing(
        **given,
        bursts=tuple(Stretch(at, length, factor) for (factor, length), at in args.bursts),
        gaps=gaps,
        silent=(model, lane or "*"),
        skew=args.skew,
        duplicates=args.duplicates,
    )


def _one(
    form: str, first: Callable[[str], Any], second: Callable[[str], Any], both: bool = False
) -> Callable[[str], Parsed]:
    """Reads FIRST@SECOND; without `both`, a missing second part is None."""

    def read(text: str) -> Parsed:
        one, at, other = text.partition("@")
        if both and not at:
            raise argparse.ArgumentTypeError(f"{text!r} should be written {form}")
        return first(one), second(other) if at else None

    return read


def _many(form: str, first: Callable[[str], Any], second: Callable[[str], Any]) -> Callable[[str], tuple[Parsed, ...]]:
    """Reads several, with commas between."""
    one = _one(form, first, second, both=True)
    return lambda text: tuple(one(part) for part in text.split(","))


def _burst(text: str) -> tuple[float, int]:
    factor, x, length = text.partition("x")
    if not x:
        raise argparse.ArgumentTypeError(f"{text!r} should say how many times the traffic, and for how long: 5x1m")
    return _number(factor, "how many times the traffic there is"), _duration(length)


def _duration(text: str) -> int:
    """Microseconds."""
    from streammon.settings.durations import microseconds, parse_duration

    try:
        return microseconds(parse_duration(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} {error}") from None


def _share(text: str) -> float:
    return _number(text, "a share, 0 to 1")


def _number(text: str, meaning: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {meaning}") from None
