"""`simulate --drift KIND@FRACTION --incidents FILE`: what drifts where and from when on, written down for others."""

from __future__ import annotations

from pathlib import Path

from streammon import incidents
from streammon.incidents import Incident
from tests.commands.conftest import Command

SPAN = ("--events", 800, "--models", 3, "--span", 100, "--end", "1970-01-01T01:00:00Z")
START = 3_500_000_000  # microseconds: 100 seconds before one o'clock


def test_incidents_are_what_was_injected(command: Command, tmp_path: Path) -> None:
    """Each kind at its own start, in each model that it is in; a kind without a fraction begins at --drift-at."""
    there = ("--drift", "latency@0.75,errors,missing@0.75", "--drift-at", 0.25, "--drift-in", "*-[12]/canary")
    file = tmp_path / "incidents.json"
    done = command("simulate", "--to", tmp_path / "x.avro", *SPAN, *there, "--incidents", file)
    assert (done.code, done.err) == (0, "")
    assert "errors drift from 1970-01-01T00:58:45Z and latency and missing drift from 1970-01-01T00:59:35Z" in done.out
    starts = {"latency": START + 75_000_000, "errors": START + 25_000_000, "missing": START + 75_000_000}
    assert incidents.read(file) == tuple(
        Incident(kind=kind, model=model, lane="canary", start=start)
        for kind, start in starts.items()
        for model in ("digits-1", "digits-2")
    )


def test_without_drift_there_are_none(command: Command, tmp_path: Path) -> None:
    """A file that says so."""
    done = command("simulate", "--to", tmp_path / "x.avro", *SPAN, "--incidents", tmp_path / "none.json")
    assert (done.code, done.err) == (0, "")
    assert "drift from" not in done.out
    assert incidents.read(tmp_path / "none.json") == ()
