"""Damaged data by the million, against the strict reference: `make fuzz`, or `python -m tests.adapters.fuzz --seed 7`.

The records of a batch are of one schema: the canonical one, or a random one with columns on random paths. Every record
lies on a page of its own, its last byte before a page that must not be touched or its first byte behind one, so that
whoever reads outside it dies. Hence the work is done by child processes; the parent says which batch killed one, or
hung it, and how to repeat it.

A batch follows from (seed, number). Checked for each record: the code, and every value of every column.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import mmap
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streammon.adapters.avro.blocks import ColumnDecoder
from streammon.adapters.avro.columns import EVENT_COLUMNS
from streammon.adapters.avro.schema import load_schema
from streammon.core.errors import Code
from tests.adapters import strict_avro
from tests.adapters.avro_cases import EVENT, REQUIRED, RESERVED, encode, event, expected_row, python_row
from tests.adapters.avro_random import Case, Data, damaged, random_case

BATCH = 500  # records
SILENCE = 120  # seconds without a word after which a child counts as hung
PAGE = mmap.PAGESIZE
PROT_NONE = 0

_LIBC = ctypes.CDLL(None, use_errno=True)


class Pages:
    """Writable pages, each between two that kill."""

    def __init__(self, count: int) -> None:
        self._map = mmap.mmap(-1, (2 * count + 1) * PAGE)
        self.buffer: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        base = self.buffer.ctypes.data
        for number in range(0, 2 * count + 1, 2):
            if _LIBC.mprotect(ctypes.c_void_p(base + number * PAGE), ctypes.c_size_t(PAGE), PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")

    def put(self, number: int, data: bytes, at_the_end: bool) -> tuple[int, int]:
        """(start, end) of the data on page `number`."""
        page = (2 * number + 1) * PAGE
        start = page + (PAGE - len(data) if at_the_end else 0)
        self._map[start : start + len(data)] = data
        return start, start + len(data)


def material(random: Random) -> tuple[Case, list[bytes]]:
    """A case, and some good data of it that fit a page when they have grown a little."""
    if random.random() < 0.3:
        names = [field["name"] for field in EVENT["fields"]]
        events = [event(random.randint(0, 999), embedding=None, probs=[0.5], features=[1.0, 2.0]) for _ in range(5)]
        return Case(EVENT, EVENT_COLUMNS, {name: name for name in names if name != "gauges"}), [
            encode(EVENT, each) for each in events
        ]
    case = random_case(random)
    writer = Data(case.schema, random)
    data = [writer.datum() for _ in range(20)]
    return case, [datum for datum in data if len(datum) < PAGE // 4] or [b""]


def records(data: Sequence[bytes], random: Random) -> Iterator[bytes]:
    """Data damaged once or several times."""
    for _ in range(BATCH):
        datum = random.choice(data)
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            datum = damaged(datum, random, random.choice(data))
        yield datum[:PAGE]


def decoded(case: Case, values: Sequence[bytes], pages: Pages) -> tuple[list[str], list[dict[str, Any]]]:
    """Names of the codes, and the rows. Not by `decode_rows`, which copies the buffer to add the constants."""
    decoder = ColumnDecoder([load_schema(case.schema)], case.columns, case.mapping)
    spans = [pages.put(number, value, number % 2 == 0) for number, value in enumerate(values)]
    constants, _ = pages.put(BATCH, decoder._constants.tobytes(), at_the_end=True)
    start, end = np.array(spans, np.int64).T
    code = np.zeros(len(values), np.uint8)
    columns = decoder._allocate(len(values), sum(map(len, values)))
    schema = np.zeros(len(values), np.int64)
    decoder._decode(pages.buffer, constants, schema, start, end, False, code, columns)
    rows = [python_row(case.columns, pages.buffer, columns, row) for row in range(len(values))]
    return [Code(number).name for number in code.tolist()], rows


def check(seed: int, number: int, pages: Pages) -> Counter[str]:
    """Run one batch; how often each verdict came. Raises AssertionError where the two decoders differ."""
    random = Random(f"{seed}/{number}")
    case, data = material(random)
    values = list(records(data, random))
    required, reserved = (REQUIRED, RESERVED) if case.schema is EVENT else ((), {})
    codes, rows = decoded(case, values, pages)
    for value, code, row in zip(values, codes, rows, strict=True):
        try:
            read, verdict = strict_avro.decode(case.schema, value, required, reserved), "OK"
        except strict_avro.Bad as bad:
            read, verdict = None, str(bad)
        assert code == verdict, f"{code}, and the reference says {verdict}: {value.hex()} of {case.schema}"
        expected = expected_row(case.columns, read, case.mapping)
        assert repr(row) == repr(expected), f"{row}, and the reference says {expected}: {value.hex()} of {case}"
    return Counter(codes)


def work(seed: int, numbers: Sequence[int]) -> None:
    """A child: says which batch it begins, and what came of it."""
    faulthandler.enable()
    pages = Pages(BATCH + 1)
    for number in numbers:
        print("begin", number, flush=True)
        faulthandler.dump_traceback_later(SILENCE, exit=True)  # even when it is compiled code that hangs
        counts = check(seed, number, pages)
        faulthandler.cancel_dump_traceback_later()
        print("done", *(f"{name}={count}" for name, count in counts.items()), flush=True)


def watch(seed: int, numbers: range) -> Counter[str]:
    """How often each verdict came in these batches, run by a child. Raises AssertionError where it fails or dies."""
    part = f"{numbers.start}:{numbers.stop}:{numbers.step}"
    command = [sys.executable, "-m", "tests.adapters.fuzz", "--seed", str(seed), "--part", part]
    total: Counter[str] = Counter()
    batch, said = "none", ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            word, *rest = line.split() or [""]
            if word == "begin":
                batch = rest[0]
            elif word == "done":
                total.update({name: int(count) for name, count in (pair.split("=") for pair in rest)})
            else:
                said += line
    assert child.returncode == 0, (
        f"batch {batch} ended a child with {child.returncode}:\n{said}"
        f"Repeat it: python -m tests.adapters.fuzz --seed {seed} --part {batch}"
    )
    return total


def run(seed: int, batches: int, processes: int) -> Counter[str]:
    """How often each verdict came."""
    parts = [range(first, batches, processes) for first in range(min(processes, batches))]
    with ThreadPoolExecutor(processes) as pool:
        return sum(pool.map(partial(watch, seed), parts), Counter())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.adapters.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1_000_000, help="records")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--part", help="only this batch, in this process; or FIRST:END:STEP")
    arguments = parser.parse_args()
    if arguments.part:
        first, *rest = map(int, arguments.part.split(":"))
        work(arguments.seed, range(first, *rest) if rest else [first])
        return
    started = time.monotonic()
    try:
        total = run(arguments.seed, -(-arguments.count // BATCH), arguments.processes)
    except AssertionError as difference:
        sys.exit(str(difference))
    print(f"seed {arguments.seed}: {total.total():,} records in {time.monotonic() - started:.0f} s, no difference")
    print(", ".join(f"{name} {count:,}" for name, count in total.most_common()))


if __name__ == "__main__":
    main()
