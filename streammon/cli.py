"""The command line. Exit codes: 0 fine, 1 a check failed, 2 usage or configuration, 3 broker unreachable, 4 fenced.

A refusal is a line on standard error that says what to do, never a traceback. Commands import what they need when they
run, so that `--help` is instant.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from streammon import __version__
from streammon.commands import COMMANDS
from streammon.commands.common import Parser
from streammon.core.errors import Refusal

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    try:
        args = _parser().parse_args(arguments)
        args.execute(args)
        sys.stdout.flush()
    except Refusal as refusal:
        for line in str(refusal).splitlines():  # the settings may have several problems, a line each
            print(f"streammon: {line}", file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough; what Python still flushes at its end goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> Parser:
    parser = Parser(prog="streammon", description="Monitoring of deep-learning inference on Kafka.")
    parser.add_argument("--version", action="version", version=f"streammon {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser
