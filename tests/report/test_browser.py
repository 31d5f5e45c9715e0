"""The page in a real browser, opened from the file system."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page

from streammon import incidents
from streammon.core.outputs import Measurement
from streammon.incidents import Incident
from streammon.report import write
from tests.report import recordings
from tests.report.recordings import CANARY, HOSTILE, MINUTE, PROD, START, alert, drifted, metric
from tests.report.test_report import hostile_recording

DRAWN = "document.querySelectorAll('.plot:has(canvas)').length"
SHOW_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
AA = 4.5  # contrast of text, WCAG 2


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two lanes, one of which drifted."""
    folder = recordings.write(tmp_path_factory.mktemp("report"), *drifted())
    told = Incident(kind="covariate", model="digits-0", lane="canary", start=START + 30 * MINUTE)
    incidents.write(folder / "incidents.json", [told])
    write(folder, folder / "report.html")
    return folder / "report.html"


@contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """The page, which must be quiet: no error, nothing on the console, no dialog, no request but for the file."""
    heard: list[str] = []

    def refuse(dialog: Dialog) -> None:
        heard.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    context = browser.new_context(**options)
    page = context.new_page()
    page.on("console", lambda message: heard.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("request", lambda request: heard.append(request.url) if request.url != path.as_uri() else None)
    page.on("dialog", refuse)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert heard == []


def draw_all(page: Page) -> None:
    """Open everything and wait until each chart is drawn, as for a printer."""
    page.evaluate(SHOW_ALL)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_function(f"{DRAWN} === document.querySelectorAll('.plot').length")


def test_every_figure_is_drawn(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        assert page.title() == "streammon: 2 alerts in 1 of 2 series"
        assert page.evaluate(DRAWN) < page.locator(".plot").count()  # the others wait until they are looked at
        page.evaluate(SHOW_ALL)
        for place in page.locator(".plot").all():
            place.scroll_into_view_if_needed()
            place.locator("canvas").wait_for()
        assert page.locator("figure").count() == page.evaluate(DRAWN) == 2 * 7 + 2
        painted = page.evaluate(
            """[...document.querySelectorAll("canvas")].map(canvas => {
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                return new Set(new Uint32Array(data.buffer)).size;
            })"""
        )
        assert min(painted) > 20  # colours: axes, text and lines


def test_a_chart_has_its_lines_and_the_reader_can_hide_one(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        figure = page.get_by_role("figure", name="Drift of features").first
        figure.scroll_into_view_if_needed()
        buttons = figure.get_by_role("button")
        assert [button.inner_text() for button in buttons.all()] == ["income", "age", "tenure"]
        before = figure.locator("canvas").screenshot()
        buttons.first.focus()
        page.keyboard.press("Space")
        assert buttons.first.get_attribute("aria-pressed") == "false"
        assert figure.locator("canvas").screenshot() != before
        buttons.first.click()
        assert buttons.first.get_attribute("aria-pressed") == "true"
        assert figure.get_by_text("feature-drift > 0.5", exact=True).is_visible()


def test_the_accessibility_tree_tells_every_figure(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.evaluate(SHOW_ALL)
        nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        told = {node["nodeId"]: node for node in nodes if not node.get("ignored")}
        figures = [node for node in told.values() if node["role"]["value"] == "figure"]
        assert len(figures) == page.locator("figure").count()
        for node in figures:
            assert len(node["name"]["value"]) > 10
            assert "indow" in node["description"]["value"]
            assert any(character.isdigit() for character in node["description"]["value"])
        latency = next(node for node in figures if node["name"]["value"].startswith("Latency, 95th percentile"))
        assert "violated in 25 windows. Fired at 11:32. Resolved at 11:56." in latency["description"]["value"]
        roles = [node["role"]["value"] for node in told.values()]
        assert roles.count("main") == 1
        assert {"heading", "table", "row", "columnheader", "rowheader", "region"} <= set(roles)
        for node in told.values():
            if node["role"]["value"] in {"button", "link", "table", "region", "DisclosureTriangle"}:
                assert node["role"]["value"] == "table" or node["name"]["value"]


def test_everything_is_reached_by_keyboard_and_shows_it(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        seen: list[str] = []
        for _ in range(40):
            page.keyboard.press("Tab")
            tag, text, outline = page.evaluate(
                """(() => { const one = document.activeElement, style = getComputedStyle(one);
                return [one.tagName, one.textContent.trim().slice(0, 40), style.outlineStyle]; })()"""
            )
            if tag == "BODY":
                break
            assert outline == "solid", f"{tag} {text} shows no focus"
            seen.append(f"{tag} {text}")
        assert "A digits-0 / v1 / canary" in seen
        assert {"BUTTON opened", "BUTTON value"} <= set(seen)
        assert any(one.startswith("SUMMARY Evidence: ") for one in seen)
        assert any(one.startswith("BUTTON income") for one in seen)


def test_a_link_opens_the_section_of_a_clean_series(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        whole = page.locator("#series-1 > details")
        assert whole.get_attribute("open") is None
        page.get_by_role("link", name="digits-0 / v1 / prod").press("Enter")
        page.wait_for_function("document.querySelector('#series-1 > details').open")
        page.locator("#series-1 canvas").first.wait_for()


def test_alerts_are_sorted_by_the_column_that_is_asked_for(browser: Browser, report: Path) -> None:
    with opened(browser, report) as page:
        table = page.get_by_role("table", name="Alerts")

        def rules() -> list[str]:
            return [row.locator("td").nth(1).inner_text() for row in table.locator("tbody tr").all()]

        assert sorted(rules()) == ["feature-drift", "slow"]
        for name, expected in (("rule", ["feature-drift", "slow"]), ("severity", ["slow", "feature-drift"])):
            button = table.get_by_role("button", name=name)
            button.press("Enter")
            assert rules() == expected
            button.press("Enter")
            assert rules() == expected[::-1]
            assert table.locator("[aria-sort]").inner_text().startswith(name)


def test_values_are_sorted_as_numbers(browser: Browser, tmp_path: Path) -> None:
    slow = Measurement("latency.p95", 46.0, n=500, threshold=0.0)
    values = (0.5, -3.0, 0.034, 1e-07, 12.0)
    alerts = [alert(CANARY, at, slow._replace(value=value)) for at, value in enumerate(values)]
    write(recordings.write(tmp_path, [], alerts), tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        table = page.get_by_role("table", name="Alerts")
        table.get_by_role("button", name="value").press("Enter")
        shown = [float(cell.inner_text().split()[0]) for cell in table.locator("[data-label=value] strong").all()]
        assert shown == sorted(values)


def test_neighbours_on_an_axis_differ(browser: Browser, tmp_path: Path) -> None:
    """Also where a line hardly moves, far from zero."""
    rows = [
        [Measurement("prediction.score_mean", 0.75 + at / 1e6, n=9), Measurement("traffic.qps", 12_500.0 + at, n=9)]
        for at in range(20)
    ]
    metrics = [metric(PROD, at, found) for at, found in enumerate(rows)]
    write(recordings.write(tmp_path, metrics, []), tmp_path / "report.html")
    with opened(browser, tmp_path / "report.html") as page:
        page.add_init_script(
            """window.told = new Map();
            const draw = CanvasRenderingContext2D.prototype.fillText;
            CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
                told.set(this.canvas, [...(told.get(this.canvas) ?? []), text]);
                return draw.call(this, text, ...rest);
            };"""
        )
        page.reload()
        draw_all(page)
        drawn = page.evaluate("[...told.values()]")
    ticks = [[text for text in texts if ":" not in text] for texts in drawn]  # without the times
    assert [len(texts) > 2 for texts in ticks] == [True, True]
    assert all(len(set(texts)) == len(texts) for texts in ticks), ticks


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_no_width_needs_sideways_scrolling(browser: Browser, report: Path, width: int) -> None:
    with opened(browser, report, viewport={"width": width, "height": 780}) as page:
        draw_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("Math.max(...[...document.querySelectorAll('canvas')].map(c => c.clientWidth))") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_on_what_is_behind_it(browser: Browser, report: Path, scheme: str) -> None:
    with opened(browser, report, color_scheme=scheme) as page:
        draw_all(page)
        found = page.evaluate(
            """(() => {
            const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
            const linear = (part) => (part /= 255) <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            const light = (colour) => {
                const [r, g, b] = parts(colour).map(linear);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const behind = (one) => {
                for (let at = one; at; at = at.parentElement) {
                    const colour = getComputedStyle(at).backgroundColor;
                    if (parts(colour)[3] !== 0) return colour;
                }
            };
            const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
            while (walker.nextNode()) {
                const one = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
                if (!text || ["SCRIPT", "STYLE"].includes(one.tagName)) continue;
                const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
                found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), text.slice(0, 40)]);
            }
            return found;
        })()"""
        )
        assert len(found) > 100
        assert [text for contrast, text in found if contrast < AA] == []
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper.removeprefix("rgb(").rstrip(")").split(","))) > 384) is (scheme == "light")


def test_a_change_of_scheme_draws_charts_anew(browser: Browser, report: Path) -> None:
    with opened(browser, report, color_scheme="light") as page:
        page.locator("canvas").first.scroll_into_view_if_needed()
        drawn = "document.querySelector('canvas')?.toDataURL()"  # without what is behind it
        light = page.evaluate(drawn)
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"light => {drawn} && {drawn} !== light", arg=light)


def test_without_scripts_the_page_still_tells_it_all(browser: Browser, report: Path) -> None:
    with opened(browser, report, java_script_enabled=False) as page:
        assert page.get_by_text("Scripts are off").is_visible()
        assert page.locator(".plot").first.is_hidden()
        section = page.locator("#series-0")
        assert section.get_by_text("violated in 25 windows. Fired at 11:32. Resolved at 11:56.").is_visible()
        assert section.get_by_text("< 0.1: 25.0 % in the reference, 90.0 % now").is_visible()
        section.locator("summary", has_text="Numbers of Latency").click()
        assert section.get_by_role("row", name="Latency, 95th percentile").is_visible()


def test_hostile_names_show_as_text(browser: Browser, tmp_path: Path) -> None:
    metrics, alerts = zip(*map(hostile_recording, HOSTILE), strict=True)
    folder = recordings.write(tmp_path, chain(*metrics), chain(*alerts))
    known = [Incident(kind=name or "x", model=name or "x", lane="*", start=START) for name in HOSTILE]
    incidents.write(folder / "incidents.json", known)
    write(folder, folder / "report.html")
    with opened(browser, folder / "report.html", viewport={"width": 360, "height": 780}) as page:
        draw_all(page)
        assert page.title() == f"streammon: {len(HOSTILE)} alerts in {len(HOSTILE)} of {len(HOSTILE)} series"
        assert page.locator("img, iframe, b, object").count() == 0
        assert page.locator("script").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert page.get_by_text(r"\x3cscript\x3ealert(\x22x\x22)\x3c/script\x3e").first.is_visible()
        assert page.get_by_text("{{ 7 * 7 }}{% raw %}").first.is_visible()
        assert page.get_by_text(r"\u202eevil\u2066").first.is_visible()
