"""The page: one file of HTML with its styles, scripts and numbers in it, made small enough.

All words of others pass `words.name` before they reach the template, which escapes once more. Styles and scripts are
allowed by their hashes alone, and nothing may be fetched.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from streammon.core.errors import UsageError

LIMIT = 1_000_000  # bytes of a page
UPLOT = "vendor/uplot"  # 1.6.32
_UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


@dataclass(frozen=True)
class Cut:
    """How much of everything goes on the page."""

    buckets: int  # of time, per chart: twice as many points
    charts: int
    moved: int
    alerts: int
    sections: int


def cuts() -> Iterator[Cut]:
    """From all to little: first fewer points, then fewer of everything."""
    most = Cut(240, 400, 60, 300, 60)
    yield most
    yield from (Cut(buckets, most.charts, most.moved, most.alerts, most.sections) for buckets in (120, 60))
    for percent in (75, 50, 35, 25, 15, 10, 5, 2):
        yield Cut(
            60, *(max(part * percent // 100, 1) for part in (most.charts, most.moved, most.alerts, most.sections))
        )


def render(view: Mapping[str, Any], data: Mapping[str, Any]) -> bytes:
    """The page of a view (what the template names) and of the numbers that scripts draw."""
    style, script = _file(f"{UPLOT}/uPlot.min.css") + _file("template/page.css"), _script()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    text = (
        _environment()
        .get_template("page.html")
        .render(**view, style=Markup(style), script=Markup(script), policy=policy, data=in_script(data))
    )
    return text.encode()


def too_large(size: int) -> UsageError:
    return UsageError(
        f"the page would have {size:,} bytes, more than the {LIMIT:,} that it may: choose fewer series with --model "
        "or --lane"
    )


def in_script(data: Any) -> Markup:
    """JSON that no HTML parser takes for markup, whatever is in its texts.

    >>> print(in_script({"</script>": "a & b"}))
    {"\\u003c/script\\u003e":"a \\u0026 b"}
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII, so U+2028 and surrogates are escaped
    for character, escape in _UNSAFE.items():
        text = text.replace(character, escape)
    return Markup(text)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("streammon.report", "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _script() -> str:
    return _file(f"{UPLOT}/uPlot.iife.min.js") + "\n" + _file("template/page.js")


def _file(name: str) -> str:
    return resources.files("streammon.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
