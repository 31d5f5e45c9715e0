"""The fuzzer: a small part of what `make fuzz` runs, and that it notices what it is there for."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.adapters import fuzz, strict_avro


def test_damaged_data_get_verdict_and_values_of_the_reference() -> None:
    """Read from pages between others that kill whoever looks outside a record."""
    counts = fuzz.run(seed=20, batches=8, processes=1)
    assert counts.total() == 8 * fuzz.BATCH
    assert {"OK", "RANGE", "TRUNCATED", "TRAILING", "ENCODING"} <= counts.keys()


@pytest.mark.parametrize("at", ["end", "start - 1"])
@pytest.mark.parametrize("outside", [False, True])
def test_a_byte_outside_a_record_kills(at: str, outside: bool) -> None:
    where = at if outside else {"end": "end - 1", "start - 1": "start"}[at]
    code = (
        "from tests.adapters.fuzz import Pages; pages = Pages(2);"
        f"start, end = pages.put(1, b'abc', {at == 'end'}); print(pages.buffer[{where}])"
    )
    child = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert child.returncode == (-signal.SIGSEGV if outside else 0)


def test_a_difference_is_told_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = fuzz.Pages(fuzz.BATCH + 1)
    fuzz.check(20, 3, pages)
    monkeypatch.setattr(strict_avro, "decode", lambda *_: pytest.fail("never"))
    monkeypatch.setattr(strict_avro, "Bad", pytest.fail.Exception)
    with pytest.raises(AssertionError, match="and the reference says never"):
        fuzz.check(20, 3, pages)


def test_a_child_that_fails_names_its_batch() -> None:
    with pytest.raises(AssertionError, match=r"batch none ended a child with 2:(.|\n)*invalid int value: 'x'"):
        fuzz.watch("x", range(1))  # type: ignore[arg-type]  # for the child to refuse
