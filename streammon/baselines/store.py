"""Baselines as directories: `baseline.json` (all but the arrays) and `arrays.safetensors`. Never pickle.

The same baseline gives the same bytes. Whatever is wrong with a file is a refusal that names the file; what passes
`load` is safe to index with.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from streammon.baselines.content import ARRAYS, SCALARS, arrays_of, content_hash, identify, problem
from streammon.core.baseline import Baseline
from streammon.core.errors import UsageError

FORMAT = 1
JSON_FILE = "baseline.json"
ARRAYS_FILE = "arrays.safetensors"
AGAIN = "build the baseline again, or restore the directory from a copy"


def _is_integer(value: object) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_null(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


_JSON_FIELDS: dict[str, Callable[[object], bool]] = {
    "format": _is_integer,
    "baseline_id": _is_text,
    "model_id": _is_text,
    "model_version": _is_text,
    "data_hash": _is_text_or_null,
    "git_commit": _is_text_or_null,
    "created_at": _is_integer,
    "content_hash": _is_text,
    "n": _is_integer,
    "feature_names": _is_texts,
    "class_names": _is_texts,
    "embedding": _is_integer,
    "checksum": _is_text,
}


# --- writing ----------------------------------------------------------------------------------------------------------


def save(baseline: Baseline, path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Write the baseline's directory: whole, or not at all.

    An existing directory that is not empty is refused; with `replace` it is replaced if it holds a baseline and nothing
    else. Replacing takes two renames: a reader between them finds nothing, and a crash leaves the old one beside.
    """
    target = Path(os.path.realpath(path))
    check_target(target, replace=replace)
    arrays = safetensors.save(arrays_of(baseline))
    scalars = {name: getattr(baseline, name) for name in ("baseline_id", "content_hash", *SCALARS)}
    header = scalars | {"format": FORMAT, "checksum": _checksum(arrays)}
    text = json.dumps({name: header[name] for name in _JSON_FIELDS}, indent=2) + "\n"

    aside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    fresh, old = aside.with_suffix(".new"), aside.with_suffix(".old")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        _write(fresh / ARRAYS_FILE, arrays)
        _write(fresh / JSON_FILE, text.encode())
        if replace and target.exists():
            target.rename(old)
        fresh.rename(target)  # fails if somebody else has filled the target meanwhile
        _sync(target.parent)
    except OSError as error:
        if old.exists() and not target.exists():
            old.rename(target)
        raise UsageError(f"{target}: cannot write the baseline ({error}): choose another path") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def check_target(path: str | os.PathLike[str], *, replace: bool = False) -> None:
    """Refuse a path that `save` would refuse, before the work of building begins."""
    target = Path(os.path.realpath(path))
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target}: is a file: choose the path of a directory")
    there = {entry.name for entry in target.iterdir()}
    if there and not replace:
        raise UsageError(f"{target}: is not empty: choose another path, or replace what is there with --replace")
    if not there <= {JSON_FILE, ARRAYS_FILE}:
        other = sorted(there - {JSON_FILE, ARRAYS_FILE})[0]
        raise UsageError(f"{target}: holds more than a baseline ({other}) and is not replaced: choose another path")


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    """Make renames in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- reading ----------------------------------------------------------------------------------------------------------


def load(path: str | os.PathLike[str]) -> Baseline:
    """The baseline in a directory, with every check that its files allow."""
    directory = Path(path)
    header = _header(directory / JSON_FILE)
    arrays = _arrays(directory / ARRAYS_FILE, header.pop("checksum"))
    del header["format"]
    scalars = {name: tuple(value) if isinstance(value, list) else value for name, value in header.items()}
    values: dict[str, Any] = scalars | arrays
    baseline = Baseline(**values)
    wrong = problem(baseline)
    if wrong:
        raise UsageError(f"{directory}: not a valid baseline: {wrong}: {AGAIN}")
    content = content_hash(baseline)
    if baseline.content_hash != content:
        raise UsageError(f"{directory / JSON_FILE}: the content does not match content_hash: {AGAIN}")
    if baseline.baseline_id != identify(baseline.model_id, baseline.model_version, content):
        raise UsageError(f"{directory / JSON_FILE}: baseline_id does not match the content: {AGAIN}")
    return baseline


def load_all(paths: Iterable[str | os.PathLike[str]]) -> tuple[Baseline, ...]:
    """Baselines in the order of their paths; two for one version of a model are refused."""
    found: dict[tuple[str, str], tuple[Baseline, str]] = {}
    for path in paths:
        baseline = load(path)
        key = (baseline.model_id, baseline.model_version)
        if key in found:
            raise UsageError(
                f"two baselines for model {key[0]!r}, version {key[1]!r}, {found[key][1]} and {os.fspath(path)}: "
                "name one of them only"
            )
        found[key] = (baseline, os.fspath(path))
    return tuple(baseline for baseline, _ in found.values())


def _header(path: Path) -> dict[str, Any]:
    try:
        header = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not JSON ({error}): {AGAIN}") from error
    if not isinstance(header, dict) or "format" not in header:
        raise UsageError(f"{path}: not a baseline: name the directory that `streammon baseline build` wrote")
    if header["format"] != FORMAT:
        raise UsageError(
            f"{path}: format {header['format']!r}, and this version of streammon reads format {FORMAT}: build the "
            "baseline again, or use the version that wrote it"
        )
    for name in sorted(_JSON_FIELDS.keys() ^ header.keys()):
        raise UsageError(f"{path}: field {name} is {'missing' if name in _JSON_FIELDS else 'unknown'}: {AGAIN}")
    for name, is_valid in _JSON_FIELDS.items():
        if not is_valid(header[name]):
            raise UsageError(f"{path}: field {name} has the wrong type: {AGAIN}")
    return header


def _arrays(path: Path, checksum: str) -> dict[str, NDArray[Any]]:
    data = _read(path)
    if _checksum(data) != checksum:
        raise UsageError(f"{path}: the checksum is not the one in {JSON_FILE}: {AGAIN}")
    try:
        arrays = safetensors.load(data)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{path}: not a safetensors file ({error}): {AGAIN}") from error
    for name in sorted(arrays.keys() ^ set(ARRAYS)):
        raise UsageError(f"{path}: array {name} is {'missing' if name in ARRAYS else 'unknown'}: {AGAIN}")
    return {name: np.asarray(array, array.dtype.newbyteorder("=")) for name, array in arrays.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror}): name the directory of a baseline") from error


def _checksum(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()
