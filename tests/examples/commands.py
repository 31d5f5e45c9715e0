"""The examples as a user runs them: the commands in the head of each, in a process of their own."""

from __future__ import annotations

import ast
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
BROKER = "localhost:9092"  # what the heads say


def head(example: str) -> list[str]:
    """The indented lines of an example's docstring: what to type."""
    text = ast.get_docstring(ast.parse((ROOT / "examples" / example).read_text(encoding="utf-8")))
    assert text is not None
    return [line.strip() for line in text.splitlines() if line.startswith("    ")]


def command(example: str, number: int, replacements: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The line with this number as arguments and variables; words are replaced, and what is redirected is left out."""
    line = head(example)[number].partition(" > ")[0]
    for old, new in replacements.items():
        assert old in line, f"{example} does not say {old}: {line}"
        line = line.replace(old, new)
    words = shlex.split(line)
    variables = {}
    while "=" in words[0]:
        name, _, variables[name] = words.pop(0).partition("=")
    program = [sys.executable] if words[0] == "python" else [sys.executable, "-m", words[0]]
    return program + words[1:], {**os.environ, **variables}


def run(
    example: str, number: int, replacements: Mapping[str, str], timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """What the command of the head printed, and how it ended."""
    arguments, variables = command(example, number, replacements)
    return subprocess.run(
        arguments, env=variables, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
