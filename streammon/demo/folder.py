"""The one folder that a demo writes to: nothing that somebody else put there is ever touched."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streammon.core.errors import UsageError
from streammon.demo.scenario import BASELINES, INCIDENTS, SETTINGS
from streammon.text import shown

MARK = "README.txt"
METRICS, ALERTS, REPORT, LOG = "metrics.avro", "alerts.avro", "report.html", "worker.log"
EVENTS, JOURNAL = "events.avro", "journal.avro"  # with --keep
PARTIAL = ".partial"  # behind the name of what is not complete

_TITLE = "Made by `streammon demo`, which replaces all of it when it runs here again.\n"
_OURS = (MARK, SETTINGS, INCIDENTS, BASELINES, METRICS, ALERTS, REPORT, LOG, EVENTS, JOURNAL)
_TEXT = f"""{_TITLE}
{REPORT:16}the report: open it in a browser
{METRICS:16}the metric events, {ALERTS} the alert events: Avro files
{SETTINGS:16}the policy and the models, with which the worker ran
{BASELINES:16}reference statistics of the models
{INCIDENTS:16}what drift was injected, where and when
{LOG:16}what the worker and the Kafka client said
{EVENTS:16}with --keep: the recorded input, and {JOURNAL}: the recorded decisions, for `streammon replay`
"""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the folder, or empty it where an earlier demo made it, and keep other demos out until the end.

    Refuses a folder with anything else in it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check(folder)
        if not (folder / MARK).exists():
            (folder / f"{MARK}{PARTIAL}").write_text(_TEXT, encoding="utf-8")
            (folder / f"{MARK}{PARTIAL}").rename(folder / MARK)
        mark = (folder / MARK).open("rb")
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written ({error.strerror}): choose another --out") from error
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(mark.fileno()), os.stat(folder / MARK)):
                raise BlockingIOError  # one that began at the same moment has put its own mark there
        except OSError:
            raise UsageError(f"{folder}: another demo is at work there: choose another --out") from None
        for name in os.listdir(folder):
            if name != MARK:
                _remove(folder / name)
        yield


def _check(folder: Path) -> None:
    there = os.listdir(folder)
    if not there:
        return
    other = sorted(name for name in there if not _is_ours(name))
    if other:
        raise UsageError(
            f"{folder}: holds something else ({shown(other[0])}), and is left as it is: choose another --out"
        )
    unfinished = there == [f"{MARK}{PARTIAL}"]  # killed right at its beginning
    if not unfinished and (MARK not in there or not (folder / MARK).read_bytes().startswith(_TITLE.encode())):
        raise UsageError(f"{folder}: was not made by a demo, and is left as it is: choose another --out")


def _is_ours(name: str) -> bool:
    """Also what a demo that was killed left half written."""
    return name.removesuffix(PARTIAL) in _OURS


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
