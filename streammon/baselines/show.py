"""A baseline for people and scripts: what `baseline show` prints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from streammon.baselines.bins import ks_error, single_values
from streammon.core.baseline import Baseline
from streammon.text import shown

_CLASSES_SHOWN = 10
_COLUMNS = ("bins", "atoms", "groups", "missing", "infinite", "mean", "sd", "least", "greatest", "ks error")


def describe(baseline: Baseline) -> dict[str, Any]:
    """The baseline in numbers that fit JSON: rates are fractions of the events with features, null is undefined."""
    sd = np.sqrt(baseline.variance)
    in_range = int(baseline.score_counts.sum())
    return {
        "baseline_id": baseline.baseline_id,
        "model_id": baseline.model_id,
        "model_version": baseline.model_version,
        "data_hash": baseline.data_hash,
        "git_commit": baseline.git_commit,
        "created_at": baseline.created_at,
        "content_hash": baseline.content_hash,
        "n": baseline.n,
        "embedding": baseline.embedding,
        "features": [_feature(baseline, f) for f in range(len(baseline.feature_names))],
        "score": {
            "n": in_range,
            "groups": int(baseline.score_groups[-1]) + 1 if in_range else 0,
            "mean": None if math.isnan(sd[-1]) else _number(baseline.mean[-1]),
            "sd": _number(sd[-1]),
        },
        "classes": dict(zip(baseline.class_names, baseline.class_counts[:-1].tolist(), strict=True)),
    }


def _feature(baseline: Baseline, f: int) -> dict[str, Any]:
    bins = int(baseline.bins[f])
    edges, counts = baseline.edges[f, : bins + 1], baseline.counts[f, 1 : bins + 1]
    finite, missing, infinite = int(counts.sum()), int(baseline.missing[f]), int(baseline.non_finite[f])
    rows = finite + missing + infinite
    return {
        "name": baseline.feature_names[f],
        "bins": bins,
        "atoms": int((single_values(edges) & (counts > 0)).sum()),
        "groups": int(baseline.groups[f, -1]) + 1 if bins else 0,
        "missing_rate": missing / rows if rows else None,
        "non_finite_rate": infinite / rows if rows else None,
        "mean": _number(baseline.mean[f]) if finite else None,
        "sd": _number(math.sqrt(baseline.variance[f])),
        "least": _number(edges[0]) if finite else None,
        "greatest": _number(np.nextafter(edges[bins], -np.inf)) if finite else None,
        "ks_error": _number(ks_error(edges, counts)),
    }


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinities."""
    return float(value) if math.isfinite(value) else None


def table(baseline: Baseline) -> str:
    """The same as text: a header, a line per feature, the score and the most frequent classes."""
    facts = describe(baseline)
    created = str(np.datetime64(baseline.created_at, "us")).replace("T", " ")
    lines = [
        f"baseline   {shown(baseline.baseline_id)}",
        f"events     {baseline.n:,}, the last of {created} UTC",
        f"data hash  {shown(baseline.data_hash or '-')}",
        f"git commit {shown(baseline.git_commit or '-')}",
        f"embedding  {baseline.embedding or '-'}",
        _score_line(facts["score"]),
        _class_line(facts["classes"]),
    ]
    if facts["features"]:
        cells = [("feature", *_COLUMNS), *map(_cells, facts["features"])]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rows = ([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])] for row in cells)
        lines += ["", *("  ".join(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _cells(feature: dict[str, Any]) -> tuple[str, ...]:
    """One row of the table, in the order of `_COLUMNS` behind the name."""
    whole = [str(feature[name]) for name in ("bins", "atoms", "groups")]
    rates = [_percent(feature[name]) for name in ("missing_rate", "non_finite_rate")]
    numbers = [_text(feature[name]) for name in ("mean", "sd", "least", "greatest")]
    return (shown(feature["name"], 60), *whole, *rates, *numbers, _percent(feature["ks_error"]))


def _score_line(score: dict[str, Any]) -> str:
    return f"score      {score['n']:,} in [0, 1], mean {_text(score['mean'])}, sd {_text(score['sd'])}"


def _class_line(classes: dict[str, int]) -> str:
    total = sum(classes.values())
    often = sorted(classes, key=lambda name: (-classes[name], name))
    first = [f"{shown(name, 60)} {_percent(classes[name] / total)}" for name in often[:_CLASSES_SHOWN]]
    if len(often) > _CLASSES_SHOWN:
        first.append(f"{len(often) - _CLASSES_SHOWN} more")
    return f"classes    {len(often)}: {', '.join(first)}" if often else "classes    -"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"
