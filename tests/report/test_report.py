"""The page as a text: what it says, how it is made safe, how it stays small. How it behaves: test_browser.py."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streammon import incidents
from streammon.baselines.build import build
from streammon.baselines.store import save
from streammon.core.errors import UsageError
from streammon.core.outputs import OTHER, Measurement, Series
from streammon.incidents import Incident
from streammon.report import page as page_module
from streammon.report import write
from streammon.report.page import LIMIT, in_script
from streammon.report.sources import directory
from tests.report import recordings
from tests.report.recordings import (
    CLASSES,
    FIVE,
    HOSTILE,
    MINUTE,
    MOVED,
    PROD,
    START,
    alert,
    drifted,
    metric,
    psi,
    usual,
)


class Page(HTMLParser):
    """The words of a page without scripts and styles, the elements, and the numbers for its charts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.html = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._raw: dict[str, list[str]] = {"script": [], "style": []}
        self._inside: str | None = None
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in self._raw else None

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        (self._raw[self._inside] if self._inside else self._words).append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._words))

    @property
    def scripts(self) -> list[str]:
        return self._raw["script"]

    @property
    def styles(self) -> list[str]:
        return self._raw["style"]

    @property
    def data(self) -> dict[str, Any]:
        found = json.loads(self.scripts[0])
        assert isinstance(found, dict)
        return found

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def page_of(folder: Path, *made: Any, **options: Any) -> Page:
    """The page of (metrics, alerts), or of what stands in the folder already."""
    if made:
        recordings.write(folder, *made)
    write(folder, folder / "report.html", **options)
    return Page(folder / "report.html")


def chart(page: Page, unit: str, label: str) -> dict[str, Any]:
    """The numbers of the first chart with such a line."""
    return next(
        c for c in page.data["lines"].values() if c["unit"] == unit and any(one["l"] == label for one in c["lines"])
    )


def test_the_page_tells_what_happened(tmp_path: Path) -> None:
    incidents.write(
        tmp_path / "incidents.json",
        [Incident(kind="covariate", model="digits-0", lane="canary", start=START + 30 * MINUTE)],
    )
    page = page_of(tmp_path, *drifted())
    assert "2 alerts in 1 of 2 series" in page.text
    assert "Event time 2026-01-31 11:00:00 to 2026-01-31 12:00:00 UTC" in page.text
    assert "60,000 events in closed windows" in re.sub(r"(events in closed windows) (60,000)", r"\2 \1", page.text)
    assert "feature-drift after 2 windows of 1m; slow after 2 windows of 1m" in page.text
    assert "feature.psi_excess of income" in page.text
    assert "resolved 11:56" in page.text
    assert "P1 slow" in page.text
    assert "< 0.1: 25.0 % in the reference, 90.0 % now" in page.text
    assert "&lt; 0.1: 25.0 %" in page.html  # the template escapes, too


def test_a_chart_has_the_threshold_the_alerts_and_the_incident(tmp_path: Path) -> None:
    incidents.write(
        tmp_path / "incidents.json",
        [Incident(kind="slow disk", model="digits-0", lane="*", start=START + 30 * MINUTE, end=START + 55 * MINUTE)],
    )
    page = page_of(tmp_path, *drifted())
    latency = chart(page, "ms", "Latency, 95th percentile")
    assert latency["limits"] == [{"l": "slow > 35 ms", "v": 35.0}]
    marked = [(latency["t"][row], fired) for _, row, fired in latency["marks"]]
    assert marked == [(START / 1e6 + 32 * 60, 1), (START / 1e6 + 56 * 60, 0)]
    assert latency["incidents"] == [{"l": "slow disk", "t": START / 1e6 + 1800}]
    assert "Threshold slow > 35 ms: violated in 25 windows. Fired at 11:32. Resolved at 11:56." in page.text


def test_what_is_published_and_nowhere_drawn_is_named(tmp_path: Path) -> None:
    page = page_of(tmp_path, *drifted())
    names = re.findall(r"measurements are published and not drawn (\S.*?) (?=How to read|▸|digits)", page.text)
    drift = ["feature.psi", "prediction.class_psi"]
    assert [sorted(found.split(", ")) for found in names] == [
        drift,
        ["feature.mean", *drift],
    ]  # the mean of what drifted is


