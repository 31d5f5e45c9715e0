"""Recordings and a baseline that the command line made, and ways to call it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from streammon.cli import main

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits.yaml"
END = "2026-01-31T12:00:00Z"


class Result(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Result]


class Files(NamedTuple):
    """What the tests share; none of them writes there."""

    folder: Path
    config: Path  # examples/digits.yaml beside its baseline
    recording: Path  # 20,000 clean events of digits-0 over ten minutes
    baseline: Path


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capsys.readouterr())

    return run


def spawn(*arguments: object, cwd: Path = ROOT) -> subprocess.Popen[str]:
    """`python -m streammon` as a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "streammon", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 60.0) -> Result:
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return Result(process.returncode, out, err)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("commands")
    config, recording, baseline = folder / "digits.yaml", folder / "clean.avro", folder / "baselines" / "digits-0"
    config.write_text(DIGITS.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["simulate", "--to", str(recording), "--events", "20000", "--seed", "7", "--end", END]) == 0
    build = ["--config", str(config), "--from", str(recording), "--model", "digits-0", "--out", str(baseline)]
    assert main(["baseline", "build", *build]) == 0
    return Files(folder, config, recording, baseline)
