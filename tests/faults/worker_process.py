"""A worker as a process of its own, which may kill or stop itself at a named step of a commit.

    python -m tests.faults.worker_process CONFIG [--start WHEN] [--kill-at STEP:N [--after SECONDS]] [--stop-at STEP:N]

It gets everything ready and then waits for a line on standard input, so that a successor starts the moment it is told.
Logs go to standard error as the settings say; refusals and exit codes are those of `streammon run`.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from streammon import telemetry, worker
from streammon.adapters.kafka.sink import STEPS
from streammon.core.errors import Refusal
from streammon.settings import load


class AtStep:
    """Sends this process a signal at the n-th time that a step is reported: at once, or `after` seconds later.

    `where` is STEP:N, or None for never.
    """

    def __init__(self, number: signal.Signals, where: str | None, after: float | None = None) -> None:
        step, _, occurrence = (where or f"{STEPS[0]}:0").partition(":")
        assert step in STEPS, f"{step} is none of {', '.join(STEPS)}"
        self._number, self._step, self._left, self._after = number, step, int(occurrence), after

    def __call__(self, step: str) -> None:
        if step != self._step:
            return
        self._left -= 1
        if self._left != 0:
            return
        if self._after is None:
            self._send()
            return
        timer = threading.Timer(self._after, self._send)
        timer.daemon = True
        timer.start()

    def _send(self) -> None:
        os.kill(os.getpid(), self._number)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("config", type=Path)
    parser.add_argument("--start")
    parser.add_argument("--kill-at", metavar="STEP:N")
    parser.add_argument("--after", type=float, metavar="SECONDS", help="from that step on to the kill")
    parser.add_argument("--stop-at", metavar="STEP:N", help="until it gets SIGCONT")
    args = parser.parse_args()
    kill, stop = AtStep(signal.SIGKILL, args.kill_at, args.after), AtStep(signal.SIGSTOP, args.stop_at)

    def on_step(step: str) -> None:
        kill(step)
        stop(step)

    if not sys.stdin.readline():
        return 0  # whoever started us is gone
    try:
        settings = load(args.config)
        telemetry.set_up(settings.log.format, settings.log.level)
        worker.run(settings, args.start, on_step=on_step)
    except Refusal as refusal:
        print(f"streammon: {refusal}", file=sys.stderr)
        return refusal.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
