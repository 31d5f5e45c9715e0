"""The pages of the documentation, and what is in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))

_FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)


class Block(NamedTuple):
    """A fenced block. `mark` is the comment on the line above it, which a reader of the page does not see."""

    page: str
    line: int  # of its first line of text
    language: str
    text: str
    mark: str  # "" where there is none

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: str, language: str = "") -> Iterator[Block]:
    """The fenced blocks of a page, of one language or all, in order."""
    text = read(page)
    for found in _FENCE.finditer(text):
        if language in ("", found["language"]):
            line = text.count("\n", 0, found.start("text")) + 1
            yield Block(page, line, found["language"], found["text"], found["mark"] or "")


def without_blocks(text: str) -> str:
    return _FENCE.sub("", text)


def without_code(text: str) -> str:
    """The text of a page without blocks and `code`: what looks like a link in them is none."""
    return re.sub(r"`[^`\n]*`", "", without_blocks(text))
