"""What live and replay share: from settings to the parts of a runner."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from streammon.adapters.avro.decoder import AvroDecoder
from streammon.adapters.foreign import ForeignSource, open_source
from streammon.baselines.store import load_all
from streammon.core.baseline import Baseline, Layout
from streammon.core.errors import UsageError
from streammon.core.outputs import Series
from streammon.core.plan import Plan
from streammon.core.suite import Suite
from streammon.settings import Settings


def decoder(plan: Plan) -> AvroDecoder:
    """From the writer's bytes to columns, by exactly what the plan's hash covers."""
    return AvroDecoder(**json.loads(plan.decoding))


def foreign_source(paths: Sequence[Path], settings: Settings) -> ForeignSource:
    """Files that are no recordings, as rows of the input topic. Its decoder goes with it: the mapping names columns."""
    return open_source(
        paths,
        topic=settings.topics.events,
        mapping=settings.input.mapping,
        defaults=settings.input.defaults,
        max_row_bytes=settings.input.max_record_bytes,
    )


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
