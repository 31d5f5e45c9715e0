"""`streammon report` on directories and on topics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka import Producer

from streammon.adapters.codec import to_bytes
from streammon.cli import main
from streammon.report.page import LIMIT
from tests.conftest import Topics
from tests.report import recordings
from tests.report.recordings import PROD, drifted, metric, usual


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


class Command:
    """The command line in this process, on a recording in `folder`; pages go to `page`."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.page = folder / "page.html"
        self.folder = recordings.write(folder / "replayed", *drifted(20))
        self._capsys = capsys

    def __call__(self, *arguments: object) -> Result:
        code = main(["report", "--html", str(self.page), *map(str, arguments)])
        return Result(code, *self._capsys.readouterr())


def test_a_directory_becomes_a_page_and_its_size_is_said(run: Command) -> None:
    result = run("--from", run.folder)
    size = run.page.stat().st_size
    assert result == (0, f"{run.page}: {size / 1000:,.0f} kB, 2 series, 40 windows, 2 alerts, 16 charts\n", "")
    assert size < LIMIT


def test_json_is_one_object(run: Command) -> None:
    assert json.loads(run("--from", run.folder, "--json").out) == {
        "path": str(run.page),
        "bytes": run.page.stat().st_size,
        "series": 2,
        "windows": 40,
        "alerts": 2,
        "charts": 16,
        "left_out": [],
    }


def test_patterns_and_incidents_are_options(run: Command, tmp_path: Path) -> None:
    known = tmp_path / "known.json"
    known.write_text(
        '{"incidents": [{"kind": "bad deploy", "model": "digits-0", "lane": "*", "start": "2026-01-31T11:05:00Z"}]}'
    )
    assert run("--from", run.folder, "--lane", "canary", "--incidents", known).out.count("1 series") == 1
    assert "bad deploy" in run.page.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "topics"), "--from topics needs --config"),
        (("--from", "nowhere"), "nowhere: there is no metrics.avro in it"),
        (("--from", "{folder}", "--incidents", "nowhere.json"), "nowhere.json: cannot be read"),
        (("--from", "{folder}", "--html", "no/where.html"), "there is no directory no"),
        (("--from", "{folder}", "--config", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_a_mistake_is_one_line(run: Command, arguments: tuple[str, ...], said: str) -> None:
    result = run(*(one.replace("{folder}", str(run.folder)) for one in arguments))
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert result.err.startswith("streammon: ")
    assert result.err.count("\n") == 1
    assert not run.page.exists()


@pytest.mark.broker
def test_topics_are_read_to_their_end_without_what_was_aborted(run: Command, topics: Topics, tmp_path: Path) -> None:
    names = {name: topics.create(name, 2) for name in ("metrics", "alerts")}
    metrics, alerts = drifted(20)
    producer = Producer({"bootstrap.servers": topics.bootstrap, "transactional.id": topics.name("t")})
    producer.init_transactions(30)
    for is_real in (True, False):
        producer.begin_transaction()
        for event in metrics if is_real else [metric(PROD, 500, usual(500))]:
            producer.produce(names["metrics"], to_bytes(event), partition=event.start // 60_000_000 % 2)
        for alert in alerts if is_real else []:
            producer.produce(names["alerts"], to_bytes(alert), partition=0)
        producer.flush(30)
        producer.commit_transaction(30) if is_real else producer.abort_transaction(30)
    config = tmp_path / "settings.yaml"
    config.write_text(
        f"topics: {{metrics: {names['metrics']}, alerts: {names['alerts']}}}\n"
        f"kafka: {{bootstrap.servers: '{topics.bootstrap}'}}\n"
    )
    result = run("--from", "topics", "--config", config, "--json")
    assert result.code == 0, result.err
    assert {name: json.loads(result.out)[name] for name in ("series", "windows", "alerts")} == {
        "series": 2,
        "windows": 40,
        "alerts": 2,
    }
    from_topics = run.page.read_text()
    run("--from", run.folder, "--config", config)
    assert from_topics.replace(f"topics {names['metrics']} and {names['alerts']}", str(run.folder)) == (
        run.page.read_text()
    )
