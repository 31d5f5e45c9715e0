"""Breaks the code on purpose: every patch in this folder must make the test that it names fail.

    python tests/mutants/run.py [NAME ...]

A patch is a unified diff against the tree, behind a comment that says what is broken and which test must notice:

    # What is broken, in a line or two.
    # test: tests/core/test_timeline.py::test_a_clock_never_goes_back

The tree is copied once; each patch is applied to the copy, its test is run there, and the patch is taken back. Every
named test must pass on the copy as it is. A test that is skipped there (no broker) says nothing, and is shown as such.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATCHES = Path(__file__).resolve().parent
SECONDS = 900  # a test that takes longer has failed in its own way
PLUGIN = "tests.mutants.quick"
SKIPPED = "1 skipped"
TAIL = 12  # lines of output that explain a surprise


class Verdict(StrEnum):
    KILLED = "killed"
    SURVIVED = "SURVIVED"
    BROKEN = "DOES NOT APPLY"
    ERROR = "NOT A FAILURE"  # the test was not found, or could not be collected
    UNTESTED = "TEST FAILS WITHOUT IT"
    SKIPPED = "skipped"

    @property
    def good(self) -> bool:
        return self in {Verdict.KILLED, Verdict.SKIPPED}


@dataclass(frozen=True)
class Mutant:
    name: str
    path: Path
    test: str
    files: tuple[str, ...]  # that it touches

    @classmethod
    def read(cls, path: Path) -> Mutant:
        lines = path.read_text(encoding="utf-8").splitlines()
        tests = [line.removeprefix("# test: ").strip() for line in lines if line.startswith("# test: ")]
        if len(tests) != 1:
            raise SystemExit(f"{path}: needs one line `# test: FILE::NAME`, has {len(tests)}")
        files = tuple(line.removeprefix("+++ b/").strip() for line in lines if line.startswith("+++ b/"))
        return cls(path.stem, path, tests[0], files)


@dataclass(frozen=True)
class Outcome:
    code: int
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        return self.code == 0 and SKIPPED not in self.last

    @property
    def skipped(self) -> bool:
        return self.code == 0 and SKIPPED in self.last

    @property
    def last(self) -> str:
        return self.output.strip().rpartition("\n")[2]


class Tree:
    """A copy of the working tree in which tests are run."""

    def __init__(self, folder: Path) -> None:
        self.root, self._caches = folder / "tree", folder / "caches"
        for name in _tracked():
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)

    def apply(self, mutant: Mutant) -> bool:
        """False where the patch does not fit."""
        for name in mutant.files:
            shutil.copy2(self.root / name, self._kept(name))
        command = ["git", "apply", "--whitespace=nowarn", str(mutant.path)]
        return subprocess.run(command, cwd=self.root, check=False, env=_no_repository()).returncode == 0

    def restore(self, mutant: Mutant) -> None:
        for name in mutant.files:
            shutil.copy2(self._kept(name), self.root / name)

    def _kept(self, name: str) -> Path:
        """Where a file waits while a patch is applied to it; the working tree may have moved on meanwhile."""
        return self.root.parent / name.replace("/", "_")

    def compiled(self, mutant: Mutant) -> bool:
        """Whether it touches a module with compiled loops."""
        marks = ("compiled import", "@njit")
        return any(
            "compiled" in name or any(mark in (self.root / name).read_text() for mark in marks) for name in mutant.files
        )

    def run(self, test: str, cache: str = "shared") -> Outcome:
        """One test. numba sees a change of a compiled loop, but not of one that it calls: those get another `cache`."""
        environment = os.environ | {
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",  # a module's cached bytes may be as young as its patch
            "NUMBA_CACHE_DIR": str(self._caches / cache),
        }
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", PLUGIN, test]
        started = time.monotonic()
        try:
            done = subprocess.run(
                command, cwd=self.root, env=environment, check=False, timeout=SECONDS, capture_output=True, text=True
            )
        except subprocess.TimeoutExpired:
            return Outcome(-1, time.monotonic() - started, "timed out")
        return Outcome(done.returncode, time.monotonic() - started, done.stdout + done.stderr)


def judge(tree: Tree, mutant: Mutant, without: Outcome) -> tuple[Verdict, Outcome]:
    """What becomes of the mutant. `without`: of its test on the tree as it is."""
    if without.skipped:
        return Verdict.SKIPPED, without
    if not without.passed:
        return Verdict.UNTESTED, without
    if not tree.apply(mutant):
        return Verdict.BROKEN, Outcome(0, 0.0, "")
    try:
        outcome = tree.run(mutant.test, mutant.name if tree.compiled(mutant) else "shared")
    finally:
        tree.restore(mutant)
    if outcome.code == 1:
        return Verdict.KILLED, outcome
    return (Verdict.SURVIVED if outcome.code == 0 else Verdict.ERROR), outcome


def main(names: Sequence[str]) -> int:
    mutants = [Mutant.read(path) for path in sorted(PATCHES.glob("*.patch")) if not names or path.stem in names]
    unknown = set(names) - {mutant.name for mutant in mutants}
    if unknown or not mutants:
        print(f"no such mutant: {', '.join(sorted(unknown)) or 'there is none'}", file=sys.stderr)
        return 2
    bad = 0
    with tempfile.TemporaryDirectory(prefix="streammon-mutants-") as folder:
        tree = Tree(Path(folder))
        without: dict[str, Outcome] = {}
        width = max(len(mutant.name) for mutant in mutants)
        for mutant in mutants:
            if mutant.test not in without:
                without[mutant.test] = tree.run(mutant.test)
            verdict, outcome = judge(tree, mutant, without[mutant.test])
            print(f"{mutant.name:{width}}  {verdict:21}  {outcome.seconds:6.1f} s  {mutant.test}", flush=True)
            if not verdict.good:
                bad += 1
                print("\n".join(f"    {line}" for line in outcome.output.strip().splitlines()[-TAIL:]), flush=True)
    print(
        f"{len(mutants) - bad} of {len(mutants)} mutants are noticed" if not bad else f"{bad} mutants are not noticed"
    )
    return 1 if bad else 0


def _tracked() -> Iterable[str]:
    """Files of the tree, those that are not added yet included; what is ignored is not."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def _no_repository() -> dict[str, str]:
    """For `git apply` in a folder that belongs to no repository, whatever lies above it."""
    return os.environ | {"GIT_CEILING_DIRECTORIES": tempfile.gettempdir()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
