"""A nightly job that scores a file, and tells streammon of each prediction with the time that it belongs to.

    python examples/nightly_batch.py loans.csv --broker localhost:9092 > scores.csv

The file has the columns id, made_at (ISO 8601), income, age, debt; an empty cell is a missing value. Exit code 1 if not
every event has reached the broker: then the windows of that night count too few.
"""

import argparse
import csv
import math
import sys
from datetime import UTC, datetime

from streammon.sdk import EventProducer

FEATURES = ("income", "age", "debt")


def score(features: list[float | None]) -> float:
    """Yours: a forest, a network. This one only shows where it is called."""
    income, age, debt = (0.0 if value is None else value for value in features)
    return 1 / (1 + math.exp(-(debt / 10_000 - income / 20_000 - age / 100)))


def microseconds(text: str) -> int:
    """Since the epoch, which is what `ts` takes. A time without a zone is UTC."""
    time = datetime.fromisoformat(text)
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--broker", default="localhost:9092")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to wait for the broker")
    args = parser.parse_args()
    with open(args.file, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # In the order of time: windows close as event time goes on, and what comes after that is late.
    rows.sort(key=lambda row: microseconds(row["made_at"]))

    events = EventProducer(
        args.broker,
        model_id="loans",
        model_version="2026-01",
        lane="batch",  # of its own, because its clock is its own: in lane prod, last night's events would be late today
        wait_for_room=args.patience,  # a job may wait for the broker; a service never would
    )
    out = csv.writer(sys.stdout)
    for row in rows:
        features = [float(row[name]) if row[name] else None for name in FEATURES]
        risk = score(features)
        events.log(row["id"], ts=microseconds(row["made_at"]), features=features, score=risk)
        out.writerow([row["id"], f"{risk:.6f}"])
    events.close(timeout=args.patience)  # waits for what is still queued, then drops it
    stats = events.stats()
    print(f"{stats.delivered:,} of {stats.logged:,} events delivered", file=sys.stderr)
    if lost := ", ".join(f"{reason} {count:,}" for reason, count in stats.dropped.items()):
        print(f"dropped: {lost}", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
