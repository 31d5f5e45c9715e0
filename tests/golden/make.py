"""Makes the golden bytes from the JSON beside them, with the oracle. This is the only way to change them:

    python -m tests.golden.make

`NAME.N.json` is written by hand; N is the version of the schema NAME, counted from 1. When a schema changes, its old
version moves to schemas/history/NAME.N.avsc, the golden bytes of N stay as they are for ever, and N + 1 is added here.
(Not of the changelog: it has a format number, and another one is refused, so only today's is here.)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.golden import oracle

FOLDER = Path(__file__).resolve().parent
SYNC = bytes(range(16))


def cases() -> list[str]:
    """Every golden case, such as `metric_event.1`."""
    return sorted(path.name.removesuffix(".json") for path in FOLDER.glob("*.json"))


def current(name: str) -> str:
    """The case of the version of a schema that is written today."""
    return f"{name}.{1 + len(list((oracle.SCHEMAS / 'history').glob(f'{name}.*.avsc')))}"


def is_current(case: str) -> bool:
    return case == current(case.partition(".")[0])


def content(case: str) -> Any:
    """The record of a case; of recorded_envelope the list of records."""
    return json.loads((FOLDER / f"{case}.json").read_text(encoding="utf-8"))


def golden(case: str) -> Path:
    return FOLDER / f"{case}.bin"


def made(case: str) -> bytes:
    """The bytes of a current case."""
    name, value = case.partition(".")[0], content(case)
    return oracle.container(name, value, SYNC) if isinstance(value, list) else oracle.single_object(name, value)


if __name__ == "__main__":
    for name in filter(is_current, cases()):
        golden(name).write_bytes(made(name))
        print(f"{golden(name).name}: {golden(name).stat().st_size} bytes")
