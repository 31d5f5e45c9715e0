"""Links between pages, to files of the repository, and to headings lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, read, without_blocks, without_code

LINK = re.compile(r"\[[^\]]*\]\((?P<link>[^)\s]+)\)|<img src=\"(?P<image>[^\"]+)\"")
ELSEWHERE = ("http://", "https://", "mailto:")


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: str) -> list[str]:
    return [link["link"] or link["image"] for link in LINK.finditer(without_code(read(page)))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in links(page):
        if target.startswith(ELSEWHERE):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), f"{page}: there is no {target}"
        if anchor:
            linked = str(path.resolve().relative_to(ROOT))
            assert anchor in anchors(linked), f"{page}: {linked} has no heading #{anchor}"


def test_every_page_is_reached_from_the_readme() -> None:
    """Through links alone."""
    reached, waiting = {"README.md"}, ["README.md"]
    while waiting:
        page = waiting.pop()
        for target in links(page):
            path = ((ROOT / page).parent / target.partition("#")[0]).resolve()
            name = str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else ""
            if name in PAGES and name not in reached:
                reached.add(name)
                waiting.append(name)
    assert reached == set(PAGES)


def test_pictures_have_words() -> None:
    """For those who do not see them, and where they do not load."""
    pictures = [found for page in PAGES for found in re.findall(r"<img [^>]*>|!\[[^\]]*\]", read(page))]
    assert pictures
    assert all(re.search(r"(alt=\"|!\[)(\S+\s+){5}", picture) for picture in pictures)


def test_no_picture_lies_about_unseen() -> None:
    shown = {Path(target).name for page in PAGES for target in links(page)}
    assert {path.name for path in (ROOT / "docs" / "images").iterdir()} <= shown


def test_code_that_names_a_page_names_one_that_is_there() -> None:
    for folder in ("streammon", "tests", "examples"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"\bdocs/[\w-]+\.md", path.read_text(encoding="utf-8")):
                assert (ROOT / name).is_file(), f"{path}: there is no {name}"


def test_the_anchors_are_those_of_github() -> None:
    assert "what-it-does-not-do-yet" in anchors("docs/how-it-works.md")
    assert "streammon-dead-letters-list" in anchors("docs/reference.md")
