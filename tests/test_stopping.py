"""How a process ends when it is told to, whatever holds it up."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

GRACE = 0.5  # seconds
SECONDS = 10.0  # with room for a busy machine

TALKING = """
from streammon import telemetry
from streammon.stopping import until_signalled
from streammon.telemetry import Event, log

telemetry.set_up("json", "info")
stopping = until_signalled(grace={grace})
if {asked}:
    stopping()
print("ready", flush=True)
while True:
    log(Event.STARTED, text="x" * 3_000)
"""


@pytest.mark.parametrize("asked", [False, True])
def test_a_log_that_nobody_takes_holds_up_no_end(asked: bool) -> None:
    """Whoever reads standard error has stopped: the process waits for it in the middle of a line."""
    code = TALKING.format(grace=GRACE, asked=asked)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)  # by now the pipe is full
            process.send_signal(signal.SIGTERM)
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()


OTHERS = """
import signal, time
from streammon.stopping import until_signalled

signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
stopping = until_signalled()
print("ready", flush=True)
while not stopping():
    time.sleep(0.01)
print("stopped", flush=True)
"""


def test_only_what_asks_for_the_end_ends_it() -> None:
    """A signal that somebody else handles is theirs."""
    with subprocess.Popen([sys.executable, "-c", OTHERS], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = [process.stdout.readline()]
            for number in (signal.SIGUSR1, signal.SIGUSR1, signal.SIGTERM):
                process.send_signal(number)
                said.append(process.stdout.readline())
            assert said == ["ready\n", "handled\n", "handled\n", "stopped\n"]
            assert process.wait(SECONDS) == 0
        finally:
            process.kill()
