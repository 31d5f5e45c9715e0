"""The store: what was saved is what is loaded, and nothing else is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import numpy as safetensors

from streammon.baselines import store
from streammon.baselines.content import content_hash, identify
from streammon.baselines.store import ARRAYS_FILE, JSON_FILE, load, load_all, save
from streammon.core.baseline import Baseline
from streammon.core.errors import UsageError
from tests.baselines.samples import reference, same


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def no_features() -> Baseline:
    return reference(features=np.empty((0, 0)), feature_names=(), classes={}, data_hash=None, model_id="Modell ✓ €")


@pytest.mark.parametrize("make", [reference, no_features])
def test_what_was_saved_is_loaded_and_saved_again_has_the_same_bytes(
    make: Callable[[], Baseline], tmp_path: Path
) -> None:
    """NaN, infinities and names beyond ASCII included."""
    baseline = make()
    save(baseline, tmp_path / "a" / "deep")
    loaded = load(tmp_path / "a" / "deep")
    assert same(baseline, loaded)
    save(loaded, tmp_path / "b")
    assert files(tmp_path / "a" / "deep") == files(tmp_path / "b")
    assert sorted(files(tmp_path / "b")) == [ARRAYS_FILE, JSON_FILE]


def test_arrays_that_are_not_contiguous_or_not_native_are_saved_as_what_they_hold(tmp_path: Path) -> None:
    baseline = reference()
    odd = replace(baseline, edges=np.asfortranarray(baseline.edges), mean=baseline.mean.astype(">f8"))
    save(odd, tmp_path / "b")
    assert same(load(tmp_path / "b"), baseline)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    """Unless it shall be replaced and holds a baseline, and nothing but a baseline."""
    first, second = reference(), reference(seed=1)
    save(first, tmp_path / "b")
    with pytest.raises(UsageError, match="is not empty: choose another path, or replace"):
        save(second, tmp_path / "b")
    assert same(load(tmp_path / "b"), first)
    save(second, tmp_path / "b", replace=True)
    assert same(load(tmp_path / "b"), second)
    (tmp_path / "b" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match=r"holds more than a baseline \(thesis.tex\)"):
        save(first, tmp_path / "b", replace=True)
    assert same(load(tmp_path / "b"), second)


def test_an_empty_directory_and_a_link_to_one_are_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    save(reference(), tmp_path / "link")
    assert same(load(tmp_path / "empty"), reference())
    assert (tmp_path / "link").is_symlink()


def test_a_file_is_not_a_place_for_a_baseline(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        save(reference(), tmp_path / "file")
    with pytest.raises(UsageError, match="cannot write the baseline"):
        save(reference(), tmp_path / "file" / "below")


@pytest.mark.parametrize("failing", [ARRAYS_FILE, JSON_FILE, "rename"])
def test_a_failed_write_leaves_the_old_baseline_and_nothing_else(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at each file, and at the rename that would make the new one visible."""
    save(reference(), tmp_path / "b")
    write, rename = store._write, Path.rename

    def full_write(path: Path, data: bytes) -> None:
        if path.name == failing:
            raise OSError("disk full")
        write(path, data)

    def full_rename(path: Path, target: Path) -> Path:
        if failing == "rename" and path.suffix == ".new":
            raise OSError("disk full")
        return rename(path, target)

    monkeypatch.setattr(store, "_write", full_write)
    monkeypatch.setattr(Path, "rename", full_rename)
    with pytest.raises(UsageError, match="disk full"):
        save(reference(seed=1), tmp_path / "b", replace=True)
    assert same(load(tmp_path / "b"), reference())
    assert os.listdir(tmp_path) == ["b"]


# --- reading: damage --------------------------------------------------------------------------------------------------


def edit(directory: Path, **changes: Any) -> None:
    """Change fields of the JSON file; `...` removes one."""
    path = directory / JSON_FILE
    header = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({name: value for name, value in header.items() if value is not ...}))


def put_arrays(directory: Path, data: bytes) -> None:
    """Other arrays, with a checksum that fits."""
    (directory / ARRAYS_FILE).write_bytes(data)
    edit(directory, checksum=store._checksum(data))


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda d: (d / JSON_FILE).unlink(), "baseline.json: cannot be read"),
    (lambda d: (d / ARRAYS_FILE).unlink(), "arrays.safetensors: cannot be read"),
    (lambda d: (d / JSON_FILE).write_bytes(b"\xff"), "baseline.json: not JSON"),
    (lambda d: (d / JSON_FILE).write_text("{"), "baseline.json: not JSON"),
    (lambda d: (d / JSON_FILE).write_text("[" * 100_000), "baseline.json: not JSON"),
    (lambda d: (d / JSON_FILE).write_text("[]"), "baseline.json: not a baseline"),
    (lambda d: (d / JSON_FILE).write_text("{}"), "baseline.json: not a baseline"),
    (lambda d: edit(d, format=2), "format 2, and this version of streammon reads format 1"),
    (lambda d: edit(d, n=...), "field n is missing"),
    (lambda d: edit(d, colour="red"), "field colour is unknown"),
    (lambda d: edit(d, n="2000"), "field n has the wrong type"),
    (lambda d: edit(d, n=True), "field n has the wrong type"),
    (lambda d: edit(d, created_at=2**63), "field created_at has the wrong type"),
    (lambda d: edit(d, feature_names="abc"), "field feature_names has the wrong type"),
    (lambda d: edit(d, feature_names=["a", 1, "b"]), "field feature_names has the wrong type"),
    (lambda d: edit(d, model_id=None), "field model_id has the wrong type"),
    (lambda d: edit(d, n=2001), "content does not match content_hash"),
    (lambda d: edit(d, git_commit="c0ffee"), "content does not match content_hash"),
    (lambda d: edit(d, content_hash="0" * 32), "content does not match content_hash"),
    (lambda d: edit(d, baseline_id="fraud@3#000000000000"), "baseline_id does not match"),
    (lambda d: flip(d / ARRAYS_FILE), "arrays.safetensors: the checksum is not the one in baseline.json"),
    (lambda d: edit(d, checksum="0" * 32), "arrays.safetensors: the checksum"),
    (lambda d: put_arrays(d, b""), "not a safetensors file"),
    (lambda d: put_arrays(d, b"\xff" * 64), "not a safetensors file"),
    (lambda d: put_arrays(d, safetensors.save({"mean": np.zeros(4)})), "array bins is missing"),
]


