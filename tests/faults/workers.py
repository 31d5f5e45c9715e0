"""Worker processes as a test sees them: how they end, and what their logs say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.broker.kafka_tools import eventually

ROOT = Path(__file__).parents[2]
START_SECONDS = 90.0  # until a worker is live: imports, the session time-out of its predecessor, recovery
EXIT_SECONDS = 60.0


@dataclass(frozen=True)
class Death:
    """How a worker ends: itself at the n-th report of `step`, `after` seconds later if given; or killed from outside.

    Without a step, the test kills it `after` seconds after it has started to join the group.
    """

    step: str | None
    occurrence: int = 1
    after: float | None = None

    def __str__(self) -> str:
        when = "" if self.after is None else f" + {self.after * 1000:.1f} ms"
        return (f"{self.step}:{self.occurrence}" if self.step else "from outside") + when


class Worker:
    """A worker process. It waits for `go`, so that it can be made ready in advance."""

    def __init__(
        self,
        config: Path,
        log: Path,
        *,
        start: str | None = None,
        instance: str | None = None,
        death: Death | None = None,
        stop_at: str | None = None,
    ) -> None:
        """`stop_at`: the step of a commit, STEP:N, at which it stops itself (see `await_stopped`)."""
        self.log, self.death = log, death
        command = [sys.executable, "-m", "tests.faults.worker_process", str(config)]
        if start is not None:
            command += ["--start", start]
        if death is not None and death.step is not None:
            command += ["--kill-at", f"{death.step}:{death.occurrence}"]
            command += [] if death.after is None else ["--after", str(death.after)]
        command += [] if stop_at is None else ["--stop-at", stop_at]
        environment = dict(os.environ) | ({} if instance is None else {"STREAMMON_INSTANCE": instance})
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=file, stderr=file, cwd=ROOT, env=environment
            )

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"go\n")
        self.process.stdin.close()

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """What it has logged so far, by name of the event."""
        found = []
        for line in self.log.read_bytes().splitlines(keepends=True):
            if line.startswith(b"{") and line.endswith(b"}\n"):
                event = json.loads(line)
                if name is None or event["event"] == name:
                    found.append(event)
        return found

    def complaints(self) -> list[str]:
        """What it has written that is no event of the log."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if not line.startswith("{")]

    def await_event(self, name: str, count: int = 1, timeout: float = START_SECONDS) -> None:
        """Return once it has logged `count` events of that name; fails at once if it has ended without."""

        def logged() -> bool:
            ended = self.process.poll() is not None
            enough = len(self.events(name)) >= count
            assert enough or not ended, f"{self} ended without {count} x {name}:\n{self.tail()}"
            return enough

        eventually(logged, f"{self} logs {count} x {name}:\n{self.tail()}", timeout, every=0.05)

    def ended_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def await_death(self) -> None:
        """It must die by SIGKILL; kills it if that is how it is to end."""
        assert self.death is not None
        if self.death.step is None:
            self.await_event("started")
            if not self.ended_within(self.death.after or 0.0):
                self.process.kill()
        code = self._wait()
        assert code == -signal.SIGKILL, f"{self} ended with {code}, not by its death at {self.death}:\n{self.tail()}"

    def stop(self) -> None:
        """SIGSTOP: it does nothing more until `resume`."""
        self.process.send_signal(signal.SIGSTOP)
        self.await_stopped()

    def await_stopped(self) -> None:
        """Return once it does nothing more, stopped by itself or by `stop`."""

        def is_stopped() -> bool:
            assert self.process.poll() is None, f"{self} ended:\n{self.tail()}"
            return os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is not None

        eventually(is_stopped, f"{self} is stopped", START_SECONDS)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def terminate(self) -> None:
        """SIGTERM; it must leave in order."""
        self.process.terminate()
        code = self._wait()
        assert code == 0, f"{self} ended with {code} after SIGTERM:\n{self.tail()}"

    def exit_code(self) -> int:
        """Of a worker that ends by itself."""
        return self._wait()

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def __str__(self) -> str:
        return f"worker {self.log.stem}"

    def _wait(self) -> int:
        assert self.ended_within(EXIT_SECONDS), f"{self} (death: {self.death}) goes on:\n{self.tail()}"
        assert self.process.returncode is not None
        return int(self.process.returncode)


class Crew:
    """All workers of one test. Their logs lie in `folder`, numbered in the order in which they were made."""

    def __init__(self, config: Path, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.workers: list[Worker] = []

    def prepare(self, **options: Any) -> Worker:
        """A worker that waits for `go`. Options are Worker's."""
        worker = Worker(options.pop("config", self.config), self.folder / f"{len(self.workers):02}.log", **options)
        self.workers.append(worker)
        return worker

    def start(self, **options: Any) -> Worker:
        """A worker that works."""
        worker = self.prepare(**options)
        worker.go()
        return worker

    def events(self, name: str) -> list[dict[str, Any]]:
        return [event for worker in self.workers for event in worker.events(name)]


@contextmanager
def crew(config: Path, folder: Path) -> Iterator[Crew]:
    """Whatever happens, no worker outlives the test."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Crew(config, folder)
    try:
        yield made
    finally:
        for worker in made.workers:
            if worker.process.stdin is not None:
                worker.process.stdin.close()
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
