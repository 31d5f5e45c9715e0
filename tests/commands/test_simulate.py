"""`simulate`: what drifts or falls silent, written down for others; streams as uneven as real traffic."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from streammon import incidents
from streammon.adapters.envelopes import read_envelopes
from streammon.incidents import Incident
from tests.commands.conftest import Command
from tests.commands.test_wrong_use import assert_refused

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


UNEVEN = (
    *("--disorder", "5s@0.1", "--bursts", "5x10s@0.3,2x5s@0.5", "--gaps", "20s@0.6", "--gaps-in", "digits-1/prod"),
    *("--batch", "0.2@20m", "--skew", "500ms", "--duplicates", 0.05),
)


def test_uneven_streams(command: Command, tmp_path: Path) -> None:
    """To the last byte the same for one seed; a gap is an incident that ends."""
    files = [tmp_path / name for name in ("a.avro", "b.avro", "incidents.json")]
    first = command("simulate", "--to", files[0], *SPAN, *UNEVEN, "--incidents", files[2])
    again = command("simulate", "--to", files[1], *SPAN, *UNEVEN)
    assert (first.code, first.err, again.code) == (0, "", 0)
    assert files[0].read_bytes() == files[1].read_bytes()
    records = list(read_envelopes(files[0]))
    assert first.out.endswith(f"a.avro as {len(records)} records\n")
    assert "3 models x 3 lanes" in first.out
    assert [record.timestamp for record in records] == sorted(record.timestamp for record in records)
    assert 20 < sum(count - 1 for count in Counter(record.value for record in records).values()) < 60
    (gap,) = incidents.read(files[2])
    assert gap == Incident(kind="gap", model="digits-1", lane="prod", start=START + 60_000_000, end=START + 80_000_000)


@pytest.mark.parametrize(
    "wrong, said",
    [
        (("--disorder", "5"), "--disorder: '5' should be a duration such as 200ms"),
        (("--disorder", "5s@often"), "--disorder: 'often' is not a share, 0 to 1"),
        (("--disorder", "5s@2"), "the share of resent is 2.0; it must be from 0 to 1"),
        (("--bursts", "5x1m"), "--bursts: '5x1m' should be written FACTORxDURATION@FRACTION"),
        (("--bursts", "1m@0.5"), "--bursts: '1m' should say how many times the traffic, and for how long: 5x1m"),
        (("--bursts", "manyx1m@0.5"), "'many' is not how many times the traffic there is"),
        (("--bursts", "infx1m@0.5"), "the factor of a burst is inf"),
        (("--gaps", "1m@1"), "a gap or burst begins at 1.0"),
        (("--gaps", "0s@0.5"), "a gap or burst must be longer than 0s"),
        (("--gaps-in", "digits-0"), "--gaps-in says where gaps are, and there are none: add --gaps"),
        (("--gaps", "1s@0.5", "--gaps-in", "fraud"), "gaps only in 'fraud', but the models are digits-0"),
        (("--batch", "0.2"), "--batch: '0.2' should be written SHARE@DURATION"),
        (("--batch", "0.2@20h", "--lanes", "batch"), "`batch` is the lane of the nightly job"),
        (("--skew", "much"), "--skew: 'much' should be a duration"),
        (("--duplicates", "1.5"), "the share of duplicates is 1.5"),
    ],
)
def test_wrong_options(command: Command, tmp_path: Path, wrong: tuple[str, ...], said: str) -> None:
    assert_refused(command("simulate", "--to", tmp_path / "x.avro", "--events", 9, *wrong), said)
    assert not list(tmp_path.iterdir())