def test_settings_give_the_thresholds_of_rules_that_never_fired(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(
        "rules:\n"
        "  - {id: errors, measurement: traffic.rate_5xx, above: 0.05}\n"
        "  - {id: not-here, measurement: traffic.qps, below: 1, lane: shadow}\n"
    )
    page = page_of(tmp_path, *drifted())
    assert chart(page, "%", "Server errors")["limits"] == [{"l": "errors > 5 %", "v": 0.05}]
    assert chart(page, "/s", "Traffic")["limits"] == []
    assert "Policy of the settings" in page.text  # its hash is not the one in the events


def test_bands_are_those_of_the_baseline_that_a_window_was_compared_with(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    features, scores = rng.normal(1, 0.2, (1_000, 1)), rng.random(1_000)
    baseline = build(
        model_id="digits-0",
        model_version="v1",
        features=features,
        scores=scores,
        classes={"cat": 300, "dog": 700},
        created_at=START,
        feature_names=["income"],
    )
    save(baseline, tmp_path / "baselines" / "digits-0")
    excess = Measurement("prediction.class_psi_excess", 0.4, n=500, threshold=0.1)
    share = [Measurement("prediction.class_share", 0.9, "cat", n=500)]
    metrics = [metric(PROD, at, [*usual(at), *share], baseline_id=baseline.baseline_id) for at in range(3)]
    metrics.append(metric(PROD, 3, [*usual(3), *share], baseline_id="another"))
    alerts = [
        alert(PROD, 1, excess, rule_id="class-mix", distribution=CLASSES),
        alert(PROD, 1, Measurement("feature.psi_excess", 0.8, "income", n=500, threshold=0.5), distribution=MOVED),
    ]
    page = page_of(tmp_path, metrics, alerts)
    expected = {
        "Mean score": (scores.mean(), scores.std(ddof=1)),
        "income": (features.mean(), features.std(ddof=1)),
        "cat": (0.3, np.sqrt(0.3 * 0.7)),
    }
    lines = [c for c in page.data["lines"].values() if len(c["lines"]) == 1]
    for label, (mean, sd) in expected.items():
        band = next(c["band"] for c in lines if c["lines"][0]["l"] == label)
        half = 3 * sd * np.sqrt(1 / 500 + 1 / 1_000)
        assert band["lo"] == [*[pytest.approx(mean - half, rel=1e-4)] * 3, None]
        assert band["hi"] == [*[pytest.approx(mean + half, rel=1e-4)] * 3, None]
    assert not any("band" in c for c in lines if c["unit"] == "ms")
    assert f"{baseline.content_hash}" in page.text
    assert "Baseline another not at hand" in page.text


def test_without_baselines_no_mean_has_a_band(tmp_path: Path) -> None:
    page = page_of(tmp_path, *drifted())
    assert "band" not in chart(page, "", "Mean score")
    assert "band" in chart(page, "", "Drift of predicted classes")  # it rests on published numbers alone
    assert "not at hand: no band" in page.text


# --- safety -----------------------------------------------------------------------------------------------------------


class _Words(HTMLParser):
    """All that an HTML parser takes for text."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def handle_data(self, data: str) -> None:
        self.heard.append(data)


texts = st.text(st.characters(codec=None), max_size=50) | st.sampled_from(HOSTILE)


@given(st.recursive(texts | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner)))
def test_numbers_and_texts_come_out_of_a_script_element_as_they_went_in(value: Any) -> None:
    text = in_script(value)
    assert not set("<>&\u2028\u2029") & set(text)
    parser = _Words()
    parser.feed(f'<script type="application/json">{text}</script>')
    assert json.loads("".join(parser.heard)) == value


def hostile_recording(name: str) -> tuple[list[Any], list[Any]]:
    """Everything that a producer, a user or a file can name is this text."""
    series = Series(name, name, name)
    m = Measurement("feature.psi_excess", 0.9, name, n=500, threshold=0.5)
    rows = [*psi(0.9, name), Measurement(name, 1.0, name, n=1), Measurement("feature.mean", 2.0, name, n=5)]
    metrics = [
        replace(metric(series, at, rows, topic=name, baseline_id=name), plan_hash=name, data_hash=name, git_commit=name)
        for at in range(3)
    ]
    moved = MOVED._replace(name="prediction.class", bounds=(), labels=(name, name, name, "unseen"))
    told = alert(series, 1, m, rule_id=name, distribution=moved, evidence=[Measurement(name, 0.1, name, n=1)])
    return metrics, [replace(told, summary=name, severity=name, action=name, topic=name, baseline_id=name)]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text_and_make_no_element(tmp_path: Path, name: str) -> None:
    calm = page_of(tmp_path / "calm", *hostile_recording("calm"))
    page = page_of(tmp_path / "hostile", *hostile_recording(name))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in calm.elements]
    assert [sorted(found) for _, found in page.elements] == [sorted(found) for _, found in calm.elements]
    control = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
    assert not control.search(page.html.removeprefix("\ufeff"))
    assert len(page.html) < 2 * len(calm.html)


def test_only_what_was_hashed_may_run_and_nothing_may_be_fetched(tmp_path: Path) -> None:
    page = page_of(tmp_path, *drifted())
    policy = next(a.get("content") for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    (style,), script = page.styles, page.scripts[1]

    def hashed(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    assert policy
    assert {part.strip() for part in policy.split(";")} == {
        "default-src 'none'",
        f"script-src {hashed(script)}",
        f"style-src {hashed(style)}",
        "base-uri 'none'",
        "form-action 'none'",
    }
    assert not {"src", "onclick", "style", "action"} & {name for _, found in page.elements for name in found}
    assert {(found.get("href") or "#")[0] for _, found in page.elements} == {"#"}


def test_the_same_recording_gives_the_same_bytes(tmp_path: Path) -> None:
    first = page_of(tmp_path, *drifted()).html
    assert page_of(tmp_path).html == first


# --- whatever there is ------------------------------------------------------------------------------------------------


def test_a_recording_without_anything_says_so(tmp_path: Path) -> None:
    page = page_of(tmp_path, [], [])
    assert "Nothing was measured" in page.text
    assert page.data["lines"] == {}


def test_without_alerts_all_is_clean(tmp_path: Path) -> None:
    page = page_of(tmp_path, drifted()[0], [])
    assert "All 2 series are without alerts" in page.text
    assert page.text.count("clean") >= 4


def test_one_window_is_a_chart(tmp_path: Path) -> None:
    page = page_of(tmp_path, [metric(PROD, 0, usual(0))], [])
    assert "The only series is without alerts" in page.text
    assert len(chart(page, "ms", "Latency, 95th percentile")["t"]) == 1


def test_windows_without_values_are_gaps(tmp_path: Path) -> None:
    nothing = [Measurement("latency.p95", None, n=0, flag="empty")]
    page = page_of(tmp_path, [metric(PROD, at, nothing if at != 2 else usual(at)) for at in (0, 1, 2, 5)], [])
    latency = chart(page, "ms", "Latency, 95th percentile")
    assert [value is None for value in latency["lines"][0]["v"]] == [True, True, False, True, True]
    page = page_of(tmp_path, [metric(PROD, at, nothing) for at in range(3)], [])
    assert "no window has a value" in page.text


def test_each_measurement_is_drawn_for_the_smallest_window_and_for_those_of_rules(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(
        "windows: [1m, 5m]\nrules: [{id: slow, measurement: latency.p95, above: 35, window: 5m}]\n"
    )
    metrics = [metric(PROD, at, usual(at)) for at in range(10)] + [metric(PROD, at, usual(at), FIVE) for at in range(2)]
    page = page_of(tmp_path, metrics, [])
    assert "2 windows of 5m: least" in page.text  # latency
    assert "10 windows of 1m: least" in page.text  # the others
    assert len([c for c in page.data["lines"].values() if c["unit"] == "ms"]) == 1


def test_what_is_beyond_the_limit_on_series_is_shown_like_any_other(tmp_path: Path) -> None:
    page = page_of(tmp_path, [metric(OTHER, 0, [Measurement("traffic.qps", 1.0, n=60)], baseline_id=None)], [])
    assert "__other__ / __other__ / __other__" in page.text
    assert "1 window no_baseline" in page.text


def test_a_series_in_two_partitions_is_two(tmp_path: Path) -> None:
    page = page_of(tmp_path, [metric(PROD, at, usual(at), partition=p) for at in range(3) for p in (0, 1)], [])
    assert "digits-0 / v1 / prod (partition 1)" in page.text


def test_two_hundred_features_are_three_lines_and_an_area(tmp_path: Path) -> None:
    features = [f"f{i}" for i in range(200)]
    metrics = [metric(PROD, at, usual(at, 0.9, features)) for at in range(30)]
    page = page_of(tmp_path, metrics, [])
    drift = chart(page, "", "f0")
    assert len(drift["lines"]) == 3
    assert drift["rest"]["l"] == "197 others"
    assert "200 lines. Greatest values: f0 0.9" in page.text
    assert len(page.html) < LIMIT / 4


def test_alerts_without_metrics_are_shown(tmp_path: Path) -> None:
    page = page_of(tmp_path, [], drifted()[1])
    assert "2 alerts in 1 of 1 series" in page.text


def test_what_is_too_much_is_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_module, "LIMIT", 300_000)
    rows = [usual(at) for at in range(130)]
    metrics = [metric(Series(f"model-{s}", "v1", "prod"), at, rows[at]) for at in range(130) for s in range(20)]
    alerts = [
        alert(
            Series(f"model-{s}", "v1", "prod"),
            at,
            Measurement("feature.psi_excess", 0.9, "income", n=500, threshold=0.5),
            distribution=MOVED,
        )
        for s in range(20)
        for at in range(0, 130, 10)
    ]
    written = write(recordings.write(tmp_path, metrics, alerts), tmp_path / "report.html")
    page = Page(tmp_path / "report.html")
    assert written.bytes == len(page.html.encode()) < 300_000
    assert page.count("figure") == written.charts == len(page.data["lines"]) + len(page.data["bars"])
    assert written.left_out
    for sentence in written.left_out:
        assert f"it shows {sentence}" in page.text
    assert "model-19 / v1 / prod" in page.text
    assert "Thinned out." in page.text


def test_what_is_drawn_is_counted_without_the_series_that_have_no_section(tmp_path: Path) -> None:
    metrics = [metric(Series(f"model-{s}", "v1", "prod"), at, usual(at)) for at in range(2) for s in range(70)]
    page = page_of(tmp_path, metrics, [])
    assert f"it shows {page.count('figure')} of {70 * 7} charts" in page.text


def test_more_incidents_than_the_table_has_are_said(tmp_path: Path) -> None:
    known = [Incident(kind=f"kind-{i}", model="digits-0", lane="*", start=START + i * MINUTE) for i in range(201)]
    incidents.write(tmp_path / "incidents.json", known)
    assert "it shows 200 of 201 known incidents" in page_of(tmp_path, *drifted()).text


def test_an_incident_is_not_said_to_be_missed_where_nothing_was_measured(tmp_path: Path) -> None:
    there = Incident(kind="covariate", model="digits-0", lane="canary", start=START + 30 * MINUTE)
    for incident, said in (
        (replace(there, rule="errors"), "not found"),
        (replace(there, lane="shadow"), "nothing was measured there"),
        (replace(there, start=START + 60 * MINUTE), "nothing was measured there"),
        (replace(there, start=START - 9 * MINUTE, end=START), "nothing was measured there"),
    ):
        incidents.write(tmp_path / "incidents.json", [incident])
        assert said in page_of(tmp_path, *drifted()).text
    incidents.write(tmp_path / "incidents.json", [there])
    assert "nothing was measured there" in page_of(tmp_path, lane="prod").text  # left out by the pattern


def test_patterns_choose_models_and_lanes(tmp_path: Path) -> None:
    page = page_of(tmp_path, *drifted(), lane="pro*")
    assert "canary" not in page.text
    assert "The only series is without alerts" in page.text
    assert "Nothing was measured" in page_of(tmp_path, model="other-*").text


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_directory_without_a_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no metrics.avro in it: name a directory that"):
        directory(tmp_path)


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    folder = recordings.write(tmp_path / "run", [], [])
    (tmp_path / "report.html").mkdir()
    with pytest.raises(UsageError, match=r"report.html: cannot be written"):
        write(folder, tmp_path / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "run"]
