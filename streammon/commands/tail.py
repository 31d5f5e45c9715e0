"""`streammon tail metrics|alerts`: what was published, for a person or a script."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from streammon.commands.common import add_command, add_config, add_json, load_settings, print_json, time_text
from streammon.text import shown

if TYPE_CHECKING:
    from streammon.core.outputs import AlertEvent, MetricEvent

MAX_SUMMARY = 500  # characters


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "tail",
        "follow metric or alert events",
        "tail alerts --config streammon.yaml --from-beginning",
        "Follows until Ctrl-C. With --json: one object a line, times in microseconds.",
    )
    parser.add_argument("what", choices=("metrics", "alerts"), help="which topic")
    add_config(parser)
    parser.add_argument("--from-beginning", action="store_true", help="all that the topic holds, not only what comes")
    parser.add_argument("--until-end", action="store_true", help="stop at what the topic holds now")
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.adapters.kafka.reader import follow
    from streammon.core.outputs import AlertEvent, MetricEvent
    from streammon.settings import kafka_options

    settings = load_settings(args)
    options = kafka_options(settings)
    if args.what == "metrics":
        for metric in follow(options, settings.topics.metrics, MetricEvent, args.from_beginning, args.until_end):
            print_json(metric_values(metric)) if args.json else print(metric_line(metric), flush=True)
    else:
        for alert in follow(options, settings.topics.alerts, AlertEvent, args.from_beginning, args.until_end):
            print_json(alert_values(alert)) if args.json else print(alert_line(alert), flush=True)


def metric_values(event: MetricEvent) -> dict[str, Any]:
    """For `--json`."""
    return {**_values(event), "measurements": [measurement._asdict() for measurement in event.measurements]}


def alert_values(event: AlertEvent) -> dict[str, Any]:
    """For `--json`."""
    return {
        **_values(event),
        "measurement": event.measurement._asdict(),
        "evidence": [measurement._asdict() for measurement in event.evidence],
        "distribution": event.distribution and event.distribution._asdict(),
    }


def _values(event: MetricEvent | AlertEvent) -> dict[str, Any]:
    """The fields, with series and window as objects."""
    values = asdict(event)
    del values["spec"], values["start"]
    return {
        **values,
        "series": event.series._asdict(),
        "window": {**event.spec._asdict(), "start": event.start, "end": event.end},
    }


def metric_line(event: MetricEvent) -> str:
    """One window in columns: when, what, how much, errors, latency, and the feature that drifted most."""
    numbers = {m.name: m.value for m in event.measurements if m.feature is None and m.value is not None}
    drifted = [(m.value, m.feature) for m in event.measurements if m.name == "feature.psi" and m.value is not None]
    columns = [*_place(event), f"n {event.n:<6}"]
    if "traffic.rate_5xx" in numbers:
        columns.append(f"5xx {numbers['traffic.rate_5xx']:6.2%}")
    if "latency.p95" in numbers:
        columns.append(f"p95 {numbers['latency.p95']:7.1f} ms")
    if "prediction.class_psi" in numbers:
        columns.append(f"classes psi {numbers['prediction.class_psi']:.3f}")
    if drifted:
        value, feature = max(drifted, key=lambda pair: pair[0])
        columns.append(f"features psi {value:.3f} {shown(feature or '')}")
    return "  ".join(columns)


def alert_line(event: AlertEvent) -> str:
    """One step of an alert in columns."""
    summary = shown(event.summary, MAX_SUMMARY)
    return "  ".join([*_place(event), f"{event.state:8}", summary, f"[{event.alert_id} {event.number}]"])


def _place(event: MetricEvent | AlertEvent) -> list[str]:
    series = "/".join(map(shown, event.series))
    return [time_text(event.end), f"{_size(event.spec.size):>4}", f"{series:24}"]


def _size(microseconds: int) -> str:
    """Of a window.

    >>> _size(300_000_000), _size(90_000_000)
    ('5m', '90s')
    """
    seconds = microseconds / 1_000_000
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:g}s"
