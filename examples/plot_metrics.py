"""Metric events as a data frame, and a picture: latency, and the feature that drifts most, over event time.

    pip install streammon pandas matplotlib
    python examples/plot_metrics.py --broker localhost:9092 --out metrics.png
    python examples/plot_metrics.py --file replayed/metrics.avro --out metrics.png

The second reads what `streammon replay` wrote. docs/measurements.md tells what the numbers mean.
"""

import argparse
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import fastavro
import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from streammon.sdk import MetricConsumer, Refusal
from streammon.text import shown

COLUMNS = ["time", "seconds", "model", "version", "lane", "name", "feature", "value"]


def from_topic(broker: str, topic: str) -> Iterator[tuple[Any, ...]]:
    """A row for each measurement that the topic holds now; `time` is the end of its window."""
    with MetricConsumer(broker, topic=topic, timeout=0) as metrics:
        for event in metrics:
            time = pd.Timestamp(event.end, unit="us", tz="UTC")
            for each in event.measurements:
                yield time, event.spec.size / 1e6, *event.series, each.name, each.feature, each.value


def from_file(path: str) -> Iterator[tuple[Any, ...]]:
    """The same of a file: plain Avro, which any reader of Avro reads."""
    with open(path, "rb") as file:
        for event in fastavro.reader(file):
            assert isinstance(event, dict)  # what this schema describes
            window, series = event["window"], (event["model_id"], event["model_version"], event["lane"])
            for each in event["measurements"]:
                yield window["end"], window["size"] / 1e6, *series, each["name"], each["feature"], each["value"]


def plot(frame: pd.DataFrame) -> Figure:
    """A line for each series, in the windows of the smallest size."""
    figure = Figure(figsize=(10, 6), layout="constrained")  # without pyplot: no window, also where there is no screen
    above, below = figure.subplots(2, 1, sharex=True)
    above.set_title("latency.p95 (ms)", loc="left")
    below.set_title("feature.psi_excess, greatest of all features", loc="left")
    below.set_xlabel("event time, UTC")
    finest = frame[frame["seconds"] == frame["seconds"].min()]
    for number, (series, rows) in enumerate(finest.groupby(["model", "version", "lane"])):
        model, version, lane = (shown(str(part)) for part in series)  # harmless to show, whatever they hold
        for axes, name in ((above, "latency.p95"), (below, "feature.psi_excess")):
            line = rows[rows["name"] == name].groupby("time")["value"].max()  # of one number, or one for each feature
            axes.plot(line.index, line.to_numpy(), f"C{number % 10}.-", label=f"lane {lane} of {model} {version}")
    above.legend()
    return figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--broker")
    source.add_argument("--file")
    parser.add_argument("--topic", default="streammon-metrics")
    parser.add_argument("--model", default="*", help="only these, such as 'digits-*'")
    parser.add_argument("--out", default="metrics.png")
    args = parser.parse_args()
    rows = from_file(args.file) if args.file else from_topic(args.broker, args.topic)
    frame = pd.DataFrame((row for row in rows if fnmatchcase(row[2], args.model)), columns=COLUMNS)
    # An undefined value is None: NaN here, a gap in the picture.
    frame["value"] = frame["value"].astype(float)
    if frame.empty:
        sys.exit("plot_metrics.py: there are no metric events")
    summary = frame[frame["feature"].isna()].groupby("name")["value"].agg(["count", "min", "median", "max"])
    print(summary.to_string(float_format=lambda value: f"{value:.4g}"))
    matplotlib.rcParams["text.parse_math"] = False  # names are other people's text, not formulas
    plot(frame).savefig(args.out)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refusal, OSError) as problem:
        sys.exit(f"plot_metrics.py: {problem}")
