"""The folder of a replay's unfinished work: whose it is, and whether it may go on."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from streammon.adapters.file_sink import make_directory
from streammon.core.errors import UsageError

WORK, ABOUT = ".work", "about.json"
REMOVED = ".work-removed"  # what is on its way out: half of it must never be taken for work


def unfinished(out: Path) -> dict[str, Any] | None:
    """What an unfinished replay in this folder is about; None where there is none."""
    try:
        about: dict[str, Any] = json.loads((out / WORK / ABOUT).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{out / WORK}: cannot be read ({error}): begin anew with --replace") from error
    return about


@contextmanager
def work_folder(out: Path, about: Mapping[str, Any], resume: bool) -> Iterator[Path]:
    """The folder of the work files, which nobody else uses meanwhile. Left without an error it is removed.

    With `resume` it must be there, and be `about` the same; otherwise it is made, and what lies there is removed.
    """
    work = out / WORK
    if resume:
        _check(out, unfinished(out), about)
    with ExitStack() as undo:
        make_directory(out, undo)
        try:
            if not resume:
                if work.exists():
                    with _claimed(work, out):
                        discard(work)
                work.mkdir()
                _write(work / ABOUT, json.dumps(about))
        except OSError as error:
            raise UsageError(f"cannot write to {work}: {error.strerror}: choose another --out") from error
        undo.pop_all()
    with _claimed(work, out):
        yield work
        discard(work)


def discard(work: Path) -> None:
    """Remove a folder of work files, at once: killed on the way, it leaves none that looks unfinished."""
    removed = work.with_name(REMOVED)
    if removed.exists():
        shutil.rmtree(removed)
    work.rename(removed)
    shutil.rmtree(removed)


def _write(path: Path, text: str) -> None:
    """The whole of it, or nothing."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


@contextmanager
def _claimed(work: Path, out: Path) -> Iterator[None]:
    opened = os.open(work, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(f"{out}: another replay is at work there: choose another --out") from None
        yield
    finally:
        os.close(opened)


def _check(out: Path, found: Mapping[str, Any] | None, about: Mapping[str, Any]) -> None:
    if found is None:
        raise UsageError(f"{out}: there is no unfinished replay to go on with: leave --resume out")
    now = json.loads(json.dumps(about))
    changed = sorted(name for name in {*found, *now} if found.get(name) != now.get(name))
    if changed:
        raise UsageError(
            f"{out}: the unfinished replay there had another {' and another '.join(changed)}: give the same again, or "
            "begin anew with --replace"
        )