@pytest.mark.parametrize("damage, words", DAMAGES, ids=[words for _, words in DAMAGES])
def test_damage_to_a_file_is_refused_by_name(damage: Callable[[Path], object], words: str, tmp_path: Path) -> None:
    """Every message names the file and says what to do."""
    save(reference(), tmp_path / "b")
    damage(tmp_path / "b")
    with pytest.raises(UsageError, match=words) as refusal:
        load(tmp_path / "b")
    assert str(tmp_path / "b") in str(refusal.value)
    assert any(word in str(refusal.value) for word in ("build", "name the directory"))


def changed(name: str, index: Any, value: float) -> Callable[[Baseline], dict[str, Any]]:
    """One entry of an array set to another value."""

    def change(baseline: Baseline) -> dict[str, Any]:
        array = getattr(baseline, name).copy()
        array[index] = value
        return {name: array}

    return change


MISFITS: list[tuple[Callable[[Baseline], dict[str, Any]], str]] = [
    (lambda b: {"edges": b.edges.astype(np.float32)}, r"edges is float32 \[3, 257\] and not float64"),
    (lambda b: {"counts": b.counts[:, :-1]}, r"counts is int64 \[3, 257\] and not int64 \[3, 258\]"),
    (lambda b: {"groups": b.groups.astype(np.int64)}, "groups is int64"),
    (lambda b: {"class_counts": b.class_counts[:-1]}, "class_counts is"),
    (lambda b: {"score_groups": b.score_groups[:-1]}, "score_groups is"),
    (lambda b: {"feature_names": ("a", "b")}, "edges is"),
    (lambda b: {"feature_names": ("a", "b", "a")}, "feature names repeat"),
    (lambda b: {"class_names": ("no", "ja ✓")}, "class names are not sorted"),
    (lambda b: {"n": -1}, "n or embedding is negative"),
    (changed("edges", (0, 5), -99.0), "feature amount: edges are not strictly increasing"),
    (changed("edges", (0, 5), np.nan), "feature amount: edges are not strictly increasing"),
    (changed("edges", (0, 0), -np.inf), "feature amount: edges are not strictly increasing"),
    (changed("edges", (2, 9), 1.0), "feature age: edges are not strictly increasing, or not padded"),
    (changed("bins", 0, 257), "feature amount: 257 bins"),
    (changed("bins", 0, -1), "feature amount: -1 bins"),
    (changed("bins", 1, 1), "feature refunds: edges are not"),
    (changed("counts", (0, 0), 1), "feature amount: counts are negative, or outside"),
    (changed("counts", (0, 7), -1), "feature amount: counts are negative, or outside"),
    (changed("counts", (2, 1), 1), "feature age: counts are negative, or outside"),
    (changed("groups", (0, 257), 10), "feature amount: groups out of range"),
    (changed("groups", (0, 0), -1), "feature amount: groups out of range"),
    (changed("groups", (0, 1), 3), "feature amount: groups out of range"),
    (changed("score_groups", 99, 10), "score groups out of range"),
    (changed("score_counts", 5, -1), "a count is negative"),
    (changed("missing", 0, -1), "a count is negative"),
    (changed("mean", 0, np.nan), "a mean is not finite"),
]


@pytest.mark.parametrize("change, words", MISFITS, ids=[words for _, words in MISFITS])
def test_content_that_does_not_fit_together_is_refused_although_all_hashes_do(
    change: Callable[[Baseline], dict[str, Any]], words: str, tmp_path: Path
) -> None:
    """Compiled loops index with these arrays unchecked."""
    baseline = reference()
    wrong = replace(baseline, **change(baseline))
    content = content_hash(wrong)
    wrong = replace(wrong, content_hash=content, baseline_id=identify("fraud", "3", content))
    save(wrong, tmp_path / "b")
    with pytest.raises(UsageError, match=words) as refusal:
        load(tmp_path / "b")
    assert str(tmp_path / "b") in str(refusal.value)


# --- several ----------------------------------------------------------------------------------------------------------


def test_baselines_are_loaded_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name, version in [("x", "3"), ("y", "4")]:
        save(reference(model_version=version), tmp_path / name)
    assert [b.model_version for b in load_all([tmp_path / "y", tmp_path / "x"])] == ["4", "3"]
    assert load_all([]) == ()


def test_two_baselines_of_one_version_are_refused_by_name(tmp_path: Path) -> None:
    save(reference(), tmp_path / "x")
    save(reference(seed=1), tmp_path / "y")
    with pytest.raises(UsageError, match=r"model 'fraud', version '3', .*/x and .*/y: name one"):
        load_all([tmp_path / "x", tmp_path / "y"])
