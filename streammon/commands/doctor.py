"""`streammon doctor`: is everything as a worker needs it?"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from streammon.commands.common import add_command, add_config, add_json, load_settings, print_json
from streammon.core.errors import CheckFailed, Refusal
from streammon.text import counted

COLOURS = {"ok": "32", "unknown": "36", "warn": "33", "fail": "31"}


def add(commands: Any) -> None:
    parser = add_command(
        commands,
        "doctor",
        "examine cluster, topics, permissions, records and this machine",
        "doctor --config streammon.yaml",
        "Changes nothing. Exit code 1 if something would keep a worker from its work, 3 if no broker answers.",
    )
    add_config(parser)
    add_json(parser)
    parser.set_defaults(execute=execute)


def execute(args: argparse.Namespace) -> None:
    from streammon.doctor import Finding, Level, examine

    settings = load_settings(args)
    found: list[Finding] = []
    problem: Refusal | None = None
    try:
        for finding in examine(settings):
            found.append(finding)
            if not args.json:
                print(_lines(finding.check, finding.level, finding.text, finding.fixes), flush=True)
    except Refusal as refusal:
        problem = refusal
    count = {level: sum(finding.level is level for finding in found) for level in Level}
    if args.json:
        print_json({"ok": not count[Level.FAIL], "findings": [finding._asdict() for finding in found]})
    if problem is not None:
        raise problem
    if count[Level.FAIL]:
        failed = count[Level.FAIL]
        raise CheckFailed(
            f"doctor: {counted(failed, 'check')} failed: a worker needs {'it' if failed == 1 else 'them'}"
        )


def _lines(check: str, level: str, text: str, fixes: tuple[str, ...]) -> str:
    mark = f"{level:8}"
    if sys.stdout.isatty():
        mark = f"\x1b[{COLOURS[level]}m{mark}\x1b[0m"
    return "\n".join([f"{mark}{check:14} {text}", *(f"{'':22} -> {fix}" for fix in fixes)])
