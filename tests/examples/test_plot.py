"""The example of a data frame and a picture."""

from __future__ import annotations

import runpy
import struct
from pathlib import Path
from typing import Any

import pytest

from streammon.adapters.kafka.embedded import EmbeddedBroker
from tests.examples.commands import BROKER, ROOT, run
from tests.golden.make import content
from tests.golden.oracle import container, single_object
from tests.sdk.published import publish

MINUTE = 60_000_000
START = 1_714_564_800_000_000


def metric(window: int, lane: str, p95: float, drifts: dict[str, float | None], size: int = MINUTE) -> dict[str, Any]:
    """A metric event of a window, by its number."""
    times = {
        "size": size,
        "slide": size,
        "offset": 0,
        "start": START + window * size,
        "end": START + (window + 1) * size,
    }
    measurements = [
        {"name": "latency.p95", "value": p95},
        *({"name": "feature.psi_excess", "value": value, "feature": name} for name, value in drifts.items()),
    ]
    own = {"event_id": f"{window}{lane}{size}", "lane": lane, "window": times, "measurements": measurements}
    return dict(content("metric_event.1") | own)


METRICS = [
    metric(window, lane, p95, {"age": 0.01, "$\\frac": drift, "empty": None})
    for window in range(5)
    for lane, p95, drift in (("prod", 20.0 + window, 0.02), ("_<b>\n", 30.0, 0.1 * window))
] + [metric(0, "prod", 999.0, {}, size=5 * MINUTE)]
SUMMARY = ["latency.p95", "11", "20", "30", "999"]  # count, min, median, max


def is_picture(path: Path) -> bool:
    """Whether it is a PNG of a sensible size, with lines in it: a blank one is a tenth of this."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    return data.startswith(b"\x89PNG") and (width, height) == (1000, 600) and len(data) > 20_000


@pytest.mark.parametrize("line", [1, 2], ids=["topic", "file"])
def test_metrics_become_a_table_and_a_picture(line: int, tmp_path: Path) -> None:
    """The same from a topic and from a replay's file, whatever models and features are called."""
    picture, file = tmp_path / "metrics.png", tmp_path / "metrics.avro"
    with EmbeddedBroker() as broker:
        if line == 1:
            broker.create("streammon-metrics", 2)
            publish(broker.address, "streammon-metrics", [single_object("metric_event", each) for each in METRICS])
            source = {BROKER: broker.address}
        else:
            file.write_bytes(container("metric_event", METRICS, bytes(16)))
            source = {"replayed/metrics.avro": str(file)}
        done = run("plot_metrics.py", line, source | {"metrics.png": str(picture)})
    assert (done.returncode, done.stderr) == (0, "")
    assert [row.split() for row in done.stdout.splitlines() if "latency" in row] == [SUMMARY]
    assert is_picture(picture)


def test_the_lines_are_latency_and_the_greatest_drift_of_each_series(tmp_path: Path) -> None:
    """One line for each lane above and below, in the windows of the smallest size, under a harmless name."""
    example = runpy.run_path(str(ROOT / "examples" / "plot_metrics.py"))
    file = tmp_path / "metrics.avro"
    file.write_bytes(container("metric_event", METRICS, bytes(16)))
    frame = example["pd"].DataFrame(example["from_file"](str(file)), columns=example["COLUMNS"])
    figure = example["plot"](frame.astype({"value": float}))
    lines = [{str(line.get_label()): list(line.get_ydata()) for line in axes.get_lines()} for axes in figure.axes]
    prod, other = "lane prod of fraud 2024-05", "lane _\\x3cb\\x3e\\n of fraud 2024-05"
    assert lines == [
        {prod: [20, 21, 22, 23, 24], other: [30] * 5},
        {prod: [0.02] * 5, other: [0.01, 0.1, 0.2, pytest.approx(0.3), 0.4]},
    ]


def test_what_cannot_be_read_is_told_in_a_line(tmp_path: Path) -> None:
    """A file that is not there is no traceback."""
    done = run("plot_metrics.py", 2, {"replayed/metrics.avro": str(tmp_path / "none.avro")})
    assert done.returncode == 1
    assert done.stderr.startswith("plot_metrics.py: [Errno 2]")
    assert len(done.stderr.splitlines()) == 1
