"""A first mapping for a schema that streammon has never seen: what is probably meant by each field's name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from streammon.adapters.avro.columns import EVENT_COLUMNS
from streammon.adapters.avro.schema import AvroSchema
from streammon.adapters.avro.sources import clashes, fits, paths

SYNONYMS: dict[str, tuple[str, ...]] = {
    "ts": ("timestamp", "time", "event_time", "event_ts", "predicted_at", "prediction_time", "created_at", "created"),
    "req_id": ("request_id", "prediction_id", "inference_id", "event_id", "trace_id", "correlation_id", "uuid", "id"),
    "model_id": ("model", "model_name", "model_key"),
    "model_version": ("version", "model_ver", "model_revision", "revision"),
    "lane": ("variant", "arm", "stage", "environment", "env", "deployment", "slot"),
    "data_hash": ("dataset_hash", "training_data_hash", "data_version"),
    "git_commit": ("commit", "git_sha", "commit_hash", "commit_sha"),
    "user_id_hash": ("user_hash", "hashed_user_id"),  # never an id as it is
    "feature_hash": ("features_hash", "input_hash"),
    "latency_ms": ("latency_millis", "duration_ms", "response_time_ms", "elapsed_ms", "inference_ms", "latency"),
    "http_status": ("status_code", "http_code", "response_code", "status"),
    "timed_out": ("timeout", "is_timeout", "timedout"),
    "score": ("confidence", "probability", "prediction_score", "prob"),
    "prediction": ("predicted_class", "predicted_label", "class", "label", "output"),
    "prediction_value": ("predicted_value", "y_hat", "value"),
    "weight": ("sample_weight",),
    "features": ("feature_values", "feature_vector", "inputs", "input"),
    "probs": ("probabilities", "class_probabilities", "softmax", "scores"),
    "embedding": ("embeddings", "embedding_vector"),
    "categories": ("categorical_features", "categoricals"),
}
WRAPPINGS = frozenset(
    ("payload", "event", "data", "meta", "metadata", "body", "message", "record", "header", "envelope", "value")
)
COLUMNS = (
    *EVENT_COLUMNS.ints,
    *EVENT_COLUMNS.floats,
    *EVENT_COLUMNS.strings,
    *EVENT_COLUMNS.lists,
    *EVENT_COLUMNS.string_lists,
)


@dataclass
class Proposal:
    """Where the columns may come from."""

    same: list[str] = field(default_factory=list)  # columns that are fields of their own name
    mapping: dict[str, str | tuple[str, ...]] = field(default_factory=dict)
    null: list[str] = field(default_factory=list)  # columns that have to be told not to read the field of their name
    open: dict[str, list[str]] = field(default_factory=dict)  # columns without a match: paths of a type that fits


def propose(schema: AvroSchema) -> Proposal:
    """The best match of each column by name, among the fields whose type it takes."""
    found, everything = Proposal(), paths(schema)
    found.same = [name for name in COLUMNS if name in everything and fits(schema, name, name)]
    taken = set(found.same)
    for name in COLUMNS:
        if name not in found.same:
            match = _match(schema, name, [path for path in everything if path not in taken])
            if match is not None:
                found.mapping[name] = match
                taken.update([match] if isinstance(match, str) else match)
    for name in COLUMNS:
        if name not in found.same and name not in found.mapping:
            if clashes(schema, name):
                found.null.append(name)
            found.open[name] = [path for path in everything if path not in taken and fits(schema, name, path)]
    return found


def _match(schema: AvroSchema, name: str, free: list[str]) -> str | tuple[str, ...] | None:
    for wanted in (name, *SYNONYMS[name]):
        for path in free:
            if _is_called(path, wanted, anywhere=wanted == name) and fits(schema, name, path):
                return path
        if name == "features":  # a record of numbers is a list of features with names
            inside = [path for path in free if "." in path and _is_called(path.rpartition(".")[0], wanted, True)]
            numbers = tuple(path for path in inside if fits(schema, name, (path,)))
            if numbers:
                return numbers
    return None


def _is_called(path: str, name: str, anywhere: bool) -> bool:
    """Whether a field's name, or that and the one before it, is `name`.

    A single word says little deep inside (`user.id`), unless what is around it is only a wrapping. `anywhere`: it does.

    >>> _is_called("payload.Model.Name", "model_name", False), _is_called("payload.id", "id", False)
    (True, True)
    >>> _is_called("user.id", "id", False)
    False
    """
    parts = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part).lower() for part in path.split(".")]
    wrapped = all(part in WRAPPINGS for part in parts[:-1])
    return "_".join(parts[-2:]) == name or (parts[-1] == name and (anywhere or wrapped or "_" in name))
