"""`streammon simulate`: real inferences as a stream, to a file or to Kafka."""

from __future__ import annotations

import argparse
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streammon.commands import simulate_timing
from streammon.commands.common import (
    Progress,
    add_command,
    add_config,
    at_least_one,
    check_output,
    load_settings,
    moment,
    positive,
    time_text,
)
from streammon.core.errors import UsageError
from streammon.text import counted

if TYPE_CHECKING:
    from streammon.incidents import Incident
    from streammon.settings import Settings
    from streammon.simulate.config import Simulation

KAFKA = "kafka"


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "simulate",
        "make a stream of real inferences, with drift if asked for",
        "simulate --to events.avro --events 200000 --drift covariate --drift-at 0.5",
        "The same seed and the same --end give the same bytes.",
    )
    add_config(parser, required=False)
    parser.add_argument(
        "--to", required=True, metavar="FILE|kafka", help="recorded events (a file is replaced), or the input topic"
    )
    parser.add_argument("--events", type=at_least_one, required=True, metavar="N", help="how many")
    parser.add_argument("--models", type=at_least_one, default=1, metavar="M", help="digits-0, ... (default 1)")
    parser.add_argument("--lanes", default="prod,canary", help="comma-separated (default prod,canary)")
    parser.add_argument("--partitions", type=at_least_one, metavar="P", help="of a file (default 1)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of everything that is drawn (default 0)")
    parser.add_argument(
        "--end", type=moment, default="now", metavar="TIME", help="event time of the last event (default now)"
    )
    parser.add_argument("--span", type=positive, metavar="SECONDS", help="event time that the stream covers")
    parser.add_argument(
        "--drift",
        type=_kinds,
        default=(),
        metavar="KIND[@FRACTION][,...]",
        help="covariate, class_mix, embedding, latency, errors, missing; each from its own fraction of the span on",
    )
    parser.add_argument(
        "--drift-at", type=float, default=0.5, metavar="FRACTION", help="for kinds that name none (default 0.5)"
    )
    parser.add_argument("--drift-in", default="*/*", metavar="MODEL/LANE", help="only there; * for all (default */*)")
    parser.add_argument(
        "--incidents",
        type=Path,
        metavar="FILE",
        help="write down what drifts or falls silent, where and when, for reports",
    )
    parser.add_argument(
        "--pace", type=positive, metavar="N", help="events per second of wall time, to kafka (default: no limit)"
    )
    simulate_timing.add(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    settings = load_settings(args)
    config = _config(args)
    if args.incidents is not None:
        check_output(args.incidents)
    with Progress("simulate") as line:

        def progress(done: int, _: float) -> None:
            line(done, config.events)

        if args.to == KAFKA:
            records, where = _to_kafka(settings, config, args.pace, progress)
        else:
            from streammon.simulate.output import simulate_to_file

            check_output(Path(args.to))
            records = simulate_to_file(config, Path(args.to), settings.topics.events, progress)
            where = args.to
    if args.incidents is not None:
        from streammon import incidents

        incidents.write(args.incidents, _incidents(config))
    starts = sorted(set(config.onsets.values()))
    drift = " and ".join(
        f"{' and '.join(kind for kind, onset in config.onsets.items() if onset == start)} drift from {time_text(start)}"
        for start in starts
    )
    drift = drift and f", {drift}"
    series = f"{counted(config.models, 'model')} x {counted(len(config.every_lane), 'lane')}"
    sent = "" if records == config.events else f" as {counted(records, 'record')}"
    times = f"{time_text(config.start)} to {time_text(config.end)}"
    print(f"{counted(config.events, 'event')} of {series}, {times}{drift}, to {where}{sent}")


def _config(args: argparse.Namespace) -> Simulation:
    from streammon.simulate.config import Simulation

    if args.to == KAFKA and args.partitions is not None:
        raise UsageError("simulate: --partitions is for files: a topic has its own, see streammon topics create")
    if args.to != KAFKA and args.pace is not None:
        raise UsageError("simulate: --pace is for --to kafka: a file is written as fast as possible")
    model, _, lane = args.drift_in.partition("/")
    return Simulation(
        events=args.events,
        end=args.end,
        models=args.models,
        partitions=args.partitions or 1,
        seed=args.seed,
        lanes=tuple(args.lanes.split(",")),
        span=args.span,
        drift=tuple(kind for kind, _ in args.drift),
        drift_at=tuple(args.drift_at if share is None else share for _, share in args.drift) or args.drift_at,
        only=(model, lane or "*"),
        timing=simulate_timing.timing(args),
    )


def _kinds(text: str) -> tuple[tuple[str, float | None], ...]:
    """Kinds of drift on the command line, each with its share of the span if it names one."""
    found: list[tuple[str, float | None]] = []
    for part in text.split(",") if text else ():
        kind, at, share = part.partition("@")
        try:
            found.append((kind, float(share) if at else None))
        except ValueError:
            raise argparse.ArgumentTypeError(f"{part!r}: {share!r} is not a fraction of the span, 0 to 1") from None
    return tuple(found)


def _incidents(config: Simulation) -> list[Incident]:
    """What drifts or falls silent, for whoever reads results later; one for each model that the pattern means."""
    from streammon.incidents import Incident

    drift = [(kind, start, None, config.only) for kind, start in config.onsets.items()]
    gaps = [("gap", *gap.within(config.start, config.duration), config.timing.silent) for gap in config.timing.gaps]
    return [
        Incident(kind=kind, model=model, lane=lane, start=start, end=end)
        for kind, start, end, (pattern, lane) in [*drift, *gaps]
        for model in config.model_ids
        if fnmatchcase(model, pattern)
    ]


def _to_kafka(settings: Settings, config: Simulation, pace: float | None, progress: Any) -> tuple[int, str]:
    from streammon.adapters.kafka.producer import KafkaProducer
    from streammon.settings import kafka_options
    from streammon.simulate.output import simulate_to_kafka

    options = kafka_options(settings)
    bootstrap = str(options.pop("bootstrap.servers"))
    topic = settings.topics.events
    with KafkaProducer(bootstrap, topic, rate=pace, settings=options) as producer:
        records = simulate_to_kafka(config, producer, progress)
    return records, f"{topic} at {bootstrap}"
