"""How fast events decode, beside fastavro: `python -m tests.adapters.avro_speed`. One thread, best of many runs."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import fastavro

from streammon.adapters.avro.decoder import AvroDecoder
from tests.adapters.avro_cases import EVENT, batch, encode, event


def best(work: Callable[[], object], seconds: float = 2.0) -> float:
    """The shortest of the runs that fit into so many seconds."""
    shortest, until = float("inf"), time.perf_counter() + seconds
    while (started := time.perf_counter()) < until:
        work()
        shortest = min(shortest, time.perf_counter() - started)
    return shortest


def main() -> None:
    data = [encode(EVENT, event(number, user_id_hash=f"{number:032x}")) for number in range(5000)]
    parsed = fastavro.parse_schema(EVENT)
    reference = (
        best(lambda: [fastavro.schemaless_reader(io.BytesIO(datum), parsed, None) for datum in data[:500]]) / 500
    )
    print(f"{sum(map(len, data)) / len(data):.0f} bytes an event; fastavro {reference * 1e6:.1f} us an event")
    ids = range(0, 100_000, 200)
    many = AvroDecoder({str(number): EVENT for number in ids}, "confluent")
    framed = [b"\0" + (number * 200 % 100_000).to_bytes(4) + datum for number, datum in enumerate(data)]
    interleaved = batch(framed, gap=b"")
    each = best(lambda: many.decode(interleaved)) / len(framed)
    print(f"{len(ids)} schema ids, another with every record: {each * 1e6:.3f} us")
    decoder = AvroDecoder([EVENT], "raw")
    for size in (100, 1000, 5000):
        records = batch(data[:size], gap=b"")
        each = best(lambda records=records: decoder.decode(records)) / size  # type: ignore[misc]
        print(
            f"batches of {size}: {each * 1e6:.3f} us, {1 / each:,.0f} events/s, {reference / each:.0f} times fastavro"
        )


if __name__ == "__main__":
    main()
