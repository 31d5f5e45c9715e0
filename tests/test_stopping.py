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
