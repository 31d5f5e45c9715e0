"""Tables on a terminal, and what stands in their cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from streammon.settings.durations import duration_text


def table(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, the first row their headings; numbers to the right.

    >>> print("\\n".join(table([("rule", "alerts"), ("slow", "3"), ("class-mix", "12")])))
    rule       alerts
    slow            3
    class-mix      12
    """
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [any(_is_number(cell) for cell in column[1:]) for column in zip(*cells, strict=True)]
    for row in cells:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True))
        yield "  ".join(padded).rstrip()


def length(microseconds: float | None) -> str:
    """A duration, to the millisecond; `-` where there is none.

    >>> length(90_000_000), length(1.5e6), length(None)
    ('90s', '1500ms', '-')
    """
    return "-" if microseconds is None else duration_text(timedelta(milliseconds=round(microseconds / 1000)))


def span(weeks: float) -> str:
    """A long time, in the unit that suits it.

    >>> span(2.5), span(0.5), span(0.01), span(1200)
    ('2.5 weeks', '3.5 days', '1.68 hours', '1,200 weeks')
    """
    days = weeks * 7
    value, unit = (weeks, "weeks") if days >= 14 else (days, "days") if days >= 2 else (days * 24, "hours")
    return f"{rate(value)} {unit}"


def rate(number: float | None) -> str:
    """Three digits of a number, or more before the point; `-` where there is none.

    >>> rate(0.0123), rate(999.7), rate(2881.4), rate(None)
    ('0.0123', '1,000', '2,881', '-')
    """
    return "-" if number is None else f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() and cell.replace(",", "").replace(".", "").isdigit()
