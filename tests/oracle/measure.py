"""The measurements of one window, from its raw events, by the definitions of docs/measurements.md.

A row is a dict with the fields of a measurement in schemas/metric_event.avsc, `method` left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from math import isfinite, isnan, log, nan, sqrt
from typing import Any

import numpy as np
from scipy.stats import chi2, kstwobign

from tests.oracle.files import Baseline, Event, Shape

Row = dict[str, Any]
Distribution = dict[str, Any]  # of schemas/alert_event.avsc
SCORE_BINS = 100
SAMPLED_IDS = 64
WORD = (1 << 64) - 1
ANCHORED = ("prediction.score_mean", "prediction.score_sd")
QUANTILES = (("p50", 50), ("p95", 95), ("p99", 99))  # percent, so that the order statistic is exact


def measure(
    events: Sequence[Event], size: int, shape: Shape | None, baseline: Baseline | None, anchored: bool = True
) -> list[Row]:
    """All rows of a window of `size` microseconds. `shape` is the baseline's where there is one; None: the window's
    panes have several, and what needs no names is left. `anchored` False: they have several baselines, or there are no
    panes, and what is counted from a baseline's mean is left out.
    """
    rows = traffic(events, size) + latency(events)
    if shape is None:
        return rows + [row for row in prediction(events, ()) if row["name"] not in ANCHORED]
    rows += [row for row in prediction(events, shape.classes) if anchored or row["name"] not in ANCHORED]
    rows += features(events, shape.features, baseline) if anchored else []
    if baseline is not None:
        rows += feature_drift(events, baseline) + score_drift(events, baseline) + class_drift(events, baseline)
    return rows


def row(name: str, value: float | None, n: int, feature: str | None = None, **statistics: Any) -> Row:
    """`value` None: there was nothing to compute from."""
    flag = None
    if value is None:
        flag = "empty"
    elif not isfinite(value):
        flag = "nan" if isnan(value) else "inf" if value > 0 else "-inf"
        value = None
    optional = {"effect": None, "p": None, "n_eff": None, "reference_n": None, "threshold": None, "mde": None}
    return {"name": name, "value": value, "feature": feature, "n": n, **optional, "flag": flag, **statistics}


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def variance(values: Sequence[float]) -> float | None:
    """With n - 1: 0 / 0 for a single value."""
    if not values:
        return None
    if len(values) == 1:
        return nan
    with np.errstate(all="ignore"):
        return float(np.var(np.array(values, np.float64), ddof=1))


def deviation(values: Sequence[float]) -> float | None:
    square = variance(values)
    return None if square is None else sqrt(square)


# --- families ---------------------------------------------------------------------------------------------------------


def traffic(events: Sequence[Event], size: int) -> list[Row]:
    n = len(events)
    statuses = [event["http_status"] or 0 for event in events]
    valid = [status for status in statuses if 100 <= status <= 599]
    return [
        row("traffic.count", n, n),
        row("traffic.qps", n / (size / 1_000_000), n),
        row("traffic.rate_4xx", share(sum(400 <= s <= 499 for s in valid), len(valid)), len(valid)),
        row("traffic.rate_5xx", share(sum(500 <= s <= 599 for s in valid), len(valid)), len(valid)),
        row("traffic.invalid_status", sum(s != 0 and not 100 <= s <= 599 for s in statuses), n),
        row("traffic.timeout_rate", share(sum(bool(event["timed_out"]) for event in events), n), n),
        row("traffic.key_null_rate", share(sum(event["key"] is None for event in events), n), n),
        row("traffic.key_mismatch_rate", share(sum(map(other_key, events)), n), n),
        duplicates(events),
    ]


def other_key(event: Event) -> bool:
    return event["key"] is not None and event["key"] != event["model_id"].encode()


def duplicates(events: Sequence[Event]) -> Row:
    """Of the 64 ids with the smallest hashes: the share of their events that are not the first of their id."""
    times = Counter(event["req_id"] for event in events if event["req_id"])
    sampled = sorted(times, key=lambda req_id: id_hash(req_id.encode()))[:SAMPLED_IDS]
    n = sum(times[req_id] for req_id in sampled)
    return row("traffic.duplicate_rate", share(n - len(sampled), n), n)


def id_hash(data: bytes) -> int:
    """Words of eight bytes, multiplied and folded, then splitmix64's last step; the upper 63 bits."""
    h = len(data) * 0x9E3779B97F4A7C15 & WORD
    whole = len(data) // 8 * 8
    for start in range(0, whole, 8):
        h = (h ^ int.from_bytes(data[start : start + 8], "little")) * 0xFF51AFD7ED558CCD & WORD
        h ^= h >> 32
    h = (h ^ int.from_bytes(data[whole:], "big")) * 0xC4CEB9FE1A85EC53 & WORD
    h ^= h >> 32
    h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & WORD
    h = (h ^ h >> 27) * 0x94D049BB133111EB & WORD
    return (h ^ h >> 31) >> 1


