"""Runs the commands of a page in one folder, in their order: a story.

They run as they stand there, with these changes:

- `streammon` runs in this process; `streammon run`, with `&` or without, as a process of its own that is told to stop
  when the story ends, and then has to end with exit code 0.
- Topics, group and broker are those of the test, through the environment and wherever a topic is named.
- A stream that goes to Kafka has no more than EVENTS events.
- `tail` stops at what there is, and is asked again until it prints something.
- Other lines are a shell's.

A block that is not run says why on the line above: `<!-- not run: reason -->`. One that needs something to be there
first names it, and belongs to the story that has it: `<!-- with: a worker on Kafka -->`. A block below
`<!-- file: NAME -->` is written to that file.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path

import pytest

from streammon.cli import main
from tests.broker.kafka_tools import eventually
from tests.conftest import Topics
from tests.docs.pages import ROOT, Block, blocks

EVENTS = 30_000
ROLES = ("events", "metrics", "alerts", "dead_letters", "late", "journal", "changelog")
TOPICS = {"inference-events": "events", "predictions": "events", "streammon-journal": "journal"}  # roles of names


class Story:
    """`folder` is the working directory. Without `topics` nothing of Kafka's is there."""

    def __init__(self, folder: Path, topics: Topics | None = None) -> None:
        self.folder = folder
        self._workers: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._names: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        if topics is not None:
            self._names = {name: topics.name(role) for name, role in TOPICS.items()}
            self._environment = {
                **{f"STREAMMON_TOPICS__{role.upper()}": topics.name(role) for role in ROLES},
                "STREAMMON_GROUP": topics.name("group"),
                "STREAMMON_KAFKA__BOOTSTRAP_SERVERS": topics.bootstrap,
            }

    def rename(self, names: Mapping[str, str]) -> None:
        """Words of commands that are otherwise here."""
        self._names |= names

    def tell(self, those: Iterable[Block]) -> str:
        """Run commands and write files, in order; what the last command printed."""
        printed = ""
        for block in those:
            kind, _, name = block.mark.partition(": ")
            if kind == "file":
                (self.folder / name).write_text(block.text, encoding="utf-8")
            elif block.language == "sh":
                for line in lines(block.text):
                    printed = self.run(line, block.place)
            elif block.language == "text":
                kept = [line for line in printed.splitlines() if not line.startswith(("seconds", "events per second"))]
                assert kept == block.text.splitlines(), block.place
        return printed

    def run(self, line: str, place: str) -> str:
        words = [self._names.get(word, word) for word in shlex.split(line.removesuffix("&"))]
        if words[0] != "streammon":
            subprocess.run(["sh", "-ec", line], cwd=self.folder, check=True)
            return ""
        arguments = words[1:]
        if arguments[0] == "run":
            self._start(arguments)
            return ""
        if arguments[0] == "simulate" and "kafka" in arguments:
            at = arguments.index("--events") + 1
            arguments[at] = str(min(EVENTS, int(arguments[at])))
        if arguments[0] == "tail":
            eventually(lambda: bool(self._printed([*arguments, "--until-end"], place)), place, 60, every=0.5)
            arguments.append("--until-end")
        return self._printed(arguments, place)

    def end(self) -> None:
        """Tell the workers to stop, once they are at work."""
        for worker, log in self._workers:
            eventually(partial(_is_live, log), f"a worker at work: {log.name}", 60, every=0.1)
            worker.send_signal(signal.SIGTERM)
        for worker, log in self._workers:
            assert worker.wait(30) == 0, log.read_text()

    def close(self) -> None:
        """End whatever is left."""
        for worker, _ in self._workers:
            worker.kill()
            worker.wait()

    def _start(self, arguments: list[str]) -> None:
        log = self.folder / f"worker-{len(self._workers)}.log"
        with log.open("wb") as file:
            environment = os.environ | {"PYTHONPATH": str(ROOT)} | self._environment
            command = [sys.executable, "-m", "streammon", *arguments]
            worker = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=file, stderr=file)
        self._workers.append((worker, log))

    def _printed(self, arguments: list[str], place: str) -> str:
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, chdir(self.folder), redirect_stdout(out), redirect_stderr(err):
            for name, value in self._environment.items():
                patch.setenv(name, value)
            code = main(arguments)
        assert code == 0, (
            f"{place}: streammon {shlex.join(arguments)}: exit code {code}\n{out.getvalue()}{err.getvalue()}"
        )
        return out.getvalue()


def _is_live(log: Path) -> bool:
    return " live " in log.read_text(encoding="utf-8")


def of(page: str, mark: str = "") -> list[Block]:
    """The blocks of one story of a page: commands with this mark, and a `text` block right behind one, which shows what
    it prints. Files belong to the story without a mark.
    """
    found: list[Block] = []
    told = False
    for block in blocks(page):
        told = (block.language == "sh" and block.mark == mark) or (block.language == "text" and told)
        if told or (not mark and block.mark.startswith("file: ")):
            found.append(block)
    return found


def lines(text: str) -> list[str]:
    """Commands without comments and blank lines."""
    cut = (line.partition("  #")[0].partition(" # ")[0].strip() for line in text.splitlines())
    return [line for line in cut if line and not line.startswith("#")]
