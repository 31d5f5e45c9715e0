"""The command line. Exit codes: 0 fine, 1 a check failed, 2 usage or configuration, 3 broker unreachable, 4 fenced.
130 and 143: ended by Ctrl-C or SIGTERM, as shells report it (`run` ends in order instead, with 0).

A refusal is a line on standard error that says what to do, never a traceback. Commands import what they need when they
run, so that `--help` is instant.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

from streammon import __version__
from streammon.commands import COMMANDS
from streammon.commands.common import Parser
from streammon.core.errors import Refusal, UsageError
from streammon.text import without_controls

NOWHERE_TO_CACHE = "no locator available"  # numba's words, when the first compiled function is imported
INTERRUPTED, TERMINATED = 130, 143  # what a shell reports for Ctrl-C and for SIGTERM


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode is no reason to fail
    try:
        with _sigterm_raises():
            args = _parser().parse_args(arguments)
            args.execute(args)
            sys.stdout.flush()
    except Refusal as refusal:
        for line in str(refusal).split("\n"):  # the settings may have several problems, a line each
            print(f"streammon: {without_controls(line)}", file=sys.stderr)
        return refusal.exit_code
    except RuntimeError as error:
        if NOWHERE_TO_CACHE not in str(error):
            raise
        print(
            "streammon: there is no folder for compiled code (a read-only file system?): set NUMBA_CACHE_DIR to one "
            "that can be written",
            file=sys.stderr,
        )
        return UsageError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except _Terminated:
        return TERMINATED
    except BrokenPipeError:  # the reader of a pipe has seen enough; what Python still flushes at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


class _Terminated(BaseException):
    """SIGTERM came: what is half done is cleared away, as for Ctrl-C."""


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    def terminate(number: int, frame: object) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _parser() -> Parser:
    parser = Parser(prog="streammon", description="Monitoring of deep-learning inference on Kafka.")
    parser.add_argument("--version", action="version", version=f"streammon {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser
