"""`streammon simulate`: real inferences as a stream, to a file or to Kafka."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from streammon.commands.common import Progress, add_config, load_settings, microseconds


def add(commands: Any) -> None:
    parser = commands.add_parser(
        "simulate", help="make a stream of real inferences, with drift if asked for", allow_abbrev=False
    )
    add_config(parser, required=False)
    parser.add_argument(
        "--to", required=True, metavar="FILE|kafka", help="a file of recorded events, or the input topic"
    )
    parser.add_argument("--events", type=int, required=True, metavar="N")
    parser.add_argument("--models", type=int, default=1, metavar="M", help="digits-0 ... (default 1)")
    parser.add_argument("--lanes", default="prod,canary", help="comma-separated (default prod,canary)")
    parser.add_argument("--partitions", type=int, default=1, metavar="P", help="of a file; a topic has its own")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--end", default="now", metavar="TIME", help="event time of the last event (default now)")
    parser.add_argument("--span", type=float, metavar="SECONDS", help="event time that the stream covers")
    parser.add_argument(
        "--drift", default="", metavar="KIND[,KIND]", help="covariate, class_mix, embedding, latency, errors, missing"
    )
    parser.add_argument("--drift-at", type=float, default=0.5, metavar="FRACTION", help="of the span (default 0.5)")
    parser.add_argument("--drift-in", default="*/*", metavar="MODEL/LANE", help="only there; * for all (default */*)")
    parser.add_argument("--pace", type=float, metavar="N", help="events per second of wall time (default: no limit)")
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.settings import kafka_options
    from streammon.simulate.config import Simulation

    settings = load_settings(args)
    model, _, lane = args.drift_in.partition("/")
    config = Simulation(
        events=args.events,
        end=microseconds(args.end),
        models=args.models,
        partitions=args.partitions,
        seed=args.seed,
        lanes=tuple(args.lanes.split(",")),
        span=args.span,
        drift=tuple(args.drift.split(",")) if args.drift else (),
        drift_at=args.drift_at,
        only=(model, lane or "*"),
    )
    line = Progress("simulate")

    def progress(done: int, rate: float) -> None:
        line(done, config.events)

    topic = settings.topics.events
    if args.to != "kafka":
        from streammon.simulate.output import simulate_to_file

        simulate_to_file(config, Path(args.to), topic, progress)
    else:
        from streammon.adapters.kafka_producer import KafkaProducer
        from streammon.simulate.output import simulate_to_kafka

        options = kafka_options(settings)
        bootstrap = str(options.pop("bootstrap.servers"))
        with KafkaProducer(bootstrap, topic, rate=args.pace, settings=options) as producer:
            simulate_to_kafka(config, producer, progress)
    line.close()
    where = f"{topic} at {bootstrap}" if args.to == "kafka" else args.to
    print(f"{config.events:,} events of {config.models} models x {len(config.lanes)} lanes to {where}")
