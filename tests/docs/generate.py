"""Writes the tables of the documentation that are made from code; `make docs` runs it.

    python -m tests.docs.generate

A page has a place for each, between two comments that its reader does not see:

    <!-- made from code: settings -->
    <!-- end -->

What stands between them is replaced; all else on a page is written by hand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial

from tests.docs import settings_tables, tables
from tests.docs.pages import PAGES, ROOT, read

PARTS: Mapping[str, Callable[[], str]] = {
    "settings": settings_tables.sections,
    "rules": settings_tables.rules,
    "reserved options": settings_tables.reserved,
    "measurements": tables.measurements,
    "inference event": partial(tables.record, "inference_event"),
    "inference label": partial(tables.record, "inference_label"),
    "metric event": partial(tables.record, "metric_event"),
    "alert event": partial(tables.record, "alert_event", ("Measurement", "Window")),
    "log": tables.log_events,
    "telemetry": tables.telemetry,
    "commands": tables.commands,
    "exit codes": tables.exit_codes,
}
PLACE = re.compile(r"(?P<head><!-- made from code: (?P<part>[\w ]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The text of a page with every place filled. KeyError for a part that is not made here."""
    return PLACE.sub(lambda place: f"{place['head']}\n{PARTS[place['part']]()}\n\n{place['end']}", text)


def main() -> None:
    for page in PAGES:
        text = read(page)
        new = filled(text)
        if new != text:
            (ROOT / page).write_text(new, encoding="utf-8")
            print(f"written: {page}")


if __name__ == "__main__":
    main()
