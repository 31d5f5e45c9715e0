"""Names that producers make up: too many of them, too long, or made to do something to whoever looks at them."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from streammon.adapters.files import read_outputs
from streammon.cli import main
from streammon.commands.tail import alert_line, metric_line
from streammon.core.outputs import AlertEvent, MetricEvent
from tests.adapters.avro_cases import varint
from tests.bad_input.line import MINUTE, Line, Stream, event, tampered
from tests.oracle import files

HOSTILE = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&amp;",
    "control characters": "a\x00b\x07c\x08d\x1b[2J\x1b]0;owned\x07\x9b31m\r\nfake line\ttab\x7f",
    "quotes": "'; DROP TABLE models; -- \"`\\",
    "bidi": "user\u202egnp.exe\u2066\u200b\ufeff",
    "10 kB": "m" * 10_000,
    "letters of the world": "größe-模型-модель",
}
SAFE = re.compile(r"[\w .,:;/@+=()\[\]{}#%*~!?|^$\\…-]*")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_model_id_with_markup_control_characters_quotes_10_kb(
    line: Line, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Published as it is; what people see has the restricted set as it is and everything else escaped, on one line."""
    stream = Stream()
    for _ in range(130):
        stream.add(files.encode(event(ts=stream.now, model_id=name, lane=name)))
    bad = stream.add(files.encode(event(ts=stream.now, model_id=name, lane="*")), name.encode())
    rule = {"id": "traffic", "measurement": "traffic.count", "above": 1}
    outcome = line.run(stream.envelopes, rules=[rule])
    assert {(metric["model_id"], metric["lane"]) for metric in outcome.metrics} == {(name, name)}
    assert all(f"{name} 1 {name}" in alert["summary"] for alert in outcome.alerts)
    metrics, alerts = line.out / "metrics.avro", line.out / "alerts.avro"
    lines = [metric_line(metric) for metric in read_outputs(metrics, MetricEvent)]
    said = [alert_line(alert) for alert in read_outputs(alerts, AlertEvent)]
    assert said
    for text in lines + [text.replace(" > ", " ", 1) for text in said]:  # the comparison is ours
        assert SAFE.fullmatch(text), text
        assert len(text) < 2_000
    config = line.configure(rules=[rule])
    source = ("--config", str(config), "--from-dir", str(line.out))
    capsys.readouterr()
    assert main(["dead-letters", "list", *source]) == 0
    assert all(SAFE.fullmatch(text) for text in capsys.readouterr().out.splitlines())
    assert main(["dead-letters", "show", *source, "0", str(bad)]) == 0
    shown = capsys.readouterr().out
    assert shown.isprintable() or not re.search(r"[^\n -~\w…]", shown)


@pytest.mark.parametrize("field", ["model_id", "model_version", "lane"])
def test_part_of_the_key_over_16_kib(line: Line, field: str) -> None:
    """RANGE: 1,000 series cannot hold gigabytes."""
    stream = Stream()
    stream.good(3)
    stream.add(files.encode(event(ts=stream.now) | {field: "k" * 16_384}))
    stream.add(files.encode(event(ts=stream.now) | {field: "k" * 16_385}))
    outcome = line.run(stream.envelopes)
    assert (outcome.summary["events"], outcome.summary["dead_letters"]) == (4, {"RANGE": 1})
    (letter,) = outcome.letters
    assert letter.said["field"] == field
    assert "16,385 bytes long; at most 16,384" in letter.said["message"]


@pytest.mark.parametrize(
    ("field", "name", "said"),
    [
        ("model_id", "*", "* is reserved for the roll-up"),
        ("model_version", "*", "* is reserved for the roll-up"),
        ("lane", "*", "* is reserved for the roll-up"),
        ("model_id", "__other__", "__other__ is reserved for what is beyond the limit of series"),
    ],
)
def test_reserved_names(line: Line, field: str, name: str, said: str) -> None:
    """RANGE: data cannot stand in for what streammon makes itself."""
    data = varint(len(name)) + name.encode()
    (letter,) = line.check([(tampered(**{field: data}), "RANGE", field)])
    assert said in letter.said["message"]


def test_names_with_stars_and_brackets_are_names(line: Line) -> None:
    """Not patterns and not roll-ups: `fraud*` is one model, and lane `[*]` is not what a rule calls all lanes."""
    names = {"model_id": "fraud*", "model_version": "**", "lane": "[*]"}
    stream = Stream()
    for _ in range(130):
        stream.add(files.encode(event(ts=stream.now)))
        stream.add(files.encode(event(ts=stream.now) | names))
    every = {"measurement": "traffic.count", "above": 1}
    rules = [
        every | {"id": "all"},
        every | {"id": "one", "model": "fraud[*]", "version": "[*][*]", "lane": "[[][*]]"},
        every | {"id": "roll-up", "version": "[*]", "lane": "[*]"},
    ]
    outcome = line.run(stream.envelopes, rules=rules, rollups=["model"])
    metrics = [metric for metric in outcome.metrics if metric["lane"] != "*"]  # roll-ups besides
    counts = Counter((metric["model_id"], metric["model_version"], metric["lane"]) for metric in metrics)
    assert counts == {("fraud", "1", "prod"): 4, ("fraud*", "**", "[*]"): 4}
    assert {metric["n"] for metric in metrics} == {30}
    alerts = [alert for alert in outcome.alerts if alert["lane"] != "*"]
    fired = {(alert["rule_id"], alert["model_id"]) for alert in alerts if alert["state"] == "FIRING"}
    assert fired == {("all", "fraud"), ("all", "fraud*"), ("one", "fraud*")}


def test_10_000_new_model_ids_a_minute(line: Line) -> None:
    """A cap on series: what is over goes to one `__other__` series, with an alert; known series count as before."""
    stream = Stream(step=5_000)
    stream.good(100)
    for number in range(10_000):
        stream.add(files.encode(event(ts=stream.now, model_id=f"made-up-{number}", req_id=f"{number}")))
        stream.good()
    while stream.now < stream.envelopes[0].timestamp * 1000 + 4 * MINUTE:
        stream.good(100)
    outcome = line.run(stream.envelopes, idle_grace="10s", limits={"series_per_partition": 50})
    assert (outcome.summary["dead_letters"], outcome.summary["late"]) == ({}, 0)
    counts: Counter[str] = Counter()
    for metric in outcome.metrics:
        counts[metric["model_id"]] += metric["n"]
    assert len(counts) == 51
    assert counts["__other__"] == 10_000 - 49
    first = [metric for metric in outcome.metrics if metric["model_id"] == "__other__"]
    assert {(metric["model_version"], metric["lane"]) for metric in first} == {("__other__", "__other__")}
    good = [e for e in stream.envelopes if files.decode(e.value or b"")["model_id"] == "fraud"]
    clean = {metric["window"]["start"]: metric["n"] for metric in line.run(good).metrics}
    assert clean == {m["window"]["start"]: m["n"] for m in outcome.metrics if m["model_id"] == "fraud"} != {}
    assert {alert["rule_id"] for alert in outcome.alerts} == {"series-cap"}