def latency(events: Sequence[Event]) -> list[Row]:
    values = [event["latency_ms"] for event in events if event["latency_ms"] is not None]
    in_order = [value for value in values if finite(value) and value >= 0]
    good = sorted(in_order)
    n = len(good)
    rows = [row(f"latency.{name}", good[percent * (n - 1) // 100] if good else None, n) for name, percent in QUANTILES]
    return [
        *rows,
        row("latency.mean", mean(in_order), n),
        row("latency.max", good[-1] if good else None, n),
        row("latency.invalid", sum(value < 0 or value > 1e100 for value in values), len(events)),
    ]


def prediction(events: Sequence[Event], classes: Sequence[str]) -> list[Row]:
    n = len(events)
    scores = [event["score"] for event in events if event["score"] is not None]
    good = [score for score in scores if finite(score)]
    recorded = [event["probs"] for event in events if event["probs"]]
    probs = [vector for vector in recorded if all(0 <= p <= 1 for p in vector)]
    entropies = [sum(-p * log(p) for p in vector if p > 0) for vector in probs]
    rows = [
        row("prediction.score_mean", mean(good), len(good)),
        row("prediction.score_sd", deviation(good), len(good)),
        row("prediction.score_invalid", sum(score < 0 or score > 1 for score in scores), n),
    ]
    if classes:
        rows.append(row("prediction.entropy", mean(entropies), len(probs)))
        rows.append(row("prediction.top_probability", mean([max(vector) for vector in probs]), len(probs)))
        rows.append(row("prediction.probs_invalid", len(recorded) - len(probs), n))
        predicted = [event["prediction"] for event in events if event["prediction"] is not None]
        counts, total = Counter(predicted), len(predicted)
        unseen = sum(label not in classes for label in predicted)
        rows += [row("prediction.class_share", share(counts[name], total), total, name) for name in classes]
        rows.append(row("prediction.unseen_rate", share(unseen, total), total))
    return rows


def finite(value: float) -> bool:
    """A greater magnitude counts as infinite."""
    return abs(value) <= 1e100


def feature_columns(events: Sequence[Event], names: Sequence[str]) -> list[list[float]]:
    """Per feature, its values in all events that recorded features."""
    recorded = [event["features"] for event in events if event["features"]]
    return [[vector[f] for vector in recorded] for f in range(len(names))]


def features(events: Sequence[Event], names: Sequence[str], baseline: Baseline | None) -> list[Row]:
    columns = feature_columns(events, names)
    good = [[value for value in column if finite(value)] for column in columns]
    rows = []
    for statistic, compute in (("mean", mean), ("variance", variance), ("sd", deviation)):
        rows += [row(f"feature.{statistic}", compute(v), len(v), f) for f, v in zip(names, good, strict=True)]
    for statistic, counts in (("missing_rate", isnan), ("non_finite_rate", lambda value: abs(value) > 1e100)):
        for name, column in zip(names, columns, strict=True):
            rows.append(row(f"feature.{statistic}", share(sum(map(counts, column)), len(column)), len(column), name))
    if baseline is not None:
        for f, (name, values) in enumerate(zip(names, good, strict=True)):
            edges = fine_edges(baseline, f)
            if len(edges) == 1:  # the reference has no finite value, so there is no range
                rows.append(row("feature.out_of_range_rate", None, 0, name))
                continue
            outside = sum(value < edges[0] or value >= edges[-1] for value in values)
            rows.append(row("feature.out_of_range_rate", share(outside, len(values)), len(values), name))
    return rows


# --- drift ------------------------------------------------------------------------------------------------------------


def fine_edges(baseline: Baseline, f: int) -> list[float]:
    """Of feature f; the last edge is the float after the greatest reference value."""
    edges: list[float] = baseline.edges[f, : baseline.bins[f] + 1].tolist()
    return edges


def score_bin(score: float) -> int:
    """100 equal bins of [0, 1]; 1 belongs to the last."""
    return min(int(score * SCORE_BINS), SCORE_BINS - 1)


def feature_drift(events: Sequence[Event], baseline: Baseline) -> list[Row]:
    names = baseline.feature_names
    per_feature = []
    for f, column in enumerate(feature_columns(events, names)):
        edges = fine_edges(baseline, f)
        current = [0] * baseline.counts.shape[1]
        for value in column:
            if finite(value) and len(edges) > 1:
                current[bisect_right(edges, value)] += 1  # 0: below the range, bins + 1: above
        reference, groups = baseline.counts[f].tolist(), baseline.groups[f].tolist()
        per_feature.append(drift("feature.", current, reference, groups, ordinal=True, feature=names[f]))
    return [rows[statistic] for statistic in range(5) for rows in per_feature]


def score_drift(events: Sequence[Event], baseline: Baseline) -> list[Row]:
    current = [0] * SCORE_BINS
    for event in events:
        score = event["score"]
        if score is not None and 0 <= score <= 1:
            current[score_bin(score)] += 1
    reference, groups = baseline.score_counts.tolist(), baseline.score_groups.tolist()
    return drift("prediction.score_", current, reference, groups, ordinal=True)


def class_drift(events: Sequence[Event], baseline: Baseline) -> list[Row]:
    if not baseline.class_names:
        return []
    cell = {name: number for number, name in enumerate(baseline.class_names)}
    current = [0] * (len(cell) + 1)
    for event in events:
        if event["prediction"] is not None:
            current[cell.get(event["prediction"], len(cell))] += 1
    return drift("prediction.class_", current, baseline.class_counts.tolist(), range(len(current)), ordinal=False)


def distributions(events: Sequence[Event], baseline: Baseline) -> dict[tuple[str, str | None], Distribution]:
    """What lies behind the drift rows of a window, by prefix of their names and feature, counted group by group."""
    found: dict[tuple[str, str | None], Distribution] = {}
    for f, column in enumerate(feature_columns(events, baseline.feature_names)):
        edges, groups = fine_edges(baseline, f), baseline.groups[f].tolist()
        # Bin b, which begins at edges[b], is cell b + 1; the first bin of each further group is where the group begins.
        bounds = [edges[groups.index(group) - 1] for group in range(1, max(groups) + 1)]
        values = [bisect_right(bounds, value) for value in column if finite(value) and len(edges) > 1]
        found["feature.", baseline.feature_names[f]] = distribution(
            "feature", values, baseline.counts[f].tolist(), groups, bounds
        )
    groups = baseline.score_groups.tolist()
    bounds = [groups.index(group) / SCORE_BINS for group in range(1, max(groups) + 1)]
    scores = [event["score"] for event in events if event["score"] is not None]
    values = [groups[score_bin(score)] for score in scores if 0 <= score <= 1]
    reference = baseline.score_counts.tolist()
    found["prediction.score_", None] = distribution("prediction.score", values, reference, groups, bounds)
    labels = [*baseline.class_names, "unseen"]
    predicted = [event["prediction"] for event in events if event["prediction"] is not None]
    values = [labels[:-1].index(name) if name in labels[:-1] else len(labels) - 1 for name in predicted]
    found["prediction.class_", None] = distribution(
        "prediction.class", values, baseline.class_counts.tolist(), range(len(labels)), labels=labels
    )
    return found


def distribution(
    name: str,
    values: Sequence[int],
    reference: Sequence[int],
    groups: Sequence[int],
    bounds: Sequence[float] = (),
    labels: Sequence[str] = (),
) -> Distribution:
    """From the group of each value of the window, and the reference's counts by cell."""
    number = max(groups) + 1
    by_group = [sum(n for n, group in zip(reference, groups, strict=True) if group == g) for g in range(number)]
    return {
        "name": name,
        "bounds": list(bounds),
        "labels": list(labels),
        "current": [values.count(group) for group in range(number)],
        "reference": by_group,
    }


def drift(
    prefix: str,
    current: Sequence[int],
    reference: Sequence[int],
    groups: Sequence[int],
    *,
    ordinal: bool,
    feature: str | None = None,
) -> list[Row]:
    """Rows of one distribution from its counts by cell; `groups` names each cell's group."""
    n, m = sum(current), sum(reference)
    names = [prefix + name for name in ("ks", "psi", "psi_excess", "kl", "js")[0 if ordinal else 1 :]]
    if n == 0 or m == 0:
        return [row(name, None, n, feature, reference_n=m) for name in names]
    c, r = group_counts(current, reference, groups)
    size = len(c)
    p = [(count + 0.5) / (n + 0.5 * size) for count in c]
    q = [(count + 0.5) / (m + 0.5 * size) for count in r]
    psi = sum((a - b) * log(a / b) for a, b in zip(p, q, strict=True))
    excess = psi - (size - 1) * (1 / n + 1 / m)
    js = jensen_shannon(p, q)
    low_n = any(n * (a + b) / (n + m) < 5 for a, b in zip(c, r, strict=True))
    statistics: dict[str, tuple[float, dict[str, Any]]] = {
        "psi": (psi, {"effect": excess, "flag": "low_n"} if low_n else {"effect": excess, "p": pearson_p(c, r)}),
        "psi_excess": (excess, {}),
        "kl": (kullback_leibler(p, q), {}),
        "js": (js, {"effect": sqrt(max(js, 0.0))}),
    }
    if ordinal:
        d = kolmogorov_smirnov(current, reference)
        statistics = {"ks": (d, {"effect": d, "p": float(kstwobign.sf(sqrt(n * m / (n + m)) * d))}), **statistics}
    return [
        row(prefix + name, value, n, feature, reference_n=m, **optional)
        for name, (value, optional) in statistics.items()
    ]


def group_counts(
    current: Sequence[int], reference: Sequence[int], groups: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Counts by group, in the order of groups, without those that are empty in both."""
    c: Counter[int] = Counter()
    r: Counter[int] = Counter()
    for cell, group in enumerate(groups):
        c[group] += current[cell]
        r[group] += reference[cell]
    kept = [group for group in sorted(c) if c[group] or r[group]]
    return [c[group] for group in kept], [r[group] for group in kept]


def kolmogorov_smirnov(current: Sequence[int], reference: Sequence[int]) -> float:
    n, m = sum(current), sum(reference)
    below_c = below_r = 0
    greatest = 0.0
    for a, b in zip(current, reference, strict=True):
        below_c, below_r = below_c + a, below_r + b
        greatest = max(greatest, abs(below_c / n - below_r / m))
    return greatest


def pearson_p(c: Sequence[int], r: Sequence[int]) -> float:
    """p of the two-sample chi-square test on counts by group, none empty in both; 1 for one group."""
    n, m = sum(c), sum(r)
    statistic = 0.0
    for a, b in zip(c, r, strict=True):
        for count, total in ((a, n), (b, m)):
            expected = total * (a + b) / (n + m)
            statistic += (count - expected) ** 2 / expected
    return float(chi2.sf(statistic, len(c) - 1)) if len(c) > 1 else 1.0


def kullback_leibler(p: Sequence[float], q: Sequence[float]) -> float:
    return sum(a * log(a / b) for a, b in zip(p, q, strict=True))


def jensen_shannon(p: Sequence[float], q: Sequence[float]) -> float:
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kullback_leibler(p, middle) + kullback_leibler(q, middle)) / 2
