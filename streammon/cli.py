"""The command line. Exit codes: 0 fine, 1 a check failed, 2 usage or configuration, 3 broker unreachable, 4 fenced.

A refusal is one line on standard error, never a traceback. Commands import what they need when they run, so that
`--help` is instant.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from streammon import __version__
from streammon.commands import COMMANDS
from streammon.core.errors import Refusal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    args = _parser().parse_args(arguments)
    try:
        args.execute(args)
        sys.stdout.flush()
    except Refusal as refusal:
        print(f"streammon: {refusal}", file=sys.stderr)
        return refusal.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streammon", description="Monitoring of deep-learning inference on Kafka.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"streammon {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add(commands)
    return parser
