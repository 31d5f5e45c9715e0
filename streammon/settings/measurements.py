"""The measurements that a rule may watch. docs/measurements.md defines them; a test keeps both lists equal."""

from __future__ import annotations

MEASUREMENTS: tuple[str, ...] = (
    "traffic.count",
    "traffic.qps",
    "traffic.rate_4xx",
    "traffic.rate_5xx",
    "traffic.invalid_status",
    "traffic.timeout_rate",
    "traffic.key_null_rate",
    "traffic.key_mismatch_rate",
    "traffic.duplicate_rate",
    "latency.p50",
    "latency.p95",
    "latency.p99",
    "latency.mean",
    "latency.max",
    "latency.invalid",
    "prediction.score_mean",
    "prediction.score_sd",
    "prediction.score_invalid",
    "prediction.entropy",
    "prediction.top_probability",
    "prediction.probs_invalid",
    "prediction.class_share",
    "prediction.unseen_rate",
    "feature.mean",
    "feature.variance",
    "feature.sd",
    "feature.missing_rate",
    "feature.non_finite_rate",
    "feature.out_of_range_rate",
    "feature.ks",
    "feature.psi",
    "feature.psi_excess",
    "feature.kl",
    "feature.js",
    "prediction.score_ks",
    "prediction.score_psi",
    "prediction.score_psi_excess",
    "prediction.score_kl",
    "prediction.score_js",
    "prediction.class_psi",
    "prediction.class_psi_excess",
    "prediction.class_kl",
    "prediction.class_js",
)


def has_feature(measurement: str) -> bool:
    """Whether there is one row per feature (per class for the share), so that a rule may select by `feature`."""
    return measurement.startswith("feature.") or measurement == "prediction.class_share"
