"""The measurements that a rule may watch, each with its meaning. docs/measurements.md shows them as a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Meaning(NamedTuple):
    """Text in Markdown."""

    value: str  # what the number is
    n: str  # what `n` counts


_EVENTS = "events"
_WITH_STATUS = "events whose status is 100-599"
_LATENCIES = "latencies that are finite and not negative"
_SCORES = "finite scores"
_WITH_PROBS = "events with `probs` that all lie in [0, 1]"
_PREDICTIONS = "events with a prediction"
_VALUES = "finite values"
_WITH_FEATURES = "events with features"


def _quantile(percent: int) -> Meaning:
    order = f"order statistic `floor({percent / 100} (n - 1))`"
    return Meaning(f'{order} (numpy\'s `method="lower"`), ms, within 1 % of its value, inside [min, max]', _LATENCIES)


_PLAIN: Mapping[str, Meaning] = {
    "traffic.count": Meaning("events", _EVENTS),
    "traffic.qps": Meaning("events / window size in seconds", _EVENTS),
    "traffic.rate_4xx": Meaning("share of `http_status` 400-499", _WITH_STATUS),
    "traffic.rate_5xx": Meaning("share of `http_status` 500-599", _WITH_STATUS),
    "traffic.invalid_status": Meaning("events with a status other than 0 (null) or 100-599", _EVENTS),
    "traffic.timeout_rate": Meaning("share with `timed_out`", _EVENTS),
    "traffic.key_null_rate": Meaning("share whose record has no key", _EVENTS),
    "traffic.key_mismatch_rate": Meaning("share whose record has a key other than `model_id`", _EVENTS),
    "traffic.duplicate_rate": Meaning(
        "share of repeats of a `req_id`: 1 - ids / events, over the window's 64 ids with the smallest hashes",
        "events of those ids",
    ),
    "latency.p50": _quantile(50),
    "latency.p95": _quantile(95),
    "latency.p99": _quantile(99),
    "latency.mean": Meaning("exact, ms", _LATENCIES),
    "latency.max": Meaning("exact, ms", _LATENCIES),
    "latency.invalid": Meaning("negative or infinite latencies (NaN is null)", _EVENTS),
    "prediction.score_mean": Meaning("mean of finite scores", _SCORES),
    "prediction.score_sd": Meaning("standard deviation of finite scores", _SCORES),
    "prediction.score_invalid": Meaning("scores outside [0, 1] or infinite", _EVENTS),
    "prediction.entropy": Meaning("mean of -sum p ln p over `probs` (0 ln 0 is 0), nats", _WITH_PROBS),
    "prediction.top_probability": Meaning("mean of the greatest entry of `probs`", _WITH_PROBS),
    "prediction.probs_invalid": Meaning(
        "events with `probs` of which one is missing (NaN) or outside [0, 1]; their sum is not checked, for the "
        "classes may be independent",
        _EVENTS,
    ),
    "prediction.class_share": Meaning("share of each class, a row per class", _PREDICTIONS),
    "prediction.unseen_rate": Meaning(
        "share of predictions that are no class of the baseline (or of the settings)", _PREDICTIONS
    ),
    "feature.mean": Meaning("mean, a row per feature, as in all of `feature.*`", _VALUES),
    "feature.variance": Meaning("variance", _VALUES),
    "feature.sd": Meaning("standard deviation", _VALUES),
    "feature.missing_rate": Meaning("share of NaN", _WITH_FEATURES),
    "feature.non_finite_rate": Meaning("share of infinite values", _WITH_FEATURES),
    "feature.out_of_range_rate": Meaning(
        "share of finite values below the baseline's least or above its greatest value", _VALUES
    ),
}

_DISTRIBUTIONS: Mapping[str, tuple[str, str]] = {  # prefix: what is compared with the baseline, what n counts
    "feature.": ("the feature", _VALUES),
    "prediction.score_": ("the score", "scores in [0, 1]"),
    "prediction.class_": ("the predicted class", _PREDICTIONS),
}
_STATISTICS: Mapping[str, str] = {
    "ks": "Kolmogorov-Smirnov distance of {} from the baseline",
    "psi": "population stability index of {} against the baseline",
    "psi_excess": "the index of {} less what chance alone gives at this n",
    "kl": "Kullback-Leibler divergence of {} from the baseline, nats",
    "js": "Jensen-Shannon divergence of {} and the baseline, nats",
}


def _drift() -> Iterator[tuple[str, Meaning]]:
    for prefix, (what, n) in _DISTRIBUTIONS.items():
        for statistic, text in _STATISTICS.items():
            if (prefix, statistic) != ("prediction.class_", "ks"):  # classes have no order
                yield prefix + statistic, Meaning(text.format(what), n)


MEASUREMENTS: Mapping[str, Meaning] = {**_PLAIN, **dict(_drift())}
"""By name, family.statistic, in the order of a metric event."""


def has_feature(measurement: str) -> bool:
    """Whether there is one row per feature (per class for the share), so that a rule may select by `feature`."""
    return measurement.startswith("feature.") or measurement == "prediction.class_share"
