"""What live and replay share: from settings to the parts of a runner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import torch

from streammon.adapters.avro_decoder import AvroDecoder
from streammon.baselines.store import load_all
from streammon.core.baseline import Baseline, Layout
from streammon.core.errors import Code, UsageError
from streammon.core.outputs import Series
from streammon.core.plan import Plan
from streammon.core.suite import Suite
from streammon.settings import Settings

MESSAGES = {
    Code.FRAMING: "no Avro datum was found: empty, too short, or another framing than the settings say",
    Code.TRUNCATED: "the datum ends behind the record's last byte",
    Code.TRAILING: "bytes follow the datum: it was written with another schema",
    Code.RANGE: "a value is outside what its type allows",
    Code.ENCODING: "a string is not UTF-8",
    Code.SCHEMA: "the writer's schema is not among those in the settings",
    Code.MISSING: "ts or model_id is null",
    Code.DIMENSION: "features, probs or embedding have another length than the baseline or the settings say",
    Code.FUTURE: "ts lies beyond the record timestamp + max_future_skew: off by x1000, or a producer's clock is wrong?",
    Code.OVERSIZED: "the record is larger than max_record_bytes",
}


def decoder(plan: Plan) -> AvroDecoder:
    """From the writer's bytes to columns, by exactly what the plan's hash covers."""
    return AvroDecoder(**json.loads(plan.decoding))


def explainer(decoder: AvroDecoder) -> Callable[[bytes | None, Code], tuple[str | None, str]]:
    """For dead letters: the field at fault and a message."""

    def explain(value: bytes | None, code: Code) -> tuple[str | None, str]:
        failure = decoder.explain(value or b"")
        if failure.code is not code:  # the record decodes: it was refused for what it says
            return None, MESSAGES[code]
        return failure.field, f"{MESSAGES[code]} (byte {failure.position})"

    return explain


def baselines(paths: tuple[Path, ...], plan: Plan) -> dict[str, Baseline]:
    """Baselines by id. Refuses one whose dimensions are not those that the settings declare for its model."""
    loaded = load_all(paths)
    for path, baseline in zip(paths, loaded, strict=True):
        declared = plan.layout(Series(baseline.model_id, baseline.model_version, "*"))
        if declared not in {Layout(), baseline.layout}:
            raise UsageError(
                f"{path}: baseline of {baseline.model_id} {baseline.model_version} has {_described(baseline.layout)}; "
                f"the settings (models) declare {_described(declared)} for that model: correct one of them"
            )
    return {baseline.baseline_id: baseline for baseline in loaded}


def suite(settings: Settings) -> Suite:
    """The drift tests, on the configured device."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("device: cuda, but torch finds no CUDA device here: choose cpu or auto")
    torch.set_num_threads(1)  # launches are small: a second thread costs more than it brings, much more on busy cores
    return Suite(settings.device)


def _described(layout: Layout) -> str:
    return f"{len(layout.features)} features, {len(layout.classes)} classes, embedding of {layout.embedding}"
