"""`streammon tail metrics|alerts`: what was published, for a person or a script."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from streammon.commands.common import add_config, add_json, load_settings, print_json, time_text

if TYPE_CHECKING:
    from streammon.core.outputs import AlertEvent, MetricEvent

SHOWN = ("traffic.count", "traffic.rate_5xx", "latency.p95", "prediction.class_js")


def add(commands: Any) -> None:
    parser = commands.add_parser("tail", help="follow metric or alert events", allow_abbrev=False)
    parser.add_argument("what", choices=("metrics", "alerts"))
    add_config(parser)
    parser.add_argument("--from-beginning", action="store_true", help="all that the topic holds, not only what comes")
    parser.add_argument("--until-end", action="store_true", help="stop at what the topic holds now")
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.adapters.codec import from_bytes
    from streammon.adapters.kafka_reader import follow
    from streammon.core.outputs import AlertEvent, MetricEvent
    from streammon.settings import kafka_options

    settings = load_settings(args)
    topic = settings.topics.metrics if args.what == "metrics" else settings.topics.alerts
    for value in follow(kafka_options(settings), topic, args.from_beginning, args.until_end):
        event = from_bytes(MetricEvent if args.what == "metrics" else AlertEvent, value)
        if args.json:
            print_json(_values(event))
        elif isinstance(event, MetricEvent):
            print(_metric_line(event), flush=True)
        else:
            print(_alert_line(event), flush=True)


def _values(event: MetricEvent | AlertEvent) -> dict[str, Any]:
    """The event with named parts, times in microseconds."""
    values = asdict(event)
    values["series"] = event.series._asdict()
    values["window"] = {**event.spec._asdict(), "start": event.start, "end": event.end}
    del values["spec"], values["start"]
    for name in ("measurements", "evidence"):
        if name in values:
            values[name] = [m._asdict() for m in getattr(event, name)]
    if "measurement" in values:
        values["measurement"] = event.measurement._asdict()  # type: ignore[union-attr]  # only alerts have it
    return values


def _metric_line(event: MetricEvent) -> str:
    numbers = {m.name: m.value for m in event.measurements if m.name in SHOWN and m.value is not None}
    worst = max(
        (m for m in event.measurements if m.name == "feature.psi" and m.value is not None),
        key=lambda m: m.value or 0.0,
        default=None,
    )
    drift = "" if worst is None else f" psi {worst.value:.3g} ({worst.feature})"
    shown = " ".join(f"{name} {value:.4g}" for name, value in numbers.items())
    return f"{time_text(event.end)} {' '.join(event.series)} {shown}{drift}"


def _alert_line(event: AlertEvent) -> str:
    return f"{time_text(event.end)} {event.state:8} {event.summary} [{event.alert_id}]"
