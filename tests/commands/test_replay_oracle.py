"""`replay` of a simulated file, with baselines, rules, drift and bad records, against the oracle."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fastavro
import pytest
import yaml

from streammon.adapters.envelopes import Envelope, EnvelopeWriter, read_envelopes
from streammon.cli import main
from streammon.simulate.images import FEATURE_NAMES
from tests.commands.conftest import END
from tests.oracle import compare, files, oracle

MINUTE = 60_000_000
KINDS = ("covariate", "class_mix", "latency", "errors", "missing")
BAD = 0.005  # share of records that are followed by a bad one
RULES: list[dict[str, Any]] = [
    {"id": "drift", "measurement": "feature.psi_excess", "window": "1m", "above": 0.05, "consecutive": 2},
    {"id": "features", "measurement": "feature.mean", "window": "1m", "below": 0.3, "feature": "*_*", "cooldown": "2m"},
    {
        "id": "errors",
        "measurement": "traffic.rate_5xx",
        "window": "1m",
        "above": 0.01,
        "min_samples": 200,
        "lane": "p*",
    },
    {
        "id": "mean",
        "measurement": "latency.mean",
        "window": "2m",
        "above": 15,
        "model": "digits-[01]",
        "severity": "P1",
    },
    {"id": "classes", "measurement": "prediction.class_js", "window": "2m", "above": 0.01, "action": "rollback"},
    {"id": "scores", "measurement": "prediction.score_ks", "window": "2m", "above": 0.1},
    {"id": "traffic", "measurement": "traffic.count", "window": "1m", "below": 120, "cooldown": "3m"},
]


def test_replay_publishes_what_the_oracle_computes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """20,000 events of 3 models x 2 lanes, one in 200 followed by a record that is none; everything is compared."""
    clean, events, out = tmp_path / "clean.avro", tmp_path / "events.avro", tmp_path / "out"
    stream = ("--events", 20_000, "--models", 3, "--partitions", 2, "--seed", 11, "--span", 900)
    run("simulate", "--to", clean, *stream, "--end", "2026-01-30T12:00:00Z")
    drift = ("--drift", ",".join(KINDS), "--drift-at", 0.5, "--drift-in", "digits-*/canary")
    run("simulate", "--to", tmp_path / "good.avro", *stream, "--end", END, *drift)
    with EnvelopeWriter(events, bytes(16)) as writer:
        writer.write(with_bad_records(read_envelopes(tmp_path / "good.avro")))
    baselines = [tmp_path / f"digits-{number}" for number in range(2)]  # the third has declared dimensions only
    models = [{"match": "digits-*", "features": list(FEATURE_NAMES), "classes": list("0123456789"), "embedding": 64}]
    settings = {"windows": ["1m", "2m"], "allowed_lateness": "0s", "models": models}
    config = tmp_path / "streammon.yaml"
    config.write_text(yaml.safe_dump(settings))
    for path in baselines:
        run("baseline", "build", "--config", config, "--from", clean, "--model", path.name, "--out", path)
    config.write_text(yaml.safe_dump({**settings, "baselines": list(map(str, baselines)), "rules": RULES}))
    capsys.readouterr()
    run("replay", "--config", config, "--from", events, "--out", out, "--json")
    summary = json.loads(capsys.readouterr().out)

    specs = {"1m": (MINUTE, MINUTE, 0), "2m": (2 * MINUTE, 2 * MINUTE, 0)}
    expected = oracle.run(
        files.read_envelopes(events),
        "inference-events",
        {
            "windows": list(specs.values()),
            "allowed_lateness": 0,
            "baselines": baselines,
            "models": models,
            "rules": [
                {**rule, "window": "/".join(map(str, specs[rule["window"]])), "cooldown": cooldown(rule)}
                for rule in sorted(RULES, key=lambda rule: str(rule["id"]))
            ],
        },
    )
    metrics, alerts = published(out / "metrics.avro"), published(out / "alerts.avro")
    assert not compare.compare(expected, metrics, alerts)
    assert not compare.order_differences(expected, metrics, alerts)
    dead_letters = Counter(letter.code for letter in expected.dead_letters)
    assert summary["dead_letters"] == dead_letters
    assert (summary["late"], summary["tombstones"]) == (len(expected.late), len(expected.tombstones))
    assert (summary["metrics"], summary["alerts"]) == (len(metrics), len(alerts))
    # The stream says something: every rule fires, some alerts end, events are late, each kind of bad record occurs.
    assert {alert["rule_id"] for alert in alerts} == {rule["id"] for rule in RULES}
    assert {alert["state"] for alert in alerts} == {"FIRING", "ONGOING", "RESOLVED"}
    assert len(expected.late) >= 3
    behind = {alert["distribution"]["name"] for alert in alerts if alert["distribution"]}
    assert behind == {"feature", "prediction.score", "prediction.class"}
    assert set(dead_letters) >= {"FRAMING", "SCHEMA", "TRUNCATED", "TRAILING", "RANGE", "DIMENSION", "FUTURE"}


def run(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


def cooldown(rule: dict[str, Any]) -> int:
    return int(rule.get("cooldown", "0m").removesuffix("m")) * MINUTE


def published(path: Path) -> list[Any]:
    with path.open("rb") as file:
        return list(fastavro.reader(file))


def with_bad_records(envelopes: Iterator[Envelope]) -> Iterator[Envelope]:
    """Now and then a record more, made from the one before it. Offsets have no gaps."""
    random_ = random.Random(5)
    kinds: list[Callable[[bytes], bytes | None]] = [
        lambda value: None,  # a tombstone
        lambda value: b"",
        lambda value: b"\x00" + value[1:],
        lambda value: value[:2] + bytes(8) + value[10:],
        lambda value: value[: random_.randrange(10, len(value))],
        lambda value: value + b"\x00",
        lambda value: event(value, lane="*"),
        lambda value: event(value, features=[1.0]),
        lambda value: event(value, ts=files.decode(value)["ts"] + 400_000_000),
    ]
    offsets: Counter[int] = Counter()
    for envelope in envelopes:
        values = [envelope.value]
        if random_.random() < BAD:
            values.append(random_.choice(kinds)(envelope.value or b""))
        for value in values:
            yield envelope._replace(value=value, offset=offsets[envelope.partition])
            offsets[envelope.partition] += 1


def event(value: bytes, **changed: Any) -> bytes:
    return files.encode({**files.decode(value), **changed})
